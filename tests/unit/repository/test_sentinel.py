"""A backup's documents: exactly WAL-G's when written, lenient when read."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError
from backup_core.postgres.lsn import Lsn
from backup_core.repository.sentinel import (
    Backup,
    Tablespace,
    parse_backup,
    render_metadata,
    render_sentinel,
)
from tests.support.backups import BACKUP

LSN = st.integers(0, (1 << 64) - 1).map(Lsn)
TIME = st.datetimes(datetime(2011, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
TABLESPACE = st.builds(Tablespace, oid=st.integers(1, 1 << 31), location=st.text(min_size=1))


@given(
    start=LSN,
    time=TIME,
    system=st.integers(1, (1 << 64) - 1),
    tablespaces=st.lists(TABLESPACE, max_size=3, unique_by=lambda space: space.oid),
    permanent=st.booleans(),
    user_data=st.none() | st.dictionaries(st.text(), st.integers()),
)
def test_what_is_written_reads_back(
    start: Lsn,
    time: datetime,
    system: int,
    tablespaces: list[Tablespace],
    permanent: bool,
    user_data: object,
) -> None:
    """Nothing is lost between the documents and the value, big integers included."""
    backup = replace(
        BACKUP,
        start_lsn=start,
        start_time=time,
        system_identifier=system,
        tablespaces=tuple(tablespaces),
        permanent=permanent,
        user_data=user_data,
    )
    read = parse_backup(
        backup.name, backup.timeline, render_sentinel(backup), render_metadata(backup)
    )
    assert read == backup


def test_the_sentinel_has_exactly_the_keys_of_wal_g() -> None:
    """Stock wal-g decodes by these names and types."""
    backup = replace(
        BACKUP, tablespaces=(Tablespace(oid=16451, location="/ts"),), user_data={"a": 1}
    )
    document = json.loads(render_sentinel(backup))
    assert {key: type(value).__name__ for key, value in document.items()} == {
        "LSN": "int",
        "PgVersion": "int",
        "FinishLSN": "int",
        "SystemIdentifier": "int",
        "UncompressedSize": "int",
        "CompressedSize": "int",
        "DataCatalogSize": "int",
        "Spec": "dict",
        "UserData": "dict",
        "ChkpNum": "NoneType",
        "Version": "int",
        "StartTime": "str",
        "FinishTime": "str",
        "DateFmt": "str",
        "Hostname": "str",
        "DataDir": "str",
        "IsPermanent": "bool",
    }
    assert document["Version"] == 2
    assert document["DateFmt"] == "%Y-%m-%dT%H:%M:%S.%fZ"
    assert document["StartTime"].endswith("Z")
    assert document["Spec"] == {
        "base_prefix": backup.data_dir,
        "tablespaces": ["16451"],
        "16451": {"loc": "/ts", "link": "pg_tblspc/16451"},
    }


def test_without_tablespaces_there_is_no_spec() -> None:
    """Nor are there other keys that WAL-G leaves out when they are empty."""
    assert not {"Spec", "UserData", "FilesMetadataDisabled"} & set(
        json.loads(render_sentinel(BACKUP))
    )


def test_the_metadata_has_exactly_the_keys_of_wal_g() -> None:
    """Its LSNs are integers as well."""
    assert set(json.loads(render_metadata(BACKUP))) == {
        *("start_time", "finish_time", "date_fmt", "hostname", "data_dir", "pg_version"),
        *("start_lsn", "finish_lsn", "is_permanent", "system_identifier"),
        *("uncompressed_size", "compressed_size"),
    }


def parsed(
    sentinel: object, metadata: object = None, *, modified: datetime | None = None
) -> Backup:
    """Parse documents that are given as values."""
    extra = None if metadata is None else json.dumps(metadata).encode()
    return parse_backup("base_x", 1, json.dumps(sentinel).encode(), extra, modified=modified)


def test_keys_are_found_whatever_their_case() -> None:
    """Go's decoder does not care either, so archives hold both."""
    assert parsed({"lsn": 1, "FINISHLSN": 2, "pgversion": 150000}).finish_lsn == 2


def test_nulls_and_missing_keys_are_taken_for_unknown() -> None:
    """Early writers left much out; the sentinel's own age serves as its time."""
    old = datetime(2019, 5, 4, tzinfo=UTC)
    sentinel = {"LSN": 1, "FinishLSN": 2, "PgVersion": 90603, "Spec": None}
    backup = parsed(sentinel, modified=old)
    assert (backup.finish_time, backup.system_identifier, backup.tablespaces) == (old, None, ())


def test_whether_it_is_permanent_is_told_by_the_metadata() -> None:
    """Marking a backup rewrites that document only."""
    sentinel = {"LSN": 1, "FinishLSN": 2, "PgVersion": 150000, "IsPermanent": False}
    assert parsed(sentinel, {"is_permanent": True}).permanent


@pytest.mark.parametrize(
    "sentinel",
    [[], None, "text", {}, {"LSN": None, "FinishLSN": 1}, {"LSN": -1}, {"LSN": "0/1"}],
    ids=json.dumps,
)
def test_a_sentinel_without_its_lsns_is_corrupt(sentinel: object) -> None:
    """The error names the backup."""
    with pytest.raises(CorruptError, match="base_x"):
        parsed(sentinel)


def test_a_sentinel_that_is_no_json_is_corrupt() -> None:
    """Not a traceback."""
    with pytest.raises(CorruptError, match="base_x"):
        parse_backup("base_x", 1, b"{", None)


READABLE = {"LSN": 1, "FinishLSN": 2, "PgVersion": 150000}


@pytest.mark.parametrize(
    "spec",
    [
        {"tablespaces": 5},
        {"tablespaces": [[1]]},
        {"tablespaces": {"16": {}}},
        {"tablespaces": ["16"]},
        {"tablespaces": ["16"], "16": {}},
        {"tablespaces": ["16"], "16": {"loc": None}},
        {"tablespaces": ["x"], "x": {"loc": "/ts"}},
    ],
    ids=json.dumps,
)
def test_tablespaces_that_are_not_described_are_corrupt(spec: object) -> None:
    """A restore without one of them would lose its tables."""
    with pytest.raises(CorruptError, match="base_x describes tablespace"):
        parsed(READABLE | {"Spec": spec})


def test_the_tablespaces_of_wal_e_are_read() -> None:
    """It writes the key in lower case."""
    spec = {"tablespaces": ["16"], "16": {"loc": "/ts", "link": "pg_tblspc/16"}}
    backup = parsed(READABLE | {"spec": spec})
    assert backup.tablespaces == (Tablespace(oid=16, location="/ts"),)


def test_times_of_the_metadata_serve_where_the_sentinel_has_none() -> None:
    """Nanoseconds, as Go prints them, are read to the microsecond."""
    extra = {"start_time": "2020-01-02T03:04:05.123456789Z", "finish_time": "2020-01-02T05:00:00Z"}
    backup = parsed(READABLE, extra, modified=datetime(2026, 1, 1, tzinfo=UTC))
    assert backup.start_time == datetime(2020, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)
    assert backup.finish_time == datetime(2020, 1, 2, 5, tzinfo=UTC)


DELTA = {"DeltaFrom": "base_y", "DeltaFullName": "base_z", "DeltaLSN": 1, "DeltaCount": 2}


def test_a_delta_backup_says_what_it_is_made_on() -> None:
    """Its parent, the LSN that parent began at, and the full backup at the end."""
    backup = parsed(READABLE | DELTA)
    assert (backup.delta_from, backup.delta_full_name) == ("base_y", "base_z")
    assert (backup.delta_lsn, backup.delta_count) == (Lsn(1), 2)


def test_d8_the_lsn_of_a_delta_backup_is_found_under_its_old_name() -> None:
    """WAL-G itself lost the early versions' `DeltaFromLSN`."""
    early = {key: value for key, value in DELTA.items() if key != "DeltaLSN"}
    assert parsed(READABLE | early | {"DeltaFromLSN": 1 << 40}).delta_lsn == Lsn(1 << 40)


@pytest.mark.parametrize("lost", DELTA)
@pytest.mark.parametrize(
    "put", [{}, {"null": None}, {"empty": ""}], ids=["absent", "null", "empty"]
)
def test_half_of_a_delta_is_corrupt(lost: str, put: dict[str, object]) -> None:
    """Neither a panic, as in WAL-G, nor taken for a full backup."""
    rest = {key: value for key, value in DELTA.items() if key != lost}
    rest |= dict.fromkeys([lost], next(iter(put.values()))) if put else {}
    with pytest.raises(CorruptError, match="base_x describes only half of a delta"):
        parsed(READABLE | rest)


@pytest.mark.parametrize("key", ["DeltaFrom", "DeltaFullName", "DeltaLSN", "DeltaCount"])
def test_a_delta_of_other_types_is_corrupt(key: str) -> None:
    """A name is a text, an LSN and a count are integers."""
    with pytest.raises(CorruptError, match="base_x"):
        parsed(READABLE | DELTA | {key: [1]})


def test_a_full_backup_may_count_no_deltas() -> None:
    """Null and zero are what is left out otherwise."""
    backup = parsed(READABLE | {"DeltaCount": 0, "DeltaFrom": None})
    assert (backup.delta_from, backup.delta_lsn) == (None, None)


def test_d1_the_version_and_the_embedded_files_are_seen() -> None:
    """WAL-G since 3.0.8 reads neither, and so restores deltas as if they were whole."""
    early = parsed(READABLE | {"Files": {"/base": {}}, "TarFileSets": {}})
    assert (early.sentinel_version, early.files_embedded) == (0, True)
    late = parsed(READABLE | {"Version": 2})
    assert (late.sentinel_version, late.files_embedded) == (2, False)


@given(data=st.binary(max_size=100) | st.just(b"[" * 100_000))
def test_garbage_is_corrupt(data: bytes) -> None:
    """However it is made, and also beside a readable sentinel."""
    readable = json.dumps(READABLE).encode()
    with pytest.raises(CorruptError, match="base_x"):
        parse_backup("base_x", 1, data, None)
    with pytest.raises(CorruptError, match="base_x"):
        parse_backup("base_x", 1, readable, data or b"{")
