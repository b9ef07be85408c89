"""Codecs by their file name extension.

zstd comes from `backports.zstd`, the standard library's module of Python 3.14 (why: see
docs/decisions/zstd-library.md). An object is one or more zstd frames; each frame can be decoded
without those before it, which is what makes single files of a backup fetchable by range.
Decoding yields bounded pieces whatever the ratio, and an object cut off in mid-frame is an error,
as is one without a byte.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Protocol

from backup_core.errors import ConfigError, CorruptError
from backup_core.stream.chunks import CHUNK_SIZE

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

EXTENSIONS = {"zstd": "zst", "none": ""}
"""Codec name to file name extension, for every codec this build reads and writes."""


class Encoder(Protocol):
    """A compressor that can close a frame and go on with the next."""

    def encode(self, chunk: bytes | memoryview) -> bytes:
        """Take a chunk; return what is ready to be stored, often nothing."""

    def end_frame(self) -> bytes:
        """Close the frame; the next chunk opens another that decodes on its own."""

    def frame(self, data: bytes | bytearray) -> bytes:
        """Make a frame of its own at once."""


class _ZstdEncoder:
    def __init__(self, level: int) -> None:
        parameter = zstd.CompressionParameter
        self._compressor = zstd.ZstdCompressor(
            options={parameter.compression_level: level, parameter.checksum_flag: 1}
        )

    def encode(self, chunk: bytes | memoryview) -> bytes:
        return self._compressor.compress(chunk)

    def end_frame(self) -> bytes:
        return self._compressor.flush(zstd.ZstdCompressor.FLUSH_FRAME)

    def frame(self, data: bytes | bytearray) -> bytes:
        return self._compressor.compress(data, zstd.ZstdCompressor.FLUSH_FRAME)


class _NoEncoder:
    def encode(self, chunk: bytes | memoryview) -> bytes:
        return bytes(chunk)

    def end_frame(self) -> bytes:
        return b""

    def frame(self, data: bytes | bytearray) -> bytes:
        return bytes(data)


def encoder(method: str, *, level: int = 3) -> Encoder:
    """A fresh encoder for one object; raises ConfigError for a codec that cannot be written."""
    if method == "zstd":
        return _ZstdEncoder(level)
    if method == "none":
        return _NoEncoder()
    raise ConfigError(
        f'compression method "{method}" is not available for writing',
        hint=f"Choose one of: {', '.join(EXTENSIONS)}.",
    )


def encode(chunks: Iterable[bytes | memoryview], *, method: str, level: int) -> Iterator[bytes]:
    """Compress a stream into a single frame."""
    codec = encoder(method, level=level)
    for chunk in chunks:
        if ready := codec.encode(chunk):
            yield ready
    if last := codec.end_frame():
        yield last


def compress(data: bytes | bytearray, *, method: str, level: int) -> bytes:
    """Compress data that is at hand into a frame of its own."""
    return encoder(method, level=level).frame(data)


def decode(chunks: Iterable[bytes], *, extension: str, name: str) -> Iterator[bytes]:
    """Decompress a stream by the extension of its object; raises CorruptError naming `name`.

    Yields pieces of at most 1 MiB (whole chunks where the object is not compressed).
    """
    if extension == "":
        return iter(chunks)
    if extension == "zst":
        return _decode_zstd(chunks, name)
    raise CorruptError(
        f'{name} is compressed by a codec that cannot be read: ".{extension}"',
        hint=f"This version reads: {', '.join(filter(None, EXTENSIONS.values()))}.",
    )


def _decode_zstd(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    frame, empty = None, True
    for chunk in chunks:
        pending, empty = chunk, empty and not chunk
        while pending or (frame is not None and not frame.needs_input):
            frame = frame or zstd.ZstdDecompressor()
            try:
                piece = frame.decompress(pending, CHUNK_SIZE)
            except zstd.ZstdError as error:
                raise CorruptError(f"{name} is damaged: {error}") from None
            pending = b""
            if frame.eof:
                pending, frame = frame.unused_data, None
            if piece:
                yield piece
    if frame is not None or empty:
        raise CorruptError(f"{name} is cut off: its last zstd frame is not complete")
