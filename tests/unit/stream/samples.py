"""The same content in every form that an archive may hold, written by others where they can."""

import gzip
import random
import struct
import zlib

from lzallright import LZOCompressor

from backup_core.stream.compress import EXTENSIONS, compress

TEXT = b"a relation's pages repeat themselves " * 8
CONTENT = TEXT + random.Random(1).randbytes(200)

UNCHECKED = ("br", "lzma")
"""Extensions of the formats that have no checksum."""

LZOP_MAGIC = b"\x89LZO\0\r\n\x1a\n"
ADLER32_CONTENT, ADLER32_STORED, EXTRA_FIELD = 0x1, 0x2, 0x40
CRC32_CONTENT, CRC32_STORED, CRC32_HEADER = 0x100, 0x200, 0x1000
EVERY_CHECKSUM = ADLER32_CONTENT | ADLER32_STORED | CRC32_CONTENT | CRC32_STORED
WAL_E_FLAGS = 0x03000000 | 0xC | ADLER32_CONTENT


def lzop_file(
    *blocks: bytes, flags: int = WAL_E_FLAGS, method: int = 1, version: int = 0x1040
) -> bytes:
    """An lzop file of these blocks, as the program's source describes it."""
    header = struct.pack(
        ">HHHBBIIIIB", version, 0x20A0, 0x0940, method, 5, flags, 0o100600, 0, 0, 0
    )
    checksum = zlib.crc32 if flags & CRC32_HEADER else zlib.adler32
    extra = struct.pack(">I", 5) + b"extra"
    return b"".join(
        [
            LZOP_MAGIC,
            header + _number(checksum(header)),
            extra + _number(checksum(extra)) if flags & EXTRA_FIELD else b"",
            *(_lzop_block(block, flags) for block in blocks),
            _number(0),
        ]
    )


def _lzop_block(content: bytes, flags: int) -> bytes:
    packed = LZOCompressor().compress(content)
    stored = packed if len(packed) < len(content) else content
    sums = _sums(content, flags, ADLER32_CONTENT, CRC32_CONTENT)
    if len(stored) < len(content):
        sums += _sums(stored, flags, ADLER32_STORED, CRC32_STORED)
    return _number(len(content)) + _number(len(stored)) + sums + stored


def _sums(data: bytes, flags: int, adler32: int, crc32: int) -> bytes:
    sums = b""
    if flags & adler32:
        sums += _number(zlib.adler32(data))
    if flags & crc32:
        sums += _number(zlib.crc32(data))
    return sums


def _number(number: int) -> bytes:
    return struct.pack(">I", number)


STORED = {
    **{
        extension: compress(CONTENT, method=method, level=3)
        for method, extension in EXTENSIONS.items()
        if extension
    },
    "gz": gzip.compress(CONTENT, mtime=0),
    "lzo": lzop_file(TEXT, CONTENT[len(TEXT) :]),
}
"""CONTENT by extension."""
