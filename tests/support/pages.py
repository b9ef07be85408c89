"""Data pages with right checksums, by a slow and obvious reading of checksum_impl.h."""

import struct

from backup_core.postgres.lsn import Lsn
from backup_core.postgres.page_numpy import SEEDS

BLOCK = 8192
U32 = 0xFFFFFFFF
LSN = Lsn.parse("16/B374D848")


def page_checksum(page: bytes | bytearray, block: int) -> int:
    """The checksum of one page, word by word."""
    words = struct.unpack(f"<{len(page) // 4}I", page[:8] + b"\0\0" + page[10:])
    sums = [int(seed) for seed in SEEDS]
    for position, word in enumerate([*words, *[0] * 64]):
        mixed = sums[position % 32] ^ word
        sums[position % 32] = (mixed * 16777619 ^ mixed >> 17) & U32
    result = block
    for lane in sums:
        result ^= lane
    return result % 65535 + 1


def new_page(content: bytes, *, upper: int = 1000, lsn: int = LSN) -> bytearray:
    """A page with a header of the server's shape, filled up with `content`; no checksum yet."""
    header = struct.pack("<IIHHHHHHI", lsn >> 32, lsn & U32, 0, 0, 24, upper, BLOCK, BLOCK | 4, 0)
    return bytearray((header + content * BLOCK)[:BLOCK])


def page(content: bytes, block: int, *, size: int = BLOCK) -> bytearray:
    """A page of `size` bytes with the right checksum for its block number."""
    made = new_page(content)[:size].ljust(size, b"\x5a")
    struct.pack_into("<H", made, 8, page_checksum(made, block))
    return made
