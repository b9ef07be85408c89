"""What of an interrupted backup is taken over: what agrees by content, and nothing else."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from backup_core.backup.partition import Partition
from backup_core.backup.resume import find_interrupted, take_over
from backup_core.backup.upload import PartReport, UploadOptions, partition_stream
from backup_core.postgres.datadir import Listing, list_data_directory
from backup_core.repository import layout
from backup_core.repository.catalog import read_catalog
from backup_core.storage.memory import MemoryStorage
from backup_core.stream.compress import EXTENSIONS
from tests.unit.backup.test_golden import NAME, backed_up, data_directory

OPTIONS = UploadOptions(method="zstd", level=1, pages=None, checkpoint=lambda _: None)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A data directory of some files."""
    path = data_directory(tmp_path / "data")
    for number in range(2, 8):
        (path / f"base/1/{number}").write_bytes(os.urandom(1 << 20))
    (path / "base/1/8").write_bytes(os.urandom(9 << 20))
    return path


def store(
    storage: MemoryStorage, listing: Listing, options: UploadOptions
) -> dict[str, PartReport]:
    """Store a part for each two files, the first with the directories, and no documents."""
    storage.put(layout.started(NAME), [b"{}"])
    reports = {}
    for number in range(0, len(listing.files), 2):
        partition = Partition(
            name=f"part_{number // 2 + 1:03d}", files=listing.files[number : number + 2]
        )
        key = layout.partition(NAME, partition.name, EXTENSIONS[options.method])
        report = PartReport(name=key.rpartition("/")[2])
        held = listing.directories if number == 0 else ()
        storage.put(key, partition_stream(partition, held, options, report))
        reports[report.name] = report
    return reports


def listed(directory: Path) -> Listing:
    """What the directory holds now."""
    return list_data_directory(directory, major=17)


def taken(
    storage: MemoryStorage, directory: Path, options: UploadOptions = OPTIONS
) -> dict[str, PartReport]:
    """The reports of what is taken over."""
    said: list[str] = []
    reports = take_over(storage, NAME, listed(directory), options, workers=2, warn=said.append)
    assert NAME in said[0]
    return {report.name: report for report in reports}


@pytest.mark.parametrize("method", EXTENSIONS)
def test_what_agrees_is_described_as_its_upload_did(directory: Path, method: str) -> None:
    """Frames and digests included, in every codec; so the index is that of an uninterrupted one."""
    storage, options = MemoryStorage(), replace(OPTIONS, method=method)
    stored = store(storage, listed(directory), options)
    found = taken(storage, directory, options)
    if method == "none":  # its frames may be cut anywhere
        for report in (*stored.values(), *found.values()):
            report.frames, report.frame_digests = [], []
    assert found == stored


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(os.urandom(1 << 20)),
        lambda path: path.write_bytes(b"shorter"),
        lambda path: path.unlink(),
        lambda path: path.chmod(0o640),
    ],
    ids=["content", "size", "gone", "mode"],
)
def test_a_part_with_a_file_that_changed_is_deleted(
    directory: Path, change: Callable[[Path], object]
) -> None:
    """The others stay."""
    storage = MemoryStorage()
    stored = store(storage, listed(directory), OPTIONS)
    path = directory / "base/1/4"
    before = path.stat()
    change(path)
    if path.exists():
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = taken(storage, directory)
    (lost,) = stored.keys() - found.keys()
    assert "base/1/4" in {file.path for file in stored[lost].files}
    keys = {info.key.rpartition("/")[2] for info in storage.list(layout.partitions(NAME))}
    assert keys == found.keys()


@pytest.mark.parametrize("kept", [slice(0, -5), slice(0, 0), slice(9, None)])
def test_what_cannot_be_read_whole_is_deleted(directory: Path, kept: slice) -> None:
    """As are documents, and the parts of another codec."""
    storage = MemoryStorage()
    stored = store(storage, listed(directory), OPTIONS)
    key = layout.partition(NAME, "part_002", "zst")
    storage.put(key, [b"".join(storage.get(key))[kept]])
    others = [layout.metadata(NAME), layout.partition(NAME, "pg_control", "zst")]
    for other in (*others, layout.partition(NAME, "part_009", "lz4")):
        storage.put(other, [b"x"])
    found = taken(storage, directory)
    assert found.keys() == stored.keys() - {"part_002.tar.zst"}
    keys = {info.key for info in storage.list(layout.backup_folder(NAME))}
    assert keys == {layout.partitions(NAME) + name for name in found} | {layout.started(NAME)}


def test_new_directories_ask_for_a_new_first_part(directory: Path) -> None:
    """It is the one that has them."""
    storage = MemoryStorage()
    stored = store(storage, listed(directory), OPTIONS)
    (directory / "base/2").mkdir()
    assert taken(storage, directory).keys() == stored.keys() - {"part_001.tar.zst"}


def test_only_a_backup_that_pitr_began_on_this_timeline_is_found(directory: Path) -> None:
    """The newest; another tool's may be running."""
    storage = MemoryStorage()
    assert find_interrupted(storage, 1) is None
    for name in ("base_000000010000000000000004", "base_000000010000000000000003"):
        storage.put(layout.partition(name, "part_001", "zst"), [b"x"])
    storage.put(layout.started("base_000000010000000000000003"), [b"{}"])
    storage.put(layout.started("base_000000020000000000000009"), [b"{}"])
    assert find_interrupted(storage, 1) == "base_000000010000000000000003"
    assert find_interrupted(storage, 3) is None


def test_a_finished_backup_is_not_gone_on_with(tmp_path: Path) -> None:
    """It has its sentinel."""
    storage = backed_up(data_directory(tmp_path / "data"))
    assert [backup.name for backup in read_catalog(storage).backups] == [NAME]
    assert find_interrupted(storage, 1) is None
