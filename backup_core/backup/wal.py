"""The WAL around a backup: archiving is proved before it, and the backup's own WAL after it."""

from __future__ import annotations

import time
from collections.abc import Callable

from backup_core.errors import RefusedError, ServerError
from backup_core.postgres.control import ControlFile
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.server import Server
from backup_core.postgres.wal import last_segment_before, segment_name, segment_of
from backup_core.repository.wal_archive import find_wal, list_segments, missing
from backup_core.storage.base import Storage

_FIRST_POLL, _POLL = 0.02, 0.2
_ARCHIVE_LIBRARY = 150000


def prove_archiving(storage: Storage, server: Server, control: ControlFile, timeout: float) -> None:
    """Raise unless WAL that the server finishes arrives in this repository.

    A primary finishes a segment now. A standby cannot; there, the segment before the one it
    replays must be in the repository, which shows that its primary archives here.
    """
    size = control.wal_segment_size
    if server.in_recovery():
        number = segment_of(server.replay_lsn(), size) - 1
        if number > 0:  # the first segment there is has number 1
            wanted = segment_name(server.checkpoint_timeline(), number, size)
            _wait(storage, server, [wanted], timeout)
        return
    _check_settings(server)
    end = server.switch_wal("pitr backup-push")
    name = segment_name(server.checkpoint_timeline(), last_segment_before(end, size), size)
    _wait(storage, server, [name], timeout)


def _check_settings(server: Server) -> None:
    if server.setting("archive_mode") == "off":
        raise RefusedError(
            "archive_mode is off: a backup without its WAL cannot be restored",
            hint="Set archive_mode = on and archive_command = 'pitr wal-push %p', and restart.",
        )
    library = server.version >= _ARCHIVE_LIBRARY and server.setting("archive_library")
    if not library and not server.setting("archive_command"):
        raise RefusedError(
            "archive_command is empty: a backup without its WAL cannot be restored",
            hint="Set archive_command = 'pitr wal-push %p' and reload the configuration.",
        )


def wait_for_wal(
    storage: Storage,
    server: Server,
    control: ControlFile,
    timeline: int,
    start: Lsn,
    stop: Lsn,
    timeout: float,
) -> None:
    """Return once every segment from `start` to before `stop` is in the repository.

    Raises ServerError if the standby moved to another timeline or the WAL does not arrive in time.
    """
    if server.checkpoint_timeline() != timeline:
        raise ServerError(
            "the server moved to another timeline during the backup",
            hint="Take the backup again.",
        )
    size = control.wal_segment_size
    first, last = segment_of(start, size), last_segment_before(stop, size)
    segments = list_segments(storage, timeline, first, size, last=last)
    present = {found.wal.name for found in segments}
    _wait(storage, server, missing(present, timeline, first, last, size), timeout)


def _wait(
    storage: Storage,
    server: Server,
    names: list[str],
    timeout: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait for the segments in their order, each arrival granting another `timeout` seconds."""
    for name in names:
        deadline = clock() + timeout
        pause = _FIRST_POLL
        while find_wal(storage, name) is None:
            if clock() >= deadline:
                raise _not_archived(server, storage, name, timeout)
            server.ping()
            sleep(pause)
            pause = min(pause * 1.5, _POLL)


def _not_archived(server: Server, storage: Storage, name: str, timeout: float) -> ServerError:
    message = f"WAL segment {name} did not arrive in {storage.url} within {timeout:g} s"
    if server.in_recovery():
        return ServerError(
            message,
            hint="This standby cannot finish a segment itself: run SELECT pg_switch_wal() on the "
            "primary, and check that the primary archives to this repository.",
        )
    status = server.archiver()
    if status.last_archived and status.last_archived >= name:
        return ServerError(
            f"{message}, though the server calls it archived",
            hint="archive_command writes elsewhere: compare its settings with pitr config here.",
        )
    if status.last_failed:
        message += f"; the archiver last failed on {status.last_failed}"
        if status.last_failed_time:
            message += f" at {status.last_failed_time:%Y-%m-%d %H:%M:%S%z}"
    return ServerError(
        message,
        hint="The server's log has archive_command's own words; it must run pitr wal-push %p with "
        "the settings of this command.",
    )
