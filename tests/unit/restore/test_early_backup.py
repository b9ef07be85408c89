"""Backups whose index names no algorithm are proved by SHA-256, those of today by what it names."""

import hashlib
import os
from pathlib import Path

import pytest

from backup_core.errors import CorruptError
from backup_core.repository import layout
from backup_core.repository.catalog import read_index
from backup_core.repository.index import BackupIndex
from backup_core.restore.existing import file_digest, survey
from backup_core.restore.places import Layout
from backup_core.restore.selected import find_files
from backup_core.storage.memory import MemoryStorage
from backup_core.stream.digest import WRITTEN, Algorithm
from tests.support.early_backup import make_early
from tests.unit.backup.test_golden import NAME, backed_up, data_directory

ALGORITHMS = [WRITTEN, Algorithm.SHA256]
CONTENT = os.urandom(9 << 20)


@pytest.fixture(params=ALGORITHMS, ids=lambda algorithm: algorithm.value)
def algorithm(request: pytest.FixtureRequest) -> Algorithm:
    """That of the backup's digests."""
    found: Algorithm = request.param
    return found


@pytest.fixture
def storage(tmp_path: Path, algorithm: Algorithm) -> MemoryStorage:
    """A backup of some files, one of several frames, with digests by the algorithm."""
    directory = data_directory(tmp_path / "data")
    (directory / "base/1/2").write_bytes(CONTENT)
    storage = backed_up(directory, "zstd")
    if algorithm is Algorithm.SHA256:
        make_early(storage, NAME)
    return storage


def index_of(storage: MemoryStorage) -> BackupIndex:
    """The backup's index."""
    index = read_index(storage, NAME)
    assert index is not None
    return index


def test_the_index_tells_the_algorithm(storage: MemoryStorage, algorithm: Algorithm) -> None:
    """Files have their digests by it, whole objects have SHA-256."""
    index = index_of(storage)
    assert index.algorithm is algorithm
    [file] = [file for file in index.files if file.path == "base/1/2"]
    assert file.digest == algorithm.new(CONTENT).hexdigest()
    for part in index.parts:
        stored = b"".join(storage.get(layout.partitions(NAME) + part.name))
        assert part.sha256 == hashlib.sha256(stored).hexdigest()


def test_files_are_restored(storage: MemoryStorage, tmp_path: Path) -> None:
    """As a stream, and to a directory."""
    found = find_files(storage, NAME, ["base/1/2"])
    assert b"".join(found.contents()) == CONTENT
    found.write_below(tmp_path / "out", workers=2, advance=lambda _: None)
    assert (tmp_path / "out/base/1/2").read_bytes() == CONTENT


def test_a_flipped_byte_in_a_stored_frame_is_refused(storage: MemoryStorage) -> None:
    """Before it is decoded: the error names the frame's bytes."""
    key = layout.partition(NAME, "part_001", "zst")
    stored = bytearray(b"".join(storage.get(key)))
    stored[len(stored) // 2] ^= 1
    storage.put(key, [stored])
    with pytest.raises(CorruptError, match="the digest of its bytes from"):
        b"".join(find_files(storage, NAME, ["base/1/2"]).contents())


def test_a_directory_is_held_against_the_index(storage: MemoryStorage, tmp_path: Path) -> None:
    """What is there counts by the digest that the index has."""
    (tmp_path / "data/PG_VERSION").write_bytes(b"16\n")
    places = Layout(data_dir=tmp_path / "data", tablespaces={})
    found = survey(places, index_of(storage), workers=1, advance=lambda _: None)
    assert found.kept == {"base/1/1259", "base/1/2"}
    assert found.replaced == ("PG_VERSION",)


def test_the_digest_of_a_file_is_by_the_algorithm(tmp_path: Path, algorithm: Algorithm) -> None:
    """Read in pieces."""
    (tmp_path / "file").write_bytes(CONTENT)
    found = file_digest(str(tmp_path / "file"), algorithm, lambda _: None)
    assert found == algorithm.new(CONTENT).hexdigest()
