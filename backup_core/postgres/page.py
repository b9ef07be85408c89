"""Page checksums of data files: which pages of a buffer fail theirs.

Computed by `_pagesum`, which is compiled when the package is installed where there is a compiler,
or else by numpy. Both give the same answers; why there are two: docs/decisions/page-checksums.md.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from backup_core.postgres.lsn import Lsn

try:
    from backup_core.postgres._pagesum import wrong_pages
except ImportError:
    from backup_core.postgres.page_numpy import wrong_pages

_LSN = struct.Struct("<II")  # pd_lsn of PageHeaderData (src/include/storage/bufpage.h)
_RELATION = re.compile(
    r"(?:global|(?:base|pg_tblspc/[0-9]+/PG_[^/]+)/[0-9]+)"
    r"/[0-9]+(?:_(?:fsm|vm|init))?(?:\.([0-9]+))?"
)


@dataclass(frozen=True, kw_only=True)
class BadPage:
    """A page whose checksum is wrong: its block number in the relation, the LSN in its header."""

    block: int
    lsn: Lsn


def relation_segment(path: str) -> int | None:
    """The segment number of a relation's file, by its path relative to the data directory.

    0 without a suffix; None for a file that has no checksummed pages, temporary relations included.
    """
    match = _RELATION.fullmatch(path)
    if match is None:
        return None
    return int(match[1] or 0)


def bad_pages(
    data: bytes | bytearray | memoryview, *, first_block: int, block_size: int = 8192
) -> list[BadPage]:
    """Find the pages with a wrong checksum in a buffer of whole pages.

    `first_block` is the first page's block number in its relation, counted over all its segments:
    the checksum covers it. New pages (pd_upper 0) have no checksum and pass. Raises ValueError for
    a buffer that ends inside a page.
    """
    if len(data) % block_size:
        raise ValueError(f"{len(data)} bytes are not whole pages of {block_size}")
    view = memoryview(data)
    wrong = wrong_pages(view, first_block & 0xFFFFFFFF, block_size)
    return [
        BadPage(block=first_block + number, lsn=_lsn(view, number * block_size)) for number in wrong
    ]


def _lsn(data: memoryview, offset: int) -> Lsn:
    high, low = _LSN.unpack_from(data, offset)
    return Lsn(high << 32 | low)
