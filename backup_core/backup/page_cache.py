"""Reading a server's files without driving its data out of the page cache.

A backup reads every file once, and left to itself the kernel keeps those pages instead of the ones
that queries come back to. So pages that were not cached before a file was read are given up again
afterwards (POSIX_FADV_DONTNEED); those that were stay. What was cached is asked of the kernel when
the file is opened, for reading ahead soon makes every page look so: whether all of it was by
cachestat(2), which is one call but not on kernels before 6.5, and which pages were by mincore(2).

The kernel tells only the owner of a file, and whoever may write to it. For others everything looks
cached, and nothing is given up.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = [
    *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64)
]
_LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_LIBC.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
_SYSCALL = ctypes.PyDLL(None, use_errno=True).syscall
"""Without leaving the interpreter's lock, for calls that take less time than getting it back."""
_CACHESTAT = 451
_Range = ctypes.c_uint64 * 2
"""An offset and a length."""
_Counts = ctypes.c_uint64 * 5
"""Of cached pages first; then of four kinds that are not asked for."""
_FAILED = ctypes.c_void_p(-1).value
_CACHED, _NOT = b"\1", b"\0"


class ColdPages:
    """The pages of an open file that were not cached when it was opened."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._cached = b"" if _is_cached(descriptor, size) else cached_pages(descriptor, size)
        self._any_cold = _NOT in self._cached

    def give_up(self, start: int, stop: int) -> None:
        """Drop those between two offsets from the cache, as far as nobody is writing them."""
        if not self._any_cold:
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


def _is_cached(descriptor: int, size: int) -> bool:
    """Whether every page of a file is cached; False where the kernel does not tell."""
    whole, counts = _Range(0, size), _Counts()
    arguments = (ctypes.c_long(_CACHESTAT), ctypes.c_int(descriptor))
    found = _SYSCALL(*arguments, ctypes.byref(whole), ctypes.byref(counts), ctypes.c_uint(0))
    return bool(found == 0 and counts[0] == -(-size // mmap.PAGESIZE))


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
