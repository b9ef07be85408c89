"""The list of a backup's files is read from wherever it is, and a lost one is no empty one."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError
from backup_core.postgres.lsn import Lsn
from backup_core.repository import layout
from backup_core.repository.catalog import read_catalog
from backup_core.repository.files_metadata import (
    FilesMetadata,
    FileState,
    load_files_metadata,
    path_key,
    read_files_metadata,
)
from backup_core.storage.memory import MemoryStorage
from tests.support.backups import BACKUP
from tests.support.streams import SIZES, cut
from tests.support.walg_archive import push
from tests.support.walg_backup import Stored, Style, WalgBackup

FULL, SKIPPED, INCREMENTED = FileState.FULL, FileState.SKIPPED, FileState.INCREMENTED
STATE = st.sampled_from(FileState)


def read(document: object) -> FilesMetadata:
    """Read a document that is given as a value."""
    return read_files_metadata([json.dumps(document).encode()], backup="base_x", name="list")


def entry(state: FileState) -> dict[str, object]:
    """What WAL-G writes of a file."""
    return {
        "IsIncremented": state is INCREMENTED,
        "IsSkipped": state is SKIPPED,
        "MTime": "2026-11-22T12:00:00.123456789+01:00",
        "UpdatesCount": 18446744073709551615,
    }


@given(states=st.dictionaries(st.text(), STATE, max_size=8), sizes=SIZES, slash=st.booleans())
def test_each_file_has_its_state(
    states: Mapping[str, FileState], sizes: Sequence[int], slash: bool
) -> None:
    """With a leading slash or, as in a backup by BASE_BACKUP, without."""
    states = {path_key(name): state for name, state in states.items()}
    files = {("/" if slash else "") + name: entry(state) for name, state in states.items()}
    data = json.dumps({"Files": files, "DatabasesByNames": {"Files": files}}).encode()
    found = read_files_metadata(cut(data, sizes), backup="base_x", name="list")
    assert {path: found.state(path) for path in found.paths()} == states
    assert found.state("no such file" * 100) is None


@pytest.mark.parametrize("order", [["Files", "TarFileSets"], ["TarFileSets", "Files"]])
def test_each_file_has_its_partition(order: list[str]) -> None:
    """In whatever order the document says so."""
    document = {
        "Files": {f"/{name}": entry(FULL) for name in "abc"},
        "TarFileSets": {"part_001.tar": ["/a", "/b"], "part_003.tar": ["backup_label"]},
    }
    found = read({key: document[key] for key in order})
    assert [found.tar(name) for name in "abc"] == ["part_001.tar", "part_001.tar", None]
    assert found.tars == ("part_001.tar", "part_003.tar")
    assert sorted(found.paths()) == ["a", "b", "c"]
    assert found.state("backup_label") is None


def test_a_file_in_several_partitions_is_in_none_for_certain() -> None:
    """So none is left out for it."""
    sets = {"1.tar": ["/a"], "2.tar": ["/a"], "3.tar": ["/a", "/b"]}
    found = read({"Files": {"/a": entry(FULL), "/b": entry(FULL)}, "TarFileSets": sets})
    assert (found.tar("a"), found.tar("b")) == (None, "3.tar")


def test_keys_are_found_whatever_their_case_and_nulls_are_taken() -> None:
    """As Go reads them."""
    found = read(
        {
            "FILES": {"/a": {"isskipped": True}, "/b": None, "/c": {"IsIncremented": None}},
            "tarFileSets": {"1.tar": None},
            "Other": [{"Files": 1}],
        }
    )
    assert [found.state(name) for name in "abc"] == [SKIPPED, FULL, FULL]
    assert read({"Files": None, "TarFileSets": None}).entries == {}


def test_a_file_may_be_described_twice_in_one_way_only() -> None:
    """Go lets the last description win; which one is right, nobody can tell."""
    twice = b'{"Files": {"/a": {"IsSkipped": true}, "/a": {"IsSkipped": %s}}}'
    found = read_files_metadata([twice % b"true"], backup="base_x", name="list")
    assert found.state("a") is SKIPPED
    with pytest.raises(CorruptError, match='list describes "/a" in two ways'):
        read_files_metadata([twice % b"false"], backup="base_x", name="list")


@pytest.mark.parametrize(
    "document",
    [
        {"Files": {"/a": 1}},
        {"Files": {"/a": {"IsSkipped": 1}}},
        {"Files": {"/a": {"IsSkipped": "true", "IsIncremented": False}}},
        {"Files": {"/a": {"IsSkipped": True, "IsIncremented": True}}},
        {"Files": {"/a": {"IsSkipped": [], "IsIncremented": {}}}},
        {"Files": ["/a"]},
        {"Files": "/a"},
        {"Files": {}, "TarFileSets": {"1.tar": [1]}},
        {"Files": {}, "TarFileSets": {"1.tar": "/a"}},
        {"Files": {}, "TarFileSets": []},
        ["Files"],
        None,
    ],
    ids=json.dumps,
)
def test_a_list_that_says_something_else_is_corrupt(document: object) -> None:
    """Its error names it."""
    with pytest.raises(CorruptError, match="list"):
        read(document)


def test_a_list_that_goes_on_is_corrupt() -> None:
    """What follows it could be another."""
    with pytest.raises(CorruptError, match="list"):
        read_files_metadata([b'{"Files": {}} {}'], backup="base_x", name="list")


@pytest.mark.parametrize(
    "written",
    [b"/caf\xe9\xff", b"/caf\\udce9\\udcff", b"/caf\\ufffd\\ufffd", "/caf\ufffd\ufffd".encode()],
    ids=["raw", "escaped", "replaced", "replaced, plain"],
)
def test_d23_a_name_that_is_not_utf_8_is_found(written: bytes) -> None:
    """Whichever way its writer had of putting it into JSON: WAL-G's replaces each byte."""
    data = b'{"Files": {"%s": {"IsSkipped": true}}}' % written
    found = read_files_metadata([data], backup="base_x", name="list")
    assert found.state(path_key("/caf\udce9\udcff")) is SKIPPED


FILES = {"base/1/2": Stored(payload=b"page"), "base/1/3": Stored(payload=b"page")}
WHOLE = WalgBackup(start_lsn=0x2000028, finish_lsn=0x2000100, files=FILES)
DELTA = WalgBackup(
    start_lsn=0x5000028,
    finish_lsn=0x5000100,
    files={"base/1/2": Stored(payload=None, skipped=True), "base/1/3": Stored(payload=b"page")},
    parent=WHOLE,
)


def load(storage: MemoryStorage, name: str) -> FilesMetadata:
    """Load the list of a backup that is stored."""
    return load_files_metadata(storage, read_catalog(storage).named(name))


@pytest.mark.parametrize("files", ["object", "sentinel"])
def test_d1_the_files_of_a_delta_are_known_wherever_they_are_listed(files: str) -> None:
    """Early versions had them in the sentinel, where WAL-G since 3.0.8 overlooks them."""
    storage = MemoryStorage()
    style = Style(files="sentinel" if files == "sentinel" else "object")
    push(storage, WHOLE, style)
    push(storage, DELTA, style)
    found = load(storage, DELTA.name)
    assert [found.state(path) for path in FILES] == [SKIPPED, FULL]
    assert found.tar("base/1/3") == "part_001.tar.lz4"


@pytest.mark.parametrize("backup", [WHOLE, DELTA], ids=["full", "delta"])
def test_d1_a_lost_list_is_corrupt(backup: WalgBackup) -> None:
    """Since 3.0.8 WAL-G warns, and writes increments out as if they were files."""
    storage = MemoryStorage()
    push(storage, backup)
    storage.delete([layout.files_metadata(backup.name)])
    with pytest.raises(CorruptError, match=f"{backup.name} has lost its list of files"):
        load(storage, backup.name)


def test_a_list_that_was_never_made_is_empty() -> None:
    """By a writer that was told so, or before there were such lists."""
    storage = MemoryStorage()
    push(storage, WHOLE, Style(files="nowhere"))
    assert load(storage, WHOLE.name).entries == {}
    early = replace(BACKUP, sentinel_version=0)
    assert load_files_metadata(storage, early).entries == {}


def test_an_early_delta_without_a_list_is_corrupt() -> None:
    """Its increments could not be told from files."""
    early = replace(BACKUP, sentinel_version=0, delta_from="base_y", delta_lsn=Lsn(1))
    with pytest.raises(CorruptError, match="lost its list"):
        load_files_metadata(MemoryStorage(), early)


def test_a_list_larger_than_memory_should_hold_is_read_as_a_stream() -> None:
    """Tables by the million, which only a partial restore needs, are passed over."""

    def chunks() -> Iterator[bytes]:
        yield b'{"DatabasesByNames": {"db": {"oid": 5, "tables_new": {'
        for number in range(3000):
            yield b"".join(b'"s.t%d_%d": {"oid": 1},' % (number, row) for row in range(100))
        yield b'"s.t": {}}}}, "Files": {"/a": {}}}'

    assert list(read_files_metadata(chunks(), backup="base_x", name="list").paths()) == ["a"]
