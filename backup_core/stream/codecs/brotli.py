"""Brotli streams, at WAL-G's quality (docs/decisions/codecs.md).

A brotli stream has neither magic nor **checksum**, so a flipped bit often decodes to other content
without a word. What guards it: a partition's files are held against the digests of the backup's
index, a WAL segment's page headers are checked here and each record's CRC by PostgreSQL. A file in
another tool's backup has its page checksums only. Truncation and bytes after the end are errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import brotli

from backup_core.stream.frames import decode_frames

_QUALITY = 3
_LIMIT = 256 << 10
"""The library ends a call once it is past this, at less than twice as much."""


class BrotliEncoder:
    """Makes streams at quality 3 with the default window of 4 MiB."""

    def __init__(self) -> None:
        self._compressor = brotli.Compressor(quality=_QUALITY)

    def encode(self, chunk: bytes | bytearray | memoryview) -> bytes:
        """Take a chunk; return what is ready."""
        return bytes(self._compressor.process(chunk))

    def end_frame(self) -> bytes:
        """Return the rest of the stream."""
        last = bytes(self._compressor.finish())
        self._compressor = brotli.Compressor(quality=_QUALITY)
        return last

    def frame(self, data: bytes | bytearray | memoryview) -> bytes:
        """Make a stream of its own at once."""
        return self.encode(data) + self.end_frame()


class _Stream:
    """Google's decoder in the shape of the standard library's; it refuses what follows the end.

    It accepts more data as soon as it has taken all it was given, though output may be waiting.
    """

    unused_data = b""

    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return bool(self._decompressor.is_finished())

    def decompress(self, data: bytes, max_length: int) -> bytes:
        limit = min(_LIMIT, max_length)
        piece = bytes(self._decompressor.process(data, output_buffer_limit=limit))
        self.needs_input = len(piece) < limit and self._decompressor.can_accept_more_data()
        return piece


def decode(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Decompress one stream; raises CorruptError naming `name`."""
    return decode_frames(
        chunks,
        name,
        open_frame=_Stream,
        error=brotli.error,
        unit="brotli stream",
        several=False,
    )
