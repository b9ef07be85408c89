"""Where OpenPGP's packets begin and end (RFC 4880, section 4.2), for whole messages and beginnings.

Without gpg, so that listing keys of what is stored does not load what runs it.
"""

from __future__ import annotations

from collections.abc import Iterator

from backup_core.errors import CorruptError
from backup_core.stream.chunks import ChunkReader

SESSION_KEY = 1
_INDETERMINATE = 3


def read_packet(reader: ChunkReader, name: str) -> tuple[int, Iterator[bytes]]:
    """Read a packet's header; return its tag and its body, to be read before the next packet.

    Raises CorruptError naming `name`, also while the body is read.
    """
    first = reader.exactly(1)[0]
    if first & 0xC0 == 0xC0:
        return first & 0x3F, _new_body(reader)
    if first & 0x80 == 0:
        raise CorruptError(f"{name} is damaged: there is no OpenPGP packet in it")
    kind = first & 3
    if kind == _INDETERMINATE:
        return first >> 2 & 0xF, map(bytes, reader.remainder())
    length = int.from_bytes(reader.exactly(1 << kind), "big")
    return first >> 2 & 0xF, map(bytes, reader.pieces(length))


def _new_body(reader: ChunkReader) -> Iterator[bytes]:
    """Follow lengths of the new format, partial ones up to one that is not."""
    is_partial = True
    while is_partial:
        length, is_partial = _new_length(reader)
        yield from map(bytes, reader.pieces(length))


def _new_length(reader: ChunkReader) -> tuple[int, bool]:
    first = reader.exactly(1)[0]
    if first < 192:
        return first, False
    if first < 224:
        return (first - 192 << 8) + reader.exactly(1)[0] + 192, False
    if first == 255:
        return int.from_bytes(reader.exactly(4), "big"), False
    return 1 << (first & 0x1F), True
