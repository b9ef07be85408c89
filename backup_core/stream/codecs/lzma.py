"""LZMA in the old container of `.lzma` files ("LZMA alone"), which is WAL-G's, not xz's.

The container is 13 bytes: the coder's properties, the dictionary's size, and the content's size or
-1 and then a mark at the end. It has **no checksum**. What guards it: the range coder must come out
at exactly zero where the content ends, which damage nearly always prevents (not in the first two
bytes, where a flipped bit can change one letter and nothing else); a partition's files are held
against the digests of the backup's index, and PostgreSQL has a CRC in each WAL record. A file in
another tool's backup has its page checksums only. Truncation and bytes after the end are errors.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Iterator

from backup_core.stream.frames import Frame, decode_frames

_MOST_MEMORY = 80 << 20
"""Enough for the dictionary of `xz -9`, 64 MiB; WAL-G's has 8 MiB."""


class LzmaEncoder:
    """Writes the properties that WAL-G does: lc=3 lp=0 pb=2, 8 MiB dictionary, end mark."""

    def __init__(self) -> None:
        self._compressor = lzma.LZMACompressor(lzma.FORMAT_ALONE, preset=6)

    def encode(self, chunk: bytes | bytearray | memoryview) -> bytes:
        """Take a chunk; return what is ready, at first the header."""
        return self._compressor.compress(chunk)

    def end_frame(self) -> bytes:
        """Return the rest with the end mark."""
        last = self._compressor.flush()
        self._compressor = lzma.LZMACompressor(lzma.FORMAT_ALONE, preset=6)
        return last

    def frame(self, data: bytes | bytearray | memoryview) -> bytes:
        """Make a stream of its own at once."""
        return self.encode(data) + self.end_frame()


def decode(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Decompress a stream of known or unknown size; raises CorruptError naming `name`."""
    return decode_frames(
        chunks,
        name,
        open_frame=_open,
        error=lzma.LZMAError,
        unit="lzma stream",
        several=False,
    )


def _open() -> Frame:
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MOST_MEMORY)
