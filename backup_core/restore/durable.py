"""One durable barrier at the end of a restore, and an early start of what it waits for.

A sync for each file would wait for the disk as often as there are files. So the file systems are
synced once, at the end. But the kernel by itself begins to write only when much has piled up, and
the disk would stand idle while partitions are decoded: each large piece that was written is handed
over to the disk at once, without waiting for it.

The file systems are opened before the first byte is written: an error of writing back, whenever it
strikes, is then reported by the barrier (syncfs(2), Linux 5.8).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from backup_core.errors import PitrError

_BEGIN_ONLY = 2  # SYNC_FILE_RANGE_WRITE
_LIBC = ctypes.CDLL(None, use_errno=True)


class Barrier:
    """The file systems that hold some directories."""

    def __init__(self, opened: dict[Path, int]) -> None:
        self._opened = opened

    def wait(self) -> None:
        """Return when everything written to the file systems is durable; raises PitrError."""
        for directory, descriptor in self._opened.items():
            if _LIBC.syncfs(descriptor) != 0:
                code = ctypes.get_errno()
                raise PitrError(
                    f"cannot make {directory} durable: {os.strerror(code)}",
                    hint="Check the file system; what was restored cannot be trusted.",
                )


@contextmanager
def barrier(directories: Iterable[Path]) -> Iterator[Barrier]:
    """Open the file systems that hold the directories, one directory for each."""
    opened: dict[Path, int] = {}
    devices: set[int] = set()
    try:
        for directory in directories:
            device = directory.stat().st_dev
            if device not in devices:
                devices.add(device)
                opened[directory] = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        yield Barrier(opened)
    finally:
        for descriptor in opened.values():
            os.close(descriptor)


def begin_writing(descriptor: int, offset: int, size: int) -> None:
    """Let the disk begin with a range of a file; where it cannot, the barrier does all of it."""
    _LIBC.sync_file_range(
        descriptor, ctypes.c_int64(offset), ctypes.c_int64(size), ctypes.c_uint(_BEGIN_ONLY)
    )
