"""Take a base backup: the narrative.

The order is the safety: archiving is proved before anything is copied, pg_control is copied last,
the WAL that the backup needs is proved to be in the repository, and the sentinel, which makes the
backup exist, is written after everything else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from backup_core.backup.copy import Copy
from backup_core.backup.name import check_name
from backup_core.backup.options import Progress, PushOptions
from backup_core.backup.resume import find_interrupted
from backup_core.backup.wal import prove_archiving, wait_for_wal
from backup_core.errors import ClusterMismatchError, CorruptPagesError, ServerError, UsageError
from backup_core.postgres.control import ControlFile, read_control
from backup_core.postgres.server import Server
from backup_core.postgres.wal import segment_name, segment_of
from backup_core.repository import layout
from backup_core.repository.identity import claim_repository
from backup_core.repository.lock import backup_lock
from backup_core.repository.sentinel import Backup, format_time, render_sentinel
from backup_core.storage.base import Storage


@dataclass(frozen=True, kw_only=True)
class PushResult:
    """The finished backup; `corrupt` maps files to the blocks whose checksums fail."""

    backup: Backup
    corrupt: dict[str, list[int]] = field(default_factory=dict)
    vanished: int = 0


def push_backup(
    storage: Storage,
    server: Server,
    data_dir: Path | None,
    options: PushOptions,
    progress: Progress,
) -> PushResult:
    """Back up the running cluster; returns only when the sentinel is durable.

    Raises LockHeldError, ClusterMismatchError, RefusedError (name taken), ServerError (archiving
    or the connection failed), CorruptPagesError, StorageError. After any error the server is out of
    backup mode once its connection closes, and no sentinel exists.
    """
    directory, control = _check_cluster(server, data_dir)
    claim_repository(storage, control.system_identifier, control.wal_segment_size)
    with backup_lock(storage) as check_lock:
        progress.step("prove that archiving works")
        prove_archiving(storage, server, control, options.archive_timeout)
        progress.step("start the backup")
        started = server.clock()
        start_lsn = server.start_backup(f"pitr {format_time(started)}")
        timeline = server.checkpoint_timeline()
        first = segment_of(start_lsn, control.wal_segment_size)
        first_segment = segment_name(timeline, first, control.wal_segment_size)
        interrupted = find_interrupted(storage, timeline) if options.resume else None
        name = interrupted or layout.backup_name(first_segment)
        if interrupted is None:
            check_name(storage, name, standby=server.in_recovery(), warn=progress.warn)
        copy = Copy(
            *(storage, server, directory, control, name, options, progress, check_lock),
            resumed=interrupted is not None,
        )
        end = copy.run()
        if end.first_segment != first_segment:
            raise ServerError(f"backup {name} turned out to begin at segment {end.first_segment}")
        progress.step("wait for the backup's WAL to be archived")
        timeout = options.stop_timeout or options.archive_timeout
        wait_for_wal(storage, server, control, timeline, start_lsn, end.stop_lsn, timeout)
        progress.step("write the backup's index and sentinel")
        corrupt = copy.corrupt_pages(start_lsn, end.stop_lsn)
        if corrupt and options.fail_on_corrupt_page:
            raise CorruptPagesError(
                f"{sum(map(len, corrupt.values()))} pages fail their checksums, "
                f"first in {min(corrupt)}; the backup was given up",
                hint="Keep the older backups; look for failing storage.",
            )
        backup = copy.describe(start_lsn, end, timeline, started, corrupt)
        copy.write_documents(backup, corrupt)
        check_lock()
        storage.put(layout.sentinel(name), [render_sentinel(backup)], if_absent=True)
    return PushResult(backup=backup, corrupt=corrupt, vanished=copy.vanished)


def _check_cluster(server: Server, data_dir: Path | None) -> tuple[Path, ControlFile]:
    directory = data_dir or server.data_directory()
    _, control = read_control(directory)
    if control.system_identifier != server.system_identifier():
        raise ClusterMismatchError(
            f"{directory} is not the data directory of the server that PGHOST and PGPORT name",
            hint=f"That server runs in {server.data_directory()}.",
        )
    if server.data_directory().exists() and not directory.samefile(server.data_directory()):
        raise UsageError(
            f"{directory} is a copy: the server runs in {server.data_directory()}",
            hint="Leave PGDATA out, or name the directory that the server runs in.",
        )
    return directory.absolute(), control
