"""What a restore would do, decided before its first byte (pure).

Each check answers one way in which restores go wrong in practice: the wrong backup for the target,
a timeline that left the backup behind, WAL that is missing on the way, a directory that is in use,
a disk that is too small. The plan that is shown is the plan that is carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path

from backup_core.errors import NotFoundError, RefusedError, UsageError
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.recovery import RecoveryTarget
from backup_core.postgres.timeline import TimelineHistory
from backup_core.postgres.wal import segment_name
from backup_core.repository.catalog import Catalog
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalRange
from backup_core.repository.wal_e import is_offline
from backup_core.verify.continuity import is_on_timeline

_SPARE = 64 << 20


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A directory to be filled: what it is for, and what stands there now; sizes in bytes."""

    path: Path
    needed: int
    free: int
    filesystem: int
    is_empty: bool
    server_pid: int | None = None


@dataclass(frozen=True, kw_only=True)
class TablespacePlacement:
    """Where a tablespace was, and where it goes."""

    oid: int
    original: str
    location: str


def choose_backup(
    catalog: Catalog,
    name: str | None,
    target: RecoveryTarget,
    *,
    reachable: Callable[[Backup], bool] = lambda _: True,
) -> Backup:
    """The backup named, or the newest that ended before the target on a reachable timeline.

    Raises NotFoundError, RefusedError for a backup that ended after the target, and UsageError if
    only the operator can know which backup lies before the target.
    """
    if name is not None:
        backup = catalog.named(name)
        check_ended_before(backup, target)
        return backup
    if target.xid is not None or target.name is not None:
        raise UsageError(
            "a transaction id or a restore point does not tell which backup lies before it",
            hint="Name the backup; pitr backup-list shows when each ended.",
        )
    if not catalog.backups:
        return catalog.named("LATEST")
    suitable = [backup for backup in catalog.backups if _ended_before(backup, target)]
    if not suitable:
        first = catalog.backups[0]
        raise RefusedError(
            f"no backup ended before the target; the oldest, {first.name}, ended at "
            f"{first.finish_time:%Y-%m-%d %H:%M:%S%z}, {first.finish_lsn}",
            hint="Choose a later target.",
        )
    return next(filter(reachable, reversed(suitable)), suitable[-1])


def _ended_before(backup: Backup, target: RecoveryTarget) -> bool:
    if target.time is not None:
        return backup.finish_time <= target.time
    if target.lsn is not None:
        return backup.finish_lsn <= target.lsn and not is_offline(backup)
    return True


def check_ended_before(backup: Backup, target: RecoveryTarget) -> None:
    """Raise RefusedError for a target that recovery from this backup passes before it may stop.

    One whose LSNs mean nothing is let pass; its pg_control is asked later.
    """
    if target.lsn is not None and is_offline(backup):
        return
    if not _ended_before(backup, target):
        raise RefusedError(
            f"the target lies before the end of {backup.name}, which ended at "
            f"{backup.finish_time:%Y-%m-%d %H:%M:%S%z}, {backup.finish_lsn}",
            hint="Leave the name out to take the newest backup that ended before the target.",
        )


def check_timeline(backup: Backup, history: TimelineHistory) -> None:
    """Raise RefusedError unless the timeline to be followed contains the whole backup."""
    if not is_on_timeline(backup, history):
        raise RefusedError(
            f"timeline {history.timeline} does not contain backup {backup.name}: it left timeline "
            f"{backup.timeline} before the backup's end at {backup.finish_lsn}",
            hint="Choose another backup, or --target-timeline current to stay on the backup's own "
            "timeline.",
        )


def wal_goal(
    backup: Backup, target: RecoveryTarget, backups: Sequence[Backup], history: TimelineHistory
) -> Lsn | None:
    """The LSN up to which WAL is needed (exclusive); None where it is needed to its very end.

    A time is reached, at the latest, where a backup that began after it on the same history starts.
    """
    if target.immediate:
        return backup.finish_lsn
    if target.lsn is not None:
        return Lsn(max(target.lsn + 1, backup.finish_lsn))
    if target.time is None:
        return None
    later = [
        other.start_lsn
        for other in backups
        if other.start_time > target.time
        and not is_offline(other)
        and other.start_lsn >= backup.finish_lsn
        and history.contains(other.timeline, other.start_lsn)
    ]
    return min(later, default=None)


def check_wal(backup: Backup, missing: Sequence[WalRange], segment_size: int) -> None:
    """Raise RefusedError if WAL is missing on the way to the target."""
    if missing:
        first = segment_name(missing[0].timeline, missing[0].first, segment_size)
        count = sum(gap.count for gap in missing)
        more = f" and {count - 1} more" if count > 1 else ""
        raise RefusedError(
            f"WAL segment {first}{more} on the way from {backup.name} to the target is not in the "
            "repository",
            hint="Look for it in pg_wal of the old primary and its standbys and push it. If you "
            "know that the target lies before it, --force skips this check; the server stops at "
            "the gap and does not promote.",
        )


def place_tablespaces(
    backup: Backup, mapping: Mapping[str, str], *, below: Path | None = None
) -> tuple[TablespacePlacement, ...]:
    """Apply OLD=NEW to the backup's tablespaces, OLD being a location or an OID.

    The others stay where they were, or go `below` a directory, by their OIDs.
    """
    used = set()
    placements = []
    for space in backup.tablespaces:
        old = next((key for key in (space.location, str(space.oid)) if key in mapping), None)
        used.add(old)
        unmapped = space.location if below is None else str(below / str(space.oid))
        location = unmapped if old is None else mapping[old]
        if not Path(location).is_absolute():
            raise UsageError(
                f'tablespace {space.oid} cannot go to "{location}", which is not an absolute path'
            )
        placements.append(
            TablespacePlacement(oid=space.oid, original=space.location, location=location)
        )
    if unknown := set(mapping) - used:
        known = ", ".join(f"{space.oid} ({space.location})" for space in backup.tablespaces)
        raise UsageError(
            f'backup {backup.name} has no tablespace "{min(unknown)}"',
            hint=f"It has: {known or 'none'}.",
        )
    return tuple(placements)


def check_locations(data_dir: Path, placements: Sequence[TablespacePlacement]) -> None:
    """Raise UsageError if tablespaces share a place with each other or with the data directory.

    The server accepts a tablespace inside its data directory, but no base backup can tell it from
    the directory's own files.
    """
    taken: dict[Path, int] = {}
    for placement in placements:
        location = Path(normpath(placement.location))
        if not location.is_absolute():
            raise UsageError(
                f'the place of tablespace {placement.oid} is no absolute path: "{location}"',
                hint="Give it one with --tablespace-mapping.",
            )
        if location.is_relative_to(normpath(data_dir)):
            raise UsageError(
                f"tablespace {placement.oid} cannot go to {location}, which is inside the data "
                "directory",
                hint="Choose a directory beside it with --tablespace-mapping.",
            )
        for other, oid in taken.items():
            if not (location.is_relative_to(other) or other.is_relative_to(location)):
                continue
            raise UsageError(
                f"tablespaces {oid} and {placement.oid} cannot go to {other} and {location}",
                hint="Give each a directory of its own with --tablespace-mapping.",
            )
        taken[location] = placement.oid


def check_destinations(
    destinations: Sequence[Destination], *, may_be_occupied: bool = False
) -> None:
    """Raise RefusedError for a running server, a directory in use or too little space."""
    check_server(destinations)
    for destination in destinations:
        if not (destination.is_empty or may_be_occupied):
            raise RefusedError(
                f"{destination.path} is not empty",
                hint="Move its content away, do not delete it: its pg_wal may hold WAL that was "
                "never archived. A tablespace can be put elsewhere by --tablespace-mapping.",
            )
    for filesystem in {destination.filesystem for destination in destinations}:
        together = [item for item in destinations if item.filesystem == filesystem]
        needed = sum(item.needed for item in together) + _SPARE
        if needed > together[0].free:
            raise RefusedError(
                f"{together[0].path} has {together[0].free >> 20} MiB free, the restore needs "
                f"{needed >> 20} MiB",
                hint="Restore to another filesystem, or make room.",
            )


def check_server(destinations: Sequence[Destination]) -> None:
    """Raise RefusedError if a server runs where the restore goes."""
    for destination in destinations:
        if destination.server_pid is not None:
            raise RefusedError(
                f"a server is running in {destination.path} (process {destination.server_pid})",
                hint="Stop it, and move its data directory away; it may hold WAL that was never "
                "archived.",
            )


def target_timeline(
    target: RecoveryTarget, backup: Backup, latest: int, timelines: Collection[int]
) -> int:
    """The number of the timeline to follow; raises NotFoundError if it has no history."""
    wanted = target.timeline or "latest"
    if wanted == "latest":
        return latest
    if wanted == "current":
        return backup.timeline
    number = int(wanted)
    if number != 1 and number not in timelines:
        raise NotFoundError(
            f"timeline {number} has no history file in the repository",
            hint="pitr wal-show lists the timelines there are.",
        )
    return number
