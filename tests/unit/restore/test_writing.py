"""Files come out whole, in whatever order and pieces their bytes are handed in."""

import os
import random
import stat
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.repository.index import IndexedFile
from backup_core.restore.tree import Place
from backup_core.restore.writing import HOLE, FileWriter, solid_runs
from tests.unit.restore.test_spans import indexed

BLOCKS = st.lists(
    st.sampled_from([bytes(8192), b"\1" * 8192, bytes(20) + b"\1" * 8172, bytes(512)]),
    min_size=1,
    max_size=40,
)


@pytest.fixture
def writer(tmp_path: Path) -> FileWriter:
    """Writes below the test's directory."""
    return FileWriter(lambda file: Place(root=tmp_path, parts=tuple(file.path.split("/"))))


def sized(path: str, size: int) -> IndexedFile:
    """A file of which only path and size matter."""
    return indexed(path, "part", 0, size)


@given(blocks=BLOCKS, offset=st.integers(0, 4 * HOLE).map(lambda number: number // 512 * 512))
def test_what_is_left_out_is_zeros(blocks: list[bytes], offset: int) -> None:
    """The runs and zeros between them are the data; each hole is a whole block of the file."""
    data = b"".join(blocks)
    rebuilt = bytearray(len(data))
    end = offset
    for start, run in solid_runs(offset, memoryview(data)):
        assert run
        assert start == end or start % HOLE == end % HOLE == 0
        rebuilt[start - offset : start - offset + len(run)] = run
        end = start + len(run)
    assert rebuilt == data


def test_a_large_hole_takes_no_room(writer: FileWriter, tmp_path: Path) -> None:
    """Zeros in the middle and at the end, over the borders of pieces."""
    content = b"\1" * HOLE + bytes(20 * HOLE) + b"\2" * HOLE + bytes(40 * HOLE)
    file = sized("sparse", len(content))
    for offset in range(0, len(content), 5 * HOLE + 512):
        writer.write(file, offset, memoryview(content)[offset : offset + 5 * HOLE + 512])
    writer.close()
    assert (tmp_path / "sparse").read_bytes() == content
    assert (tmp_path / "sparse").stat().st_blocks * 512 < 20 * HOLE


@given(cuts=st.sets(st.integers(1, 199_999), max_size=8), order=st.randoms())
def test_pieces_come_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, cuts: set[int], order: random.Random
) -> None:
    """A file is complete when it has all its bytes, and not before."""
    root = tmp_path_factory.mktemp("any-order")
    writer = FileWriter(lambda file: Place(root=root, parts=(file.path,)))
    content = os.urandom(200_000)
    edges = [0, *sorted(cuts), len(content)]
    pieces = list(pairwise(edges))
    order.shuffle(pieces)
    for start, stop in pieces:
        assert not writer.complete
        writer.write(sized("file", len(content)), start, memoryview(content)[start:stop])
    writer.close()
    assert writer.complete == {"file"}
    assert (root / "file").read_bytes() == content


def test_a_file_in_the_way_is_not_written_to(writer: FileWriter, tmp_path: Path) -> None:
    """It may have another name elsewhere, by a hard link, or be a link itself."""
    (tmp_path / "old").write_bytes(b"precious")
    (tmp_path / "linked").hardlink_to(tmp_path / "old")
    (tmp_path / "symbolic").symlink_to("old")
    for name in ("linked", "symbolic"):
        with pytest.raises(FileExistsError):
            writer.write(sized(name, 3), 0, memoryview(b"new"))
    writer.close()
    assert (tmp_path / "old").read_bytes() == b"precious"
    assert not writer.complete


def test_a_file_without_content_is_complete_at_once(writer: FileWriter, tmp_path: Path) -> None:
    """No span has any of it."""
    writer.create_empty(sized("empty", 0))
    writer.close()
    assert (tmp_path / "empty").read_bytes() == b""
    assert writer.complete == {"empty"}


def test_modes_are_those_of_the_index_without_a_foreign_owners_rights(
    writer: FileWriter, tmp_path: Path
) -> None:
    """A data directory holds no program that runs as its owner."""
    file = IndexedFile(path="a/b", part="p", offset=0, size=1, mode=0o4640, mtime=0, digest="")
    writer.write(file, 0, memoryview(b"x"))
    writer.close()
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o640
