"""Which pages of a running cluster fail their checksums, and which of those matter.

The server may be writing a page while it is read. So a page that fails is read again; one that
still fails is suspect until the end of the backup is known, for WAL replay writes anew every page
that changed during the backup.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from backup_core.postgres.lsn import Lsn
from backup_core.postgres.page import BadPage, bad_pages

_REREADS = 5
_REREAD_PAUSE = 0.05


@dataclass(frozen=True, kw_only=True)
class PageLayout:
    """What page checksums need to know of the cluster; `segment_blocks` is blocks per file."""

    block_size: int
    segment_blocks: int


@dataclass(frozen=True, kw_only=True)
class SuspectPage:
    """A page whose checksum failed each time it was read; `lsn` decides whether WAL mends it."""

    path: str
    block: int
    lsn: int


def is_mended_by_wal(page: SuspectPage, start: Lsn, stop: Lsn) -> bool:
    """Tell whether replay of the backup's WAL writes the whole page anew.

    A page changed after the backup's start has its full image in the WAL; a position outside the
    backup is no proof, for it may be part of the damage.
    """
    return start <= page.lsn <= stop


def suspect_pages(
    descriptor: int, data: memoryview, offset: int, first_block: int, pages: PageLayout
) -> Iterator[BadPage]:
    """Check the whole pages in `data`, read at `offset`; yield those that fail each time.

    A page that a later read finds whole replaces the torn one in `data`. The pauses are the same
    however many pages fail: a file of garbage must not hold the backup up for hours.
    """
    whole = len(data) - len(data) % pages.block_size
    found = bad_pages(data[:whole], first_block=first_block, block_size=pages.block_size)
    for _ in range(_REREADS):
        if not found:
            break
        time.sleep(_REREAD_PAUSE)
        again = (
            _read_again(descriptor, data, offset, bad.block - first_block, bad.block, pages)
            for bad in found
        )
        found = [bad for bad in again if bad is not None]
    yield from found


def _read_again(
    descriptor: int, data: memoryview, offset: int, number: int, block: int, pages: PageLayout
) -> BadPage | None:
    start = number * pages.block_size
    page = data[start : start + pages.block_size]
    fill(descriptor, page, offset + start)
    return next(iter(bad_pages(page, first_block=block, block_size=pages.block_size)), None)


def fill(descriptor: int, piece: memoryview, offset: int) -> int:
    """Read into `piece` from `offset`; return how many bytes there were."""
    filled = 0
    while filled < len(piece):
        count = os.preadv(descriptor, [piece[filled:]], offset + filled)
        if not count:
            break
        filled += count
    return filled
