"""What a drill is to prove: which backup, and how far the WAL after it is replayed (pure).

Two drills find what one would not (GitLab has run both every day for years): the newest backup with
little WAL shows that backups restore, the oldest with a day of WAL that the chain has no gap. "A
day" is an LSN and not a time, because a server stops at a time only where a transaction commits
after it, and an idle night has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from backup_core.errors import NotFoundError
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.recovery import RecoveryTarget
from backup_core.repository.catalog import Catalog
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalObject

OLDEST = "OLDEST"
LATEST = "LATEST"

Until = Literal["start", "end"] | timedelta | datetime
"""Past the drill's own start; the end of what is archived; a span after the backup; a moment."""


@dataclass(frozen=True, kw_only=True)
class DrillRequest:
    """What the operator asks for; `backup` is LATEST, OLDEST or a name, lengths are seconds.

    `wait` is how long WAL from after the drill's start may take to be archived, `timeout` how long
    the server may take to start and to replay. `settings` are the drill's server's, over ours.
    """

    name: str
    backup: str
    until: Until
    scratch: Path
    bin_directory: Path | None
    user: str
    checks: Path | None
    settings: tuple[tuple[str, str], ...] = ()
    wait: float = 900.0
    timeout: float = 43200.0
    verify: bool = True
    amcheck: bool = True
    heapallindexed: bool = False
    keep: bool = False


def choose_oldest(catalog: Catalog) -> Backup:
    """The oldest backup of the cluster that the newest is of; raises NotFoundError without any."""
    newest = catalog.named(LATEST)
    mine = (None, newest.system_identifier)
    return next(backup for backup in catalog.backups if backup.system_identifier in mine)


def target_after(
    backup: Backup,
    span: timedelta,
    backups: Sequence[Backup],
    segments: Iterable[WalObject],
    segment_size: int,
) -> RecoveryTarget | None:
    """An LSN at least `span` after the backup's end; None where the archive does not reach so far.

    Where the first backup began that began later, or else where the first segment begins that was
    stored later: `segments` are those of its timeline from its end on. 9.6 knows no such target.
    """
    moment = backup.finish_time + span
    later = [
        other.start_lsn
        for other in backups
        if other.start_time >= moment
        and other.timeline == backup.timeline
        and other.start_lsn > backup.finish_lsn
    ]
    if later:
        return RecoveryTarget(lsn=min(later), action="promote")
    for item in segments:
        begin = item.wal.segment_number(segment_size) * segment_size
        if item.modified is not None and item.modified >= moment and begin > backup.finish_lsn:
            return RecoveryTarget(lsn=Lsn(begin), action="promote")
    return None


def named(catalog: Catalog, request: DrillRequest) -> str | None:
    """The name of the backup that is asked for; None where the target decides."""
    if request.backup.upper() == OLDEST:
        return choose_oldest(catalog).name
    if request.backup.upper() == LATEST:
        if not catalog.backups:
            raise NotFoundError("the repository holds no usable backup: there is nothing to drill")
        if isinstance(request.until, timedelta):
            return catalog.named(LATEST).name
        return None
    return catalog.named(request.backup).name


def describe(until: Until) -> str:
    """How far a drill replays, in a word or two, as its record has it."""
    if isinstance(until, datetime):
        return until.isoformat()
    if isinstance(until, timedelta):
        return f"+{until.total_seconds():g}s"
    return until
