"""Apply increments to files that an older backup restored.

Pages are written in place, in order from the oldest backup to the newest, after the increment
proved that together with the file it leaves no page unprovided.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable

from backup_core.errors import CorruptError, PitrError
from backup_core.restore import tree
from backup_core.restore.writing import write_at
from backup_core.stream.increment import Increment, read_increment

_NO_FILE = (errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.ENOTDIR)


def apply_increment(
    place: tree.Place,
    chunks: Iterable[bytes | memoryview],
    *,
    size: int,
    mode: int,
    page_size: int,
    name: str,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Bring a file to what it was when the increment `name` was made; sizes in bytes.

    Raises CorruptError for a file that is not there or a link, and for an increment that is damaged
    or lacks a page that the file grew by; PitrError when the file cannot be written.
    """
    increment, runs = read_increment(chunks, size=size, page_size=page_size, name=name)
    try:
        with tree.opened_file(place) as descriptor:
            _check_growth(increment, os.fstat(descriptor).st_size, name)
            os.ftruncate(descriptor, increment.file_size)
            for run in runs:
                write_at(descriptor, run.offset, run.data)
                advance(len(run.data))
            os.fchmod(descriptor, mode & 0o777)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise CorruptError(
                f'"{name}" is stored as changes to a file that is not there'
            ) from None
        raise _cannot_write(place, error) from None


def _cannot_write(place: tree.Place, error: OSError) -> PitrError:
    return PitrError(
        f"cannot write {place.path}: {error.strerror}",
        hint="What was restored so far cannot be started; remove it before trying again.",
    )


def _check_growth(increment: Increment, old_size: int, name: str) -> None:
    """Every page that the file did not have must come with the increment."""
    old_blocks = old_size // increment.page_size
    if old_blocks >= increment.file_blocks:
        return
    provided = set(increment.blocks)
    for block in range(old_blocks, increment.file_blocks):
        if block not in provided:
            raise CorruptError(
                f'block {block} of "{name}" is in no backup of the chain',
                hint="The delta backup is damaged or was taken wrongly; restore an older one.",
            )
