"""A backup leaves the page cache as it found it: on a real file system, asked of a real kernel."""

import mmap
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.backup.page_cache import cached_pages, cold_ranges
from tests.unit.backup.test_upload import data_file, packed, unpacked

MEBIBYTE = 1 << 20
SIZE = 24 * MEBIBYTE + 5000
PAGE = mmap.PAGESIZE


def cached(path: Path) -> bytes:
    """Which pages of the file are cached now."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return cached_pages(descriptor, path.stat().st_size)
    finally:
        os.close(descriptor)


def chill(path: Path) -> None:
    """Make the file durable and drop it from the cache."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of which nothing is cached; skipped where the file system keeps all in memory."""
    path = tmp_path / "1"
    path.write_bytes(os.urandom(SIZE))
    chill(path)
    if any(cached(path)):
        pytest.skip("the temporary directory is in memory")
    return path


def share(pages: bytes) -> float:
    """How much of some pages is cached."""
    return sum(pages) / len(pages)


def test_what_was_not_cached_is_not_cached_afterwards(path: Path) -> None:
    """Though reading ahead brought more than was asked for."""
    packed(data_file(path))
    assert share(cached(path)) < 0.05


def test_what_was_cached_stays(path: Path) -> None:
    """The server's own pages, in the middle of a file that is cold before and behind them."""
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        os.pread(file.fileno(), 8 * MEBIBYTE, 8 * MEBIBYTE)
    warm = cached(path)
    assert share(warm[8 * MEBIBYTE // PAGE : 16 * MEBIBYTE // PAGE]) == 1
    packed(data_file(path))
    after = cached(path)
    assert share(after[8 * MEBIBYTE // PAGE : 16 * MEBIBYTE // PAGE]) == 1
    assert share(after[: 7 * MEBIBYTE // PAGE]) < 0.05
    assert share(after[17 * MEBIBYTE // PAGE :]) < 0.05


def test_a_cached_file_is_left_alone(path: Path) -> None:
    """As small clusters are."""
    path.read_bytes()
    packed(data_file(path))
    assert share(cached(path)) == 1


@pytest.mark.parametrize("warm", [0, 3, 12])
def test_a_small_file_is_left_as_it_was(tmp_path: Path, path: Path, warm: int) -> None:
    """It is read in one piece, whether none of its pages were cached, some, or all."""
    del path  # which is not in memory, so this one is not
    small = tmp_path / "2"
    small.write_bytes(os.urandom(12 * PAGE))
    chill(small)
    with small.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        os.pread(file.fileno(), warm * PAGE, 0)
    before = cached(small)
    assert sum(before) == warm
    stored, _ = packed(data_file(small))
    assert cached(small) == before
    assert unpacked(stored)["/base/1/2"] == small.read_bytes()


@given(
    pages=st.lists(st.booleans(), max_size=40),
    cuts=st.sets(st.integers(1, 40 * PAGE - 1), max_size=5),
)
def test_each_cold_page_is_given_up_once(pages: list[bool], cuts: set[int]) -> None:
    """However a file is cut into pieces, and never a page that was cached."""
    size = len(pages) * PAGE
    edges = [0, *sorted(cut for cut in cuts if cut < size), size]
    given_up = [
        number
        for start, stop in pairwise(edges)
        for begin, end in cold_ranges(bytes(pages), start, stop)
        for number in range(begin // PAGE, end // PAGE)
    ]
    assert given_up == [number for number, warm in enumerate(pages) if not warm]
