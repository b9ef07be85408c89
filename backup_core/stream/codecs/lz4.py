"""LZ4 frames, WAL-G's default (docs/decisions/codecs.md).

What is written is what WAL-G writes: blocks of 4 MiB that do not refer to each other, the content's
checksum at the end, no sizes in the header. An object is one frame, because stock WAL-G takes
whatever follows the first for garbage. Several frames are read all the same: the `lz4` program
joins files so.

The header and the content have checksums, which the library compares. A frame whose writer left the
content's out (`lz4 --no-frame-crc`) is read; nothing guards that one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lz4 import frame

from backup_core.stream.frames import decode_frames


class Lz4Encoder:
    """Makes frames of independent blocks at the fast level."""

    def __init__(self) -> None:
        self._compressor = frame.LZ4FrameCompressor(
            block_size=frame.BLOCKSIZE_MAX4MB, block_linked=False, content_checksum=True
        )
        self._is_open = False

    def encode(self, chunk: bytes | bytearray | memoryview) -> bytes:
        """Take a chunk; return the blocks that it completed."""
        return self._opening() + bytes(self._compressor.compress(chunk))

    def end_frame(self) -> bytes:
        """Return the last block, the end mark and the checksum of the content."""
        last = self._opening() + bytes(self._compressor.flush())
        self._is_open = False
        return last

    def frame(self, data: bytes | bytearray | memoryview) -> bytes:
        """Make a frame of its own at once."""
        return self.encode(data) + self.end_frame()

    def _opening(self) -> bytes:
        if self._is_open:
            return b""
        self._is_open = True
        return bytes(self._compressor.begin())


def decode(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Decompress one or more frames; raises CorruptError naming `name`."""
    return decode_frames(
        chunks,
        name,
        open_frame=frame.LZ4FrameDecompressor,
        error=RuntimeError,
        unit="last lz4 frame",
    )
