"""WAL-G's increments: the pages of a file that changed since an older backup.

    4 bytes  "wi1U"
    8        size of the file when it was backed up
    4        number of pages
    4 each   their block numbers, counted from the beginning of this file
    ...      the pages, in the same order

All integers are little-endian. WAL-G writes the numbers in ascending order, but its readers
disagree whether they must be, so any order is read, and a number that comes twice is not: which of
the two pages is meant, nobody can tell.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from sys import byteorder

from backup_core.errors import CorruptError
from backup_core.stream.chunks import ChunkReader

MAGIC = b"wi1U"
_HEADER = struct.Struct("<4sQI")
_NUMBER = 4


@dataclass(frozen=True, kw_only=True)
class Increment:
    """What an increment says of its file before the pages come; sizes in bytes.

    `blocks` are distinct, in the order of the pages, and lie within `file_size`.
    """

    file_size: int
    page_size: int
    blocks: array[int]

    @property
    def file_blocks(self) -> int:
        """The number of pages that the file had."""
        return self.file_size // self.page_size


@dataclass(frozen=True, kw_only=True)
class PageRun:
    """Bytes at an offset: a whole page, or a piece of pages that follow each other."""

    offset: int
    data: memoryview


def read_increment(
    chunks: Iterable[bytes | memoryview], *, size: int, page_size: int, name: str
) -> tuple[Increment, Iterator[PageRun]]:
    """Read an increment's list of blocks, and yield its pages as they come.

    `size` is what the archive says of the whole increment. Raises CorruptError naming `name` when
    the list does not fit that, at once or, if the stream ends early, while pages are read; nothing
    is allocated for a list that cannot be.
    """
    reader = ChunkReader(map(bytes, chunks), name=name)
    if size < _HEADER.size:
        raise CorruptError(f"{name} is no increment: it has {size} bytes")
    magic, file_size, count = _HEADER.unpack(reader.exactly(_HEADER.size))
    if magic != MAGIC:
        raise CorruptError(f'{name} is no increment: it does not begin with "wi1U"')
    if size != _HEADER.size + count * (_NUMBER + page_size):
        raise CorruptError(f"{name} has {size} bytes, which is not what {count} pages take")
    if file_size % page_size:
        raise CorruptError(f"{name} is of a file of {file_size} bytes, which are not whole pages")
    if count > file_size // page_size:
        raise CorruptError(f"{name} has {count} pages of a file of {file_size} bytes")
    blocks = array("I", reader.exactly(count * _NUMBER))
    if byteorder == "big":
        blocks.byteswap()
    if count and max(blocks) >= file_size // page_size:
        raise CorruptError(f"{name} has block {max(blocks)}, past the end of its file")
    if len(set(blocks)) != count:
        raise CorruptError(f"{name} has a block twice")
    increment = Increment(file_size=file_size, page_size=page_size, blocks=blocks)
    return increment, _pages(reader, increment, name)


def _pages(reader: ChunkReader, increment: Increment, name: str) -> Iterator[PageRun]:
    for block, count in _runs(increment.blocks):
        offset = block * increment.page_size
        for piece in reader.pieces(count * increment.page_size):
            yield PageRun(offset=offset, data=piece)
            offset += len(piece)
    for rest in reader.remainder():
        if rest:
            raise CorruptError(f"{name} goes on after its last page")


def _runs(blocks: array[int]) -> Iterator[tuple[int, int]]:
    """Blocks that follow each other, as the first of them and their number."""
    start = 0
    for at in range(1, len(blocks) + 1):
        if at == len(blocks) or blocks[at] != blocks[at - 1] + 1:
            yield blocks[start], at - start
            start = at
