"""Codecs by their names in settings and by the extensions of objects.

zstd comes from `backports.zstd`, the standard library's module of Python 3.14 (why: see
docs/decisions/zstd-library.md). It stands here and not below `codecs`, where the others are:
`wal-push` starts once a segment, and each of its imports is counted. An object is one or more zstd
frames; each frame can be decoded without those before it, which is what makes single files of a
backup fetchable by range. The other codecs make one frame an object, for stock WAL-G stops reading
after the first.

Decoding yields bounded pieces whatever the ratio (`stream/frames.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from backup_core.errors import ConfigError, CorruptError
from backup_core.stream.chunks import CHUNK_SIZE

if sys.version_info >= (3, 14):
    import _zstd
    from compression import zstd
else:
    from backports import zstd
    from backports.zstd import _zstd

EXTENSIONS = {"zstd": "zst", "lz4": "lz4", "brotli": "br", "lzma": "lzma", "none": ""}
"""Codec name to file name extension, for every codec that can be written."""

FRAMED = ("zstd", "none")
"""The codecs whose frames may follow each other in one object."""

_READABLE = ("zst", "lz4", "br", "lzma", "gz", "lzo")
_HEADS = {"lz4": (4 << 20) + 1024, "lzo": (256 << 10) + 1024}
_HEAD = 128 << 10
_LARGEST_FRAME = 64 << 20


class Encoder(Protocol):
    """A compressor that can close a frame and go on with the next."""

    def encode(self, chunk: bytes | memoryview) -> bytes:
        """Take a chunk; return what is ready to be stored, often nothing."""

    def end_frame(self) -> bytes:
        """Close the frame; the next chunk opens another that decodes on its own."""

    def frame(self, data: bytes | bytearray | memoryview) -> bytes:
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

    def frame(self, data: bytes | bytearray | memoryview) -> bytes:
        return self._compressor.compress(data, zstd.ZstdCompressor.FLUSH_FRAME)


class _NoEncoder:
    def encode(self, chunk: bytes | memoryview) -> bytes:
        return bytes(chunk)

    def end_frame(self) -> bytes:
        return b""

    def frame(self, data: bytes | bytearray | memoryview) -> bytes:
        return bytes(data)


def encoder(method: str, *, level: int = 3) -> Encoder:
    """A fresh encoder for one object; raises ConfigError for a codec that cannot be written.

    The level is zstd's; the other codecs have one each, WAL-G's.
    """
    match method:
        case "zstd":
            return _ZstdEncoder(level)
        case "none":
            return _NoEncoder()
        case "lz4":
            from backup_core.stream.codecs import lz4

            return lz4.Lz4Encoder()
        case "brotli":
            from backup_core.stream.codecs import brotli

            return brotli.BrotliEncoder()
        case "lzma":
            from backup_core.stream.codecs import lzma

            return lzma.LzmaEncoder()
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


def encode_pieces(
    pieces: Iterable[bytes | memoryview], *, method: str, level: int
) -> Iterator[bytes]:
    """Compress a stream, each piece into a frame of its own where the codec has several."""
    if method in FRAMED:
        codec = encoder(method, level=level)
        return map(codec.frame, pieces)
    return encode(pieces, method=method, level=level)


def compress(data: bytes | bytearray | memoryview, *, method: str, level: int) -> bytes:
    """Compress data that is at hand into a frame of its own."""
    return encoder(method, level=level).frame(data)


def decode(chunks: Iterable[bytes], *, extension: str, name: str) -> Iterator[bytes]:
    """Decompress a stream by the extension of its object; raises CorruptError naming `name`.

    Yields pieces of at most 1 MiB (whole chunks where the object is not compressed).
    """
    if extension == "":
        return iter(chunks)
    return _decoder(extension, name)(chunks, name)


def split_frames(
    chunks: Iterable[bytes], *, method: str, name: str
) -> Iterator[tuple[bytes, bytes]]:
    """Yield an object in consecutive pieces, each as it is stored and what it decodes to.

    A piece is a frame where the codec has several (at most 64 MiB of content), or else whatever
    comes. Raises CorruptError.
    """
    if method == "zstd":
        yield from _split_zstd(chunks, name)
        return
    taken: list[bytes] = []

    def noted() -> Iterator[bytes]:
        for chunk in chunks:
            taken.append(bytes(chunk))
            yield chunk

    for piece in decode(noted(), extension=EXTENSIONS[method], name=name):
        yield b"".join(taken), piece
        taken.clear()
    if taken:
        yield b"".join(taken), b""


def _split_zstd(chunks: Iterable[bytes], name: str) -> Iterator[tuple[bytes, bytes]]:
    frame, stored, content = zstd.ZstdDecompressor(), bytearray(), bytearray()
    for chunk in chunks:
        pending = chunk
        while pending or not frame.needs_input:
            try:
                content += frame.decompress(pending, CHUNK_SIZE)
            except zstd.ZstdError as problem:
                raise CorruptError(f"{name} is damaged: {problem}") from None
            if len(content) > _LARGEST_FRAME:
                raise CorruptError(f"{name} has a frame of more than {_LARGEST_FRAME} bytes")
            rest = frame.unused_data if frame.eof else b""
            stored += pending[: len(pending) - len(rest)]
            pending = rest
            if frame.eof:
                yield bytes(stored), bytes(content)
                frame, stored, content = zstd.ZstdDecompressor(), bytearray(), bytearray()
    if stored:
        raise CorruptError(f"{name} is cut off: its last zstd frame is not complete")


def zstd_library() -> str:
    """The path of the shared library that has zstd; whether it shows its functions is its own."""
    return str(_zstd.__file__)


def head_size(extension: str) -> int:
    """How many stored bytes surely decode to the first page: some codecs need a whole block."""
    return _HEADS.get(extension, _HEAD)


def _decoder(extension: str, name: str) -> Callable[[Iterable[bytes], str], Iterator[bytes]]:
    match extension:
        case "zst":
            return _decode_zstd
        case "lz4":
            from backup_core.stream.codecs import lz4

            return lz4.decode
        case "br":
            from backup_core.stream.codecs import brotli

            return brotli.decode
        case "lzma":
            from backup_core.stream.codecs import lzma

            return lzma.decode
        case "gz":
            from backup_core.stream.codecs import gzip

            return gzip.decode
        case "lzo":
            from backup_core.stream.codecs import lzop

            return lzop.decode
    raise CorruptError(
        f'{name} is compressed by a codec that cannot be read: ".{extension}"',
        hint=f"This version reads: {', '.join(_READABLE)}.",
    )


def _decode_zstd(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    from backup_core.stream.frames import decode_frames

    return decode_frames(
        chunks,
        name,
        open_frame=zstd.ZstdDecompressor,
        error=zstd.ZstdError,
        unit="last zstd frame",
    )
