"""Decoding a whole zstd frame in one call, into memory that is used again.

The module that decodes streams copies every byte twice more on its way, and asks for fresh memory
each time. A frame that is at hand, and whose size is known, needs neither: zstd's own function
(ZSTD_decompressDCtx, zstd.h) puts the content where it is wanted. It is called in the libzstd that
module brings along; where that one does not show it, `can_decode` says so. Measured in
docs/decisions/zstd-library.md.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

from backup_core.errors import CorruptError
from backup_core.stream.compress import zstd_library

LARGEST = 8 << 20
"""The largest content that is decoded here, in bytes: memory is kept for as much."""


def _load() -> ctypes.CDLL | None:
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(zstd_library())
        library.ZSTD_createDCtx.restype = ctypes.c_void_p
        library.ZSTD_freeDCtx.argtypes = [ctypes.c_void_p]
        library.ZSTD_isError.argtypes = [ctypes.c_size_t]
        decompress = library.ZSTD_decompressDCtx
        decompress.restype = ctypes.c_size_t
        decompress.argtypes = [
            *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
        ]
        return library
    return None


_ZSTD = _load()


class WholeFrames:
    """Decodes one frame after the other, for one thread; `close` gives the memory back."""

    def __init__(self) -> None:
        self._context: int | None = None
        self._memory = (ctypes.c_char * 0)()

    def can_decode(self, extension: str, size: int) -> bool:
        """Whether a frame of this codec and with this many bytes of content can be decoded here."""
        return _ZSTD is not None and extension == "zst" and size <= LARGEST

    def decode(self, stored: bytes, *, size: int, name: str) -> memoryview:
        """The content of a frame, `size` bytes; it is overwritten by the next.

        Raises CorruptError, naming `name`, for what is not a frame with exactly that content.
        """
        assert _ZSTD is not None
        context = self._context or self._begin(_ZSTD)
        found = _ZSTD.ZSTD_decompressDCtx(context, self._memory, size, stored, len(stored))
        if _ZSTD.ZSTD_isError(found) or found != size:
            raise CorruptError(f"{name} is damaged: it is not a zstd frame of {size} bytes")
        return memoryview(self._memory).cast("B")[:size]

    def close(self) -> None:
        """Give the memory back."""
        if _ZSTD is not None and self._context is not None:
            _ZSTD.ZSTD_freeDCtx(self._context)
            self._context = None

    def _begin(self, library: ctypes.CDLL) -> int:
        self._memory = (ctypes.c_char * LARGEST)()
        self._context = library.ZSTD_createDCtx()
        if self._context is None:
            raise MemoryError
        return self._context
