"""Files of the `lzop` program, which is how WAL-E compressed whatever it stored.

The container is read here; its blocks are decoded by `lzallright` (docs/decisions/codecs.md).
WAL-E's files have an Adler-32 of each block's content. CRC-32, and checksums of the compressed
bytes, which other settings of lzop give, are compared where the flags announce them.

lzop cuts its input into blocks of 256 KiB. Longer ones are refused, because a block has to be in
memory as a whole, and for a moment up to 255 times its stored size if it is damaged.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator

from lzallright import LZOCompressor, LZOError

from backup_core.errors import CorruptError
from backup_core.stream.chunks import ChunkReader

_MAGIC = b"\x89LZO\0\r\n\x1a\n"
_OLDEST_VERSION = 0x0940
_METHODS = (1, 2, 3)
_LONGEST_BLOCK = 256 << 10

_ADLER32_CONTENT = 0x1
_ADLER32_STORED = 0x2
_EXTRA_FIELD = 0x40
_CRC32_CONTENT = 0x100
_CRC32_STORED = 0x200
_MULTIPART = 0x400
_FILTER = 0x800
_CRC32_HEADER = 0x1000

_FIXED_HEADER = struct.Struct(">HHHBBIIIIB")
_NUMBER = struct.Struct(">I")
_Checksum = Callable[[bytes], int]


def decode(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Yield the content of an lzop file block by block; raises CorruptError naming `name`."""
    reader = ChunkReader(chunks, name=name)
    if reader.exactly(len(_MAGIC)) != _MAGIC:
        raise CorruptError(f"{name} is damaged: it does not begin as lzop files do")
    flags = _read_header(reader, name)
    while size := _number(reader):
        yield _read_block(reader, size, flags, name)
    if next(reader.remainder(), None) is not None:
        raise CorruptError(f"{name} is damaged: there are bytes after its last block")


def _read_header(reader: ChunkReader, name: str) -> int:
    """Read up to the first block; return the flags, which say what checksums follow."""
    fixed = reader.exactly(_FIXED_HEADER.size)
    version, _, _, method, _, flags, _, _, _, name_length = _FIXED_HEADER.unpack(fixed)
    checksum: _Checksum = zlib.crc32 if flags & _CRC32_HEADER else zlib.adler32
    _compare_header(reader, fixed + reader.exactly(name_length), checksum, name)
    if version < _OLDEST_VERSION or method not in _METHODS or flags & (_FILTER | _MULTIPART):
        raise CorruptError(f"{name} is an lzop file of a kind that WAL-E never wrote")
    if flags & _EXTRA_FIELD:
        length = _number(reader)
        if length > _LONGEST_BLOCK:
            raise CorruptError(f"{name} is damaged: its header would have {length} more bytes")
        extra = _NUMBER.pack(length) + reader.exactly(length)
        _compare_header(reader, extra, checksum, name)
    return int(flags)


def _read_block(reader: ChunkReader, size: int, flags: int, name: str) -> bytes:
    stored_size = _number(reader)
    if not 0 < stored_size <= size <= _LONGEST_BLOCK:
        raise CorruptError(f"{name} is damaged: a block of {size} bytes is stored in {stored_size}")
    is_compressed = stored_size < size
    sums = _announced(reader, flags, _ADLER32_CONTENT, _CRC32_CONTENT)
    stored_sums = _announced(reader, flags, _ADLER32_STORED, _CRC32_STORED) if is_compressed else []
    block = reader.exactly(stored_size)
    _compare(block, stored_sums, name)
    if is_compressed:
        block = _decompress(block, size, name)
    _compare(block, sums, name)
    return block


def _decompress(block: bytes, size: int, name: str) -> bytes:
    try:
        content: bytes = LZOCompressor.decompress(block, size)
    except LZOError:
        raise CorruptError(f"{name} is damaged: a block cannot be decoded") from None
    if len(content) != size:
        raise CorruptError(f"{name} is damaged: a block of {size} bytes decodes to {len(content)}")
    return content


def _announced(
    reader: ChunkReader, flags: int, adler32: int, crc32: int
) -> list[tuple[_Checksum, int]]:
    """Read the checksums that the flags announce, Adler-32 before CRC-32."""
    kinds: list[tuple[int, _Checksum]] = [(adler32, zlib.adler32), (crc32, zlib.crc32)]
    return [(checksum, _number(reader)) for flag, checksum in kinds if flags & flag]


def _compare(block: bytes, sums: list[tuple[_Checksum, int]], name: str) -> None:
    if any(checksum(block) != expected for checksum, expected in sums):
        raise CorruptError(f"{name} is damaged: the checksum of a block is wrong")


def _compare_header(reader: ChunkReader, data: bytes, checksum: _Checksum, name: str) -> None:
    if checksum(data) != _number(reader):
        raise CorruptError(f"{name} is damaged: the checksum of its header is wrong")


def _number(reader: ChunkReader) -> int:
    number: int = _NUMBER.unpack(reader.exactly(_NUMBER.size))[0]
    return number
