"""Files that several workers fill at once, each wherever its span has bytes of them.

A file has its length from the beginning, and blocks of zeros are left out: they are holes, which
read as zeros and take no room. A file is closed when all its bytes have been handed in.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from backup_core.repository.index import IndexedFile
from backup_core.restore import tree
from backup_core.restore.durable import begin_writing

HOLE = 64 << 10
"""Zeros are left out in blocks of this size, counted from the file's beginning, in bytes."""
_ZEROS = bytes(HOLE)
_PAGE, _NEVER_ZERO = 8192, 19
"""Byte 19 of a page in use is the upper half of its size, so a glance at it tells most pages."""
_EARLY = 256 << 10


@dataclass(kw_only=True)
class _Filling:
    descriptor: int
    left: int


class FileWriter:
    """Writes the files of a backup below `locate`d places; OSError if one cannot be written."""

    def __init__(self, locate: Callable[[IndexedFile], tree.Place]) -> None:
        self._locate = locate
        self._parents = tree.Parents()
        self._lock = threading.Lock()
        self._filling: dict[str, _Filling] = {}
        self.complete: set[str] = set()
        """The paths of files that have all their bytes."""

    def create_empty(self, file: IndexedFile) -> None:
        """Make a file without content."""
        os.close(self._parents.new_file(self._locate(file), file.mode))
        self.complete.add(file.path)

    def write(self, file: IndexedFile, offset: int, data: memoryview) -> None:
        """Hand in some of a file's bytes; each byte of it must be handed in once."""
        if len(data) == file.size:
            descriptor = self._open(file)
            try:
                os.ftruncate(descriptor, file.size)
                _fill(descriptor, 0, data)
            finally:
                os.close(descriptor)
            self.complete.add(file.path)
            return
        with self._lock:
            filling = self._filling.get(file.path)
            if filling is None:
                filling = _Filling(descriptor=self._open(file), left=file.size)
                self._filling[file.path] = filling  # first: another worker must not make it again
                os.ftruncate(filling.descriptor, file.size)
        _fill(filling.descriptor, offset, data)
        with self._lock:
            filling.left -= len(data)
            if not filling.left:
                os.close(self._filling.pop(file.path).descriptor)
                self.complete.add(file.path)

    def close(self) -> None:
        """Close everything, files that did not get all their bytes included."""
        for filling in self._filling.values():
            os.close(filling.descriptor)
        self._filling.clear()
        self._parents.close()

    def _open(self, file: IndexedFile) -> int:
        return self._parents.new_file(self._locate(file), file.mode)


def _fill(descriptor: int, offset: int, data: memoryview) -> None:
    for start, run in solid_runs(offset, data):
        write_at(descriptor, start, run)
        if len(run) >= _EARLY:
            begin_writing(descriptor, start, len(run))


def solid_runs(offset: int, data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """What is to be written of `data`, which begins at `offset` of a file, by its offsets.

    Left out are whole blocks of HOLE bytes of zeros.
    """
    if not _may_have_holes(offset, data):
        yield offset, data
        return
    begin = 0
    for block in range(-offset % HOLE, len(data) - HOLE + 1, HOLE):
        if data[block : block + HOLE].tobytes() == _ZEROS:
            if block > begin:
                yield offset + begin, data[begin:block]
            begin = block + HOLE
    if begin < len(data):
        yield offset + begin, data[begin:]


def _may_have_holes(offset: int, data: memoryview) -> bool:
    """Whether enough bytes that no page in use has as zero are zero."""
    glance = data[(_NEVER_ZERO - offset) % _PAGE :: _PAGE].tobytes()
    return bytes(HOLE // _PAGE) in glance


def write_at(descriptor: int, offset: int, data: memoryview) -> None:
    """Write all of `data`, however little the kernel takes at a time."""
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written
