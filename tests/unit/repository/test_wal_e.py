"""WAL-E's sentinel, name and version become a backup, or an error that names it."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError
from backup_core.postgres.lsn import Lsn
from backup_core.repository import layout
from backup_core.repository.catalog import read_catalog
from backup_core.repository.sentinel import Backup, Tablespace
from backup_core.repository.wal_e import (
    WalEObjects,
    is_offline,
    is_sentinel,
    parse_backup,
    parse_version,
)
from backup_core.storage.memory import MemoryStorage
from tests.support.backups import BACKUP, NOON, store
from tests.support.segments import segment

MEBIBYTE = 1 << 20
NAME = "base_00000001000000000000000A_00000040"
VERSION = "PostgreSQL 14.1 on x86_64-pc-linux-gnu, compiled by gcc (Debian) 10.2.1, 64-bit"
DOCUMENT = {
    "wal_segment_backup_stop": "00000001000000000000000A",
    "wal_segment_offset_backup_stop": "00000256",
    "expanded_size_bytes": 16535099,
    "spec": {
        "base_prefix": "/srv/pg/main/",
        "tablespaces": ["16384"],
        "16384": {"loc": "/srv/space/", "link": "pg_tblspc/16384"},
    },
}
AROUND = WalEObjects(
    version=VERSION,
    start_time=NOON - timedelta(minutes=5),
    finish_time=NOON,
    compressed_size=1000,
)


def parsed(
    changes: Mapping[str, object] | None = None, *, name: str = NAME, segment_size: int = MEBIBYTE
) -> Backup:
    """The backup that the document means with these changes; None takes a key away."""
    changed = {**DOCUMENT, **(changes or {})}
    document = {key: value for key, value in changed.items() if value is not None}
    return parse_backup(name, json.dumps(document).encode(), AROUND, segment_size=segment_size)


def repository(*segments: str) -> MemoryStorage:
    """A prefix with one backup of WAL-E and these segments of 1 MiB."""
    storage = MemoryStorage()
    storage.put(f"{layout.backup_folder(NAME)}extended_version.txt", [VERSION.encode()])
    storage.put(f"{layout.partitions(NAME)}part_00000000.tar.lzo", [b"x" * 700])
    storage.put(layout.sentinel(NAME), [json.dumps(DOCUMENT).encode()])
    for name in segments:
        storage.put(layout.wal(name, ""), [segment(name)])
    return storage


class TestParsing:
    """What the documents mean."""

    def test_everything_that_is_known(self) -> None:
        """And nothing that is not: no host, no system identifier."""
        backup = parsed()
        assert (backup.name, backup.timeline, backup.origin) == (NAME, 1, "wal-e")
        assert (backup.start_time, backup.finish_time) == (NOON - timedelta(minutes=5), NOON)
        assert (backup.pg_version, backup.data_dir) == (140001, "/srv/pg/main")
        assert (backup.uncompressed_size, backup.compressed_size) == (16535099, 1000)
        assert backup.tablespaces == (Tablespace(oid=16384, location="/srv/space"),)
        assert (backup.system_identifier, backup.hostname) == (None, "")

    @pytest.mark.parametrize(
        ("segment_size", "start", "finish"),
        [
            (MEBIBYTE, "0/A00028", "0/A00100"),
            (16 * MEBIBYTE, "0/A000028", "0/A000100"),
            (64 * MEBIBYTE, "0/28000028", "0/28000100"),
        ],
    )
    def test_offsets_are_decimal(self, segment_size: int, start: str, finish: str) -> None:
        """Unlike the segment before them."""
        backup = parsed(segment_size=segment_size)
        assert (backup.start_lsn, backup.finish_lsn) == (Lsn.parse(start), Lsn.parse(finish))

    def test_a_sentinel_before_0_7_has_no_spec(self) -> None:
        """So nothing is known of tablespaces."""
        backup = parsed({"spec": None})
        assert (backup.tablespaces, backup.data_dir) == ((), "")

    def test_an_offline_backup_has_no_position(self) -> None:
        """Its number is the same twice, and may be hexadecimal."""
        stop = {
            "wal_segment_backup_stop": "000000010000000000000015",
            "wal_segment_offset_backup_stop": "0000001A",
        }
        backup = parsed(stop, name="base_000000010000000000000015_0000001A")
        assert is_offline(backup)
        assert not is_offline(parsed())
        assert not is_offline(BACKUP)

    @pytest.mark.parametrize(
        ("text", "number"),
        [
            (VERSION, 140001),
            ("PostgreSQL 9.6.3 on x86_64", 90603),
            ("PostgreSQL 9.6.2.7 on x86_64", 90602),
            ("PostgreSQL 15.18 (Debian 15.18-1.pgdg120+1)", 150018),
            ("PostgreSQL 18beta1 on x86_64", 180000),
            ("PostgreSQL 9.6rc1", 90600),
            ("PostgreSQL 10devel", 100000),
        ],
    )
    def test_versions(self, text: str, number: int) -> None:
        """As servers and pg_config write them."""
        assert parse_version(NAME, text) == number

    @pytest.mark.parametrize("text", ["", "EnterpriseDB", "PostgreSQL", "PostgreSQL 1400.1"])
    def test_no_version_is_corrupt(self, text: str) -> None:
        """Recovery is set up by it."""
        with pytest.raises(CorruptError, match=NAME):
            parse_version(NAME, text)

    @pytest.mark.parametrize(
        "changes",
        [
            {"wal_segment_backup_stop": 5},
            {"wal_segment_backup_stop": "00000001000000000000000"},
            {"wal_segment_offset_backup_stop": None},
            {"wal_segment_offset_backup_stop": "0x000100"},
            {"wal_segment_offset_backup_stop": "01048576"},
            {"wal_segment_offset_backup_stop": "00000039"},
            {"wal_segment_backup_stop": "000000010000000000001000"},
            {"expanded_size_bytes": None},
            {"expanded_size_bytes": -1},
            {"expanded_size_bytes": True},
            {"spec": {"tablespaces": 5}},
            {"spec": {"tablespaces": ["16384"]}},
            {"spec": {"tablespaces": ["../x"], "../x": {"loc": "/x"}}},
        ],
        ids=str,
    )
    def test_what_makes_no_sense_is_corrupt(self, changes: dict[str, object]) -> None:
        """The error names the backup, or the segment that cannot be."""
        with pytest.raises(CorruptError, match=r"base_00000001|cannot be a segment"):
            parsed(changes)

    @given(
        st.one_of(
            st.binary(max_size=200),
            st.dictionaries(
                st.sampled_from([*DOCUMENT, "x"]), st.none() | st.text() | st.integers()
            )
            .map(json.dumps)
            .map(str.encode),
        )
    )
    def test_any_bytes_are_a_backup_or_corrupt(self, data: bytes) -> None:
        """Nothing else is raised."""
        is_sentinel(data)
        with suppress(CorruptError):
            parse_backup(NAME, data, AROUND, segment_size=MEBIBYTE)


class TestCatalog:
    """WAL-E's backups beside others."""

    def test_the_segment_size_is_the_wals(self) -> None:
        """Which another tool may have archived."""
        [backup] = read_catalog(repository("00000001000000000000000A")).backups
        assert backup.start_lsn == Lsn.parse("0/A00028")
        assert backup.compressed_size == 700

    def test_without_wal_it_is_the_servers_default(self) -> None:
        """The backup is listed, though it cannot be restored."""
        [backup] = read_catalog(repository()).backups
        assert backup.start_lsn == Lsn.parse("0/A000028")

    def test_backups_of_several_tools_are_in_one_order(self) -> None:
        """By the time they finished; the sentinel's age is WAL-E's."""
        storage = repository("00000001000000000000000A")
        store(storage, BACKUP)
        names = {backup.name for backup in read_catalog(storage).backups}
        assert names == {NAME, BACKUP.name}

    def test_a_repository_without_them_is_not_asked_for_wal(self) -> None:
        """Its segments may even be damaged."""
        storage = MemoryStorage()
        store(storage, BACKUP)
        storage.put(layout.wal("00000001000000000000000A", ""), [b"damaged"])
        assert len(read_catalog(storage).backups) == 1

    def test_damaged_wal_makes_them_unreadable(self) -> None:
        """Them only."""
        storage = repository()
        store(storage, BACKUP)
        storage.put(layout.wal("00000001000000000000000A", ""), [b"damaged"])
        catalog = read_catalog(storage)
        assert [backup.name for backup in catalog.backups] == [BACKUP.name]
        assert [broken.name for broken in catalog.unreadable] == [NAME]

    def test_without_its_version_one_is_unreadable(self) -> None:
        """The file is written first, so it was deleted."""
        storage = repository("00000001000000000000000A")
        storage.delete([f"{layout.backup_folder(NAME)}extended_version.txt"])
        [broken] = read_catalog(storage).unreadable
        assert "extended_version.txt is missing" in broken.reason
        with pytest.raises(CorruptError, match="is missing"):
            read_catalog(storage).named("LATEST")
