"""A stream cut into the equal blocks that encryption wants, the last one shorter.

Every block is a copy: what a store is given may be a buffer that its owner fills again, and age has
to hold a block back until it knows whether another follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backup_core.errors import CorruptError

Chunk = bytes | bytearray | memoryview


def cut(chunks: Iterable[Chunk], size: int) -> Iterator[bytes]:
    """Yield blocks of `size` bytes, then one that is shorter and may be empty."""
    held = bytearray()
    for chunk in chunks:
        view = memoryview(chunk)
        at = 0
        if held:
            at = min(size - len(held), len(view))
            held += view[:at]
            if len(held) < size:
                continue
            yield bytes(held)
            held.clear()
        while len(view) - at >= size:
            yield bytes(view[at : at + size])
            at += size
        held += view[at:]
    yield bytes(held)


def slice_of(chunks: Iterable[bytes], start: int, stop: int | None) -> Iterator[bytes]:
    """Yield the bytes from `start` to before `stop`, drawing no chunk after those."""
    at = 0
    if stop is not None and stop <= start:
        return
    for chunk in chunks:
        piece = chunk[max(0, start - at) : None if stop is None else stop - at]
        at += len(chunk)
        if piece:
            yield bytes(piece)
        if stop is not None and at >= stop:
            return


def take_head(
    chunks: Iterable[bytes], end_of_head: bytes, *, longest: int, name: str
) -> tuple[bytes, Iterator[bytes]]:
    """Split a stream after the line that `end_of_head` begins, newline included.

    Raises CorruptError if there is none within `longest` bytes.
    """
    rest = iter(chunks)
    head = bytearray()
    for chunk in rest:
        head += chunk
        begin = head.find(end_of_head)
        end = -1 if begin < 0 else head.find(b"\n", begin + len(end_of_head))
        if 0 <= end < longest:
            return bytes(head[: end + 1]), rejoined(bytes(head[end + 1 :]), rest)
        if len(head) > longest:
            break
    raise CorruptError(f"{name} is damaged or cut off: its encryption header does not end")


def take_some(chunks: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """Draw at least `size` bytes if there are so many; return them, and the stream with them."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= size:
            break
    return head, rejoined(head, chunks)


def rejoined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what was drawn already, and then the rest."""
    if first:
        yield first
    yield from rest
