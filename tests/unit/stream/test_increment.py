"""WAL-G's increments: each page is handed out at its place, or the increment is refused."""

import struct
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError
from backup_core.stream.increment import Increment, read_increment
from tests.support.streams import SIZES, cut
from tests.support.walg_backup import increment

PAGE = 16
CONTENT = bytes(range(8 * PAGE))
BLOCKS = st.lists(st.integers(0, 7), unique=True, max_size=8)


def read(chunks: Iterable[bytes], size: int) -> tuple[Increment, dict[int, bytes]]:
    """Read an increment: what it says, and the pages by block number."""
    found, runs = read_increment(chunks, size=size, page_size=PAGE, name="base/1/2")
    image = bytearray(1 << 12)
    touched: set[int] = set()
    for run in runs:
        assert len(run.data)
        image[run.offset : run.offset + len(run.data)] = run.data
        touched |= set(range(run.offset, run.offset + len(run.data)))
    return found, {
        block: bytes(image[block * PAGE : (block + 1) * PAGE])
        for block in sorted({byte // PAGE for byte in touched})
    }


@given(blocks=BLOCKS, sizes=SIZES)
def test_each_page_is_handed_out_at_its_place(blocks: Sequence[int], sizes: Sequence[int]) -> None:
    """In any order of blocks, since only WAL-G's own reader needs them ascending."""
    data = increment(CONTENT, blocks, page_size=PAGE)
    found, pages = read(cut(data, sizes), len(data))
    assert found.file_size == len(CONTENT)
    assert list(found.blocks) == blocks
    assert pages == {block: CONTENT[block * PAGE : (block + 1) * PAGE] for block in sorted(blocks)}


def test_pages_that_follow_each_other_come_together() -> None:
    """One write instead of many."""
    data = increment(CONTENT, [1, 2, 3, 6], page_size=PAGE)
    _, runs = read_increment([data], size=len(data), page_size=PAGE, name="base/1/2")
    assert [(run.offset, len(run.data)) for run in runs] == [(PAGE, 3 * PAGE), (6 * PAGE, PAGE)]


def document(file_size: int, blocks: Sequence[int], *, magic: bytes = b"wi1U") -> bytes:
    """An increment with any header, whose pages are zeros."""
    head = struct.pack(f"<4sQI{len(blocks)}I", magic, file_size, len(blocks), *blocks)
    return head + bytes(PAGE * len(blocks))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (document(64, [0], magic=b"wi1V"), "does not begin with"),
        (document(64, [0], magic=b"wo1U"), "does not begin with"),
        (document(65, [0]), "not whole pages"),
        (document(64, [4]), "past the end"),
        (document(64, [0xFFFFFFFF]), "past the end"),
        (document(64, [1, 1]), "a block twice"),
        (document(16, [0, 0]), "2 pages of a file"),
        (document(0, [0]), "1 pages of a file"),
        (document(64, [1, 2])[:-1], "not what 2 pages take"),
        (document(64, [1, 2]) + b"x", "not what 2 pages take"),
        (b"wi1U", "it has 4 bytes"),
        (b"", "it has 0 bytes"),
    ],
)
def test_an_increment_that_contradicts_itself_is_refused(data: bytes, words: str) -> None:
    """Before a page of it is handed out; the error names the file."""
    with pytest.raises(CorruptError, match=f"base/1/2.*{words}"):
        read_increment([data], size=len(data), page_size=PAGE, name="base/1/2")


def test_a_monstrous_number_of_pages_is_refused_before_memory_is_taken() -> None:
    """The archive's size of the increment is what bounds it."""
    data = struct.pack("<4sQI", b"wi1U", 1 << 60, 0xFFFFFFFF)
    with pytest.raises(CorruptError, match="4294967295 pages"):
        read_increment([data], size=1000, page_size=PAGE, name="base/1/2")


def test_an_increment_that_ends_early_is_refused() -> None:
    """Though its header and the archive agree."""
    data = increment(CONTENT, [1, 2], page_size=PAGE)
    with pytest.raises(CorruptError, match="ends early"):
        read([data[:-1]], len(data))


def test_an_increment_that_goes_on_is_refused() -> None:
    """WAL-G's reader passes over such bytes in some of its modes."""
    data = increment(CONTENT, [1, 2], page_size=PAGE)
    with pytest.raises(CorruptError, match="goes on"):
        read([data, b"\0"], len(data))


@given(blocks=BLOCKS, at=st.integers(0, 10_000), bit=st.integers(0, 7), shorter=st.booleans())
def test_d22_a_damaged_increment_is_refused_at_once_or_differs_only_where_it_was_damaged(
    blocks: Sequence[int], at: int, bit: int, shorter: bool
) -> None:
    """WAL-G tries a damaged object for an hour; pages are told apart by the archive's checksum."""
    data = bytearray(increment(CONTENT, blocks, page_size=PAGE))
    size, at = len(data), at % len(data)
    if shorter:
        del data[at:]
    else:
        data[at] ^= 1 << bit
    try:
        found, pages = read([bytes(data)], size)
    except CorruptError:
        return
    assert not shorter
    assert len(found.blocks) == len(blocks)
    assert set(pages) == set(found.blocks)
