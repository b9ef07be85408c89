"""From the spool to the server: a prefetched segment, if it is there and can be trusted.

What the shell of restore_command tests, and more: the segment's header must be that of its name and
of this cluster. A segment that is on its way is waited for, since it began earlier.
"""

from __future__ import annotations

import errno
import shutil
import time
from contextlib import suppress
from pathlib import Path

from backup_core.archive.recovery import running_server
from backup_core.archive.spool import ARRIVING, FETCHED, PREFETCHER, Spool
from backup_core.errors import PitrError
from backup_core.postgres.wal import (
    LONG_HEADER_SIZE,
    WalName,
    check_segment_header,
    parse_segment_header,
)

_POLL = 0.005
_PATIENCE = 5.0


def take_prefetched(
    spool: Spool, wal: WalName, destination: Path, *, data_dir: Path, system_identifier: int
) -> int | None:
    """Move a prefetched segment to `destination`; return its size in bytes, None if there is none.

    Anything that is not as it should be counts as none: the segment is then fetched anew.
    """
    _await_arrival(spool, wal.name)
    path = Path(spool.path(FETCHED, wal.name))
    server = running_server(data_dir)
    try:
        status = path.stat()
        if server is None or status.st_mtime < server.started + 1:
            return None  # it may be from before the start, of which only the second is known
        with path.open("rb") as file:
            header = parse_segment_header(file.read(LONG_HEADER_SIZE), name=str(path))
        check_segment_header(wal, header)
        if (header.system_identifier, header.segment_size) != (system_identifier, status.st_size):
            return None
        _move(path, destination)
    except (OSError, PitrError):
        return None
    return status.st_size


def _await_arrival(spool: Spool, name: str) -> None:
    """Wait for a segment that is being fetched, while its file grows."""
    path = Path(spool.path(ARRIVING, name))
    grown, seen = time.monotonic(), -1
    while (size := _size(path)) is not None:
        if size != seen:
            grown, seen = time.monotonic(), size
        elif time.monotonic() - grown > _PATIENCE or not spool.is_locked(PREFETCHER):
            return
        time.sleep(_POLL)


def _size(path: Path) -> int | None:
    """The bytes of a file that is being written under this name or its temporary one."""
    for candidate in (path.with_name(f"{path.name}.pitr-tmp"), path):
        with suppress(OSError):
            return candidate.stat().st_size
    return None


def _move(path: Path, destination: Path) -> None:
    """Rename, or copy where the spool is on another file system; the server syncs what it keeps."""
    try:
        path.replace(destination)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        temporary = destination.with_name(f"{destination.name}.pitr-tmp")
        try:
            shutil.copyfile(path, temporary)
            temporary.replace(destination)
        finally:
            temporary.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
