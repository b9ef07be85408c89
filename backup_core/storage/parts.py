"""Cutting a stream into the parts of an upload, each held in memory so that it can be sent again.

The length of a stream is not known before its end, and S3 takes 10,000 parts at most. So parts
begin small and grow, and whatever the length, it fits (Amazon S3 User Guide, "Multipart upload
limits").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from backup_core.storage.base import Chunk

MAX_PARTS = 10_000
_PARTS_A_STEP = 1000
_MIB = 1 << 20
_LARGEST = 5 << 30


@dataclass(frozen=True, kw_only=True)
class Part:
    """A piece of the stream; `number` counts from 1, `last` tells that nothing follows."""

    number: int
    chunks: tuple[bytes, ...]
    last: bool

    @property
    def size(self) -> int:
        """Bytes in the part."""
        return sum(map(len, self.chunks))


def part_sizes(first: int, size_hint: int | None = None) -> Iterator[int]:
    """Yield the sizes of the parts in bytes; `size_hint` makes them even if it is kept to.

    Every thousand parts the size doubles, which passes 5 TiB before the 10,000th.
    """
    if size_hint is not None:
        needed = -(-size_hint // MAX_PARTS)
        first = max(first, -(-needed // _MIB) * _MIB)
    for number in range(MAX_PARTS):
        yield min(_LARGEST, first << number // _PARTS_A_STEP)


def cut(chunks: Iterable[Chunk], sizes: Iterator[int]) -> Iterator[Part]:
    """Yield parts of exactly these sizes, the last smaller or empty; there is always one.

    Chunks are copied only if their owner may change them, and where two parts meet.
    """
    held: list[bytes] = []
    room, number = next(sizes), 1
    for chunk in chunks:
        rest = chunk if isinstance(chunk, bytes) else bytes(chunk)
        while len(rest) > room:
            yield Part(number=number, chunks=(*held, rest[:room]), last=False)
            rest = rest[room:]
            held, room, number = [], next(sizes), number + 1
        if rest:
            held.append(rest)
            room -= len(rest)
    yield Part(number=number, chunks=tuple(held), last=True)
