"""How far a drill's server is to replay, and whether it did.

"Past the drill's own start" is the strictest goal: WAL that was archived after the drill began has
to be replayed, which proves that archiving works now and that a recovery would end now, and not at
a hole some hours ago. The wait for that WAL is not counted as time to recover.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from backup_core.drill.request import DrillRequest, Until, named, target_after
from backup_core.drill.tools import Planned
from backup_core.errors import PitrError, RefusedError
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.recovery import RecoveryTarget
from backup_core.postgres.wal import history_name
from backup_core.repository.catalog import Catalog
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import (
    archived_segment_size,
    find_wal,
    first_objects,
    list_segments,
    some_segment,
)
from backup_core.storage.base import Storage

_POLL = 1.0
_TO_THE_END = RecoveryTarget(action="promote")


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The backup by name (None: whichever serves the target), the target, and what is waited for.

    `moment` is the time that the restored data is to be of. `until` is "end" where a span reaches
    beyond what is archived.
    """

    backup: str | None
    target: RecoveryTarget
    until: Until
    moment: datetime


def choose_goal(
    storage: Storage, catalog: Catalog, request: DrillRequest, started: datetime
) -> Goal:
    """Find the backup and the target that the request means; raises NotFoundError."""
    name = named(catalog, request)
    if isinstance(request.until, datetime):
        target = RecoveryTarget(time=request.until, action="promote")
        return Goal(backup=name, target=target, until=request.until, moment=request.until)
    if not isinstance(request.until, timedelta) or name is None:
        return Goal(backup=name, target=_TO_THE_END, until=request.until, moment=started)
    backup = catalog.named(name)
    found = _target_after(storage, catalog, backup, request.until)
    if found is None:
        return Goal(backup=name, target=_TO_THE_END, until="end", moment=started)
    moment = min(started, backup.finish_time + request.until)
    return Goal(backup=name, target=found, until=request.until, moment=moment)


def _target_after(
    storage: Storage, catalog: Catalog, backup: Backup, span: timedelta
) -> RecoveryTarget | None:
    size = archived_segment_size(storage, some_segment(storage, list(first_objects(storage))))
    if size is None:
        return None
    segments = list_segments(storage, backup.timeline, backup.finish_lsn // size, size)
    return target_after(backup, span, catalog.backups, segments, size)


def newest_stored(storage: Storage, planned: Planned) -> datetime | None:
    """When the last segment on the way was stored, by the store's clock; None if nothing tells."""
    if planned.last_segment is None:
        return None
    last = planned.last_segment
    found = list_segments(storage, planned.timeline, last, planned.segment_size, last=last)
    return next((item.modified for item in found), None)


def wait_for_wal(
    storage: Storage, planned: Planned, wait: float, tell: Callable[[str], None]
) -> None:
    """Return once WAL is archived that was not when the drill was planned.

    Tells if that is not yet so. Raises PitrError after `wait` seconds.
    """
    if _has_more(storage, planned):
        return
    tell(f"wait up to {wait:g} s for the cluster to archive the next WAL")
    deadline = time.monotonic() + wait
    while time.monotonic() <= deadline:
        time.sleep(_POLL)
        if _has_more(storage, planned):
            return
    raise PitrError(
        f"no WAL was archived in the {wait:g} s since the drill began",
        hint="Archiving is broken, or the cluster is idle: let archive_timeout end its "
        "segments, or drill with --until end.",
    )


def _has_more(storage: Storage, planned: Planned) -> bool:
    if planned.last_segment is None:
        return True
    following = planned.last_segment + 1
    segments = list_segments(storage, planned.timeline, following, planned.segment_size)
    if next(segments, None) is not None:
        return True
    return find_wal(storage, history_name(planned.timeline + 1)) is not None


def check_reached(planned: Planned, goal: Goal, replayed: Lsn) -> None:
    """Raise RefusedError unless all WAL was replayed that the goal asks for.

    The server itself stops short of a target that it cannot reach, but for versions before 13.
    """
    wanted: int = 0
    if goal.target.lsn is not None:
        wanted = goal.target.lsn
    elif planned.last_segment is not None and not goal.target.is_set:
        wanted = planned.last_segment * planned.segment_size + 1
        wanted += planned.segment_size if goal.until == "start" else 0
    if replayed < wanted:
        raise RefusedError(
            f"the server replayed up to {replayed} only, and {Lsn(wanted)} is archived",
            hint="It ended recovery early; its log says at which file.",
        )
