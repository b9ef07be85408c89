"""Reading a server's files without driving its data out of the page cache.

A backup reads every file once, and left to itself the kernel keeps those pages instead of the ones
that queries come back to. So pages that were not cached before a file was read are given up again
afterwards (POSIX_FADV_DONTNEED); those that were stay. What was cached is asked of the kernel when
the file is opened, for reading ahead soon makes every page look so (mincore(2)).

The kernel tells only the owner of a file, and whoever may write to it. For others everything looks
cached, and nothing is given up.

A file of one piece is first read as far as it is cached (RWF_NOWAIT, preadv2(2)). If that is all of
it, which takes one call, there is nothing to ask and nothing to give up.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator

from backup_core.backup.pages import fill

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = [
    *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64)
]
_LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_LIBC.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
_FAILED = ctypes.c_void_p(-1).value
_CACHED, _NOT = b"\1", b"\0"


class ServerFile:
    """An open file of `size` bytes, to be read once, and the pages of it that were not cached."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._cached: bytes | None = None

    def fill(self, piece: memoryview, offset: int) -> int:
        """Read into `piece` from `offset`; return how many bytes there were."""
        if self._cached is None:
            if len(piece) == self._size and _is_read_from_cache(self._descriptor, piece):
                return len(piece)
            self._cached = cached_pages(self._descriptor, self._size)
        return fill(self._descriptor, piece, offset)

    def give_up(self, start: int, stop: int) -> None:
        """Drop what was read between two offsets from the cache, where it was not cached before.

        As far as nobody is writing it.
        """
        if self._cached is None or _NOT not in self._cached:
            return
        for begin, end in cold_ranges(self._cached, start, stop):
            os.posix_fadvise(self._descriptor, begin, end - begin, os.POSIX_FADV_DONTNEED)


def cold_ranges(cached: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The byte ranges of uncached pages that begin from `start` on and before `stop` (pure).

    `cached` has a byte for each page, 1 if it was cached.
    """
    page = mmap.PAGESIZE
    last = -(-stop // page)
    at = cached.find(_NOT, -(-start // page), last)
    while at >= 0:
        end = cached.find(_CACHED, at, last)
        end = min(last, len(cached)) if end < 0 else end
        yield at * page, end * page
        at = cached.find(_NOT, end, last)


def _is_read_from_cache(descriptor: int, piece: memoryview) -> bool:
    """Read a file's beginning without the disk; False if not all of it is cached.

    Also where the file system cannot do so.
    """
    try:
        return os.preadv(descriptor, [piece], 0, os.RWF_NOWAIT) == len(piece)
    except OSError:
        return False


def cached_pages(descriptor: int, size: int) -> bytes:
    """A byte for each page of a file, 1 if it is cached; all 1 where the kernel does not tell."""
    pages = -(-size // mmap.PAGESIZE)
    if not pages:
        return b""
    address = _LIBC.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
    if address == _FAILED:
        return _CACHED * pages
    try:
        found = ctypes.create_string_buffer(pages)
        if _LIBC.mincore(address, size, found) != 0:
            return _CACHED * pages
        return found.raw.translate(_LOWEST_BIT)
    finally:
        _LIBC.munmap(address, size)


_LOWEST_BIT = bytes(number & 1 for number in range(256))
