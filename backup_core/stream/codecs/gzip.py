"""gzip files, which WAL-G reads and once wrote.

`zlib` rather than the standard library's `gzip`: that one passes over zeros after the last member
and wants a file. Each member's CRC and length are compared; what follows the last member must be
another one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from backup_core.stream.frames import decode_frames

_GZIP = 16 + zlib.MAX_WBITS


class _Member:
    """zlib's decompressor, which leaves input that it had no room for to its caller."""

    def __init__(self) -> None:
        self._decompressor = zlib.decompressobj(_GZIP)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._decompressor.eof

    @property
    def unused_data(self) -> bytes:
        return self._decompressor.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        left = self._decompressor.unconsumed_tail
        piece = self._decompressor.decompress(left + data if left else data, max_length)
        self.needs_input = len(piece) < max_length
        return piece


def decode(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Decompress one or more members; raises CorruptError naming `name`."""
    return decode_frames(
        chunks, name, open_frame=_Member, error=zlib.error, unit="last gzip member"
    )
