"""Which backups are kept, and why (pure).

Every rule says what it keeps, and what no rule keeps goes; so no combination of rules removes what
one of them asked for. Backups are ordered by the time at which they ended, within one cluster:
after pg_upgrade names begin again at timeline 1, and an order by name would take the new cluster's
backups for the old ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from backup_core.errors import NotFoundError, RefusedError, UsageError
from backup_core.repository.sentinel import Backup
from backup_core.retention.request import Before, Garbage, Point, Request, Retain
from backup_core.verify.window import RecoveryWindow


@dataclass(frozen=True, kw_only=True)
class Keep:
    """Why a backup is kept, and whether the WAL from it onwards is, or only what is around it."""

    reason: str
    onwards: bool


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The backups of one cluster, oldest first, and what is known of their worth.

    `windows` are those of this cluster, with `last_stored`; `promised` is the recovery window that
    must remain, whatever a policy says.
    """

    backups: tuple[Backup, ...]
    windows: tuple[RecoveryWindow, ...]
    now: datetime
    promised: timedelta | None = None

    @property
    def usable(self) -> tuple[Backup, ...]:
        """Those from which something can be recovered; only these count."""
        names = {backup.name for window in self.windows for backup in window.backups}
        return tuple(backup for backup in self.backups if backup.name in names)


Kept = dict[str, Keep]


def keep_for(request: Request, found: Candidates) -> Kept:
    """Decide what stays for a request that is about age; raises what the points in it raise."""
    kept: Kept = {}
    if isinstance(request, Before):
        _add(kept, _from(_before(request, found), found.backups, onwards=True))
    elif isinstance(request, Retain):
        _add(kept, _retained(request, found))
        if found.promised is not None:
            _add(kept, _since(found.now - found.promised, found, "the promised recovery window"))
    elif isinstance(request, Garbage):
        _add(kept, ((b, Keep(reason="it exists", onwards=not b.permanent)) for b in found.backups))
    _add(kept, _always(found))
    _add_ancestors(kept, found.backups)
    return kept


def _always(found: Candidates) -> Iterator[tuple[Backup, Keep]]:
    if found.usable:
        yield found.usable[-1], Keep(reason="the last good backup", onwards=True)
    else:
        reason = "nothing can be restored, so nothing is removed"
        yield from ((backup, Keep(reason=reason, onwards=True)) for backup in found.backups)
    for backup in found.backups:
        if backup.permanent:
            yield backup, Keep(reason="marked permanent", onwards=False)


def _retained(request: Retain, found: Candidates) -> Iterator[tuple[Backup, Keep]]:
    onwards = not request.around
    if request.count is not None:
        yield from _counted(request, found, onwards=onwards)
    if isinstance(request.after, datetime):
        yield from _since(request.after, found, f"the time from {request.after:%Y-%m-%d %H:%M} on")
    elif request.after is not None:
        yield from _from(_at(request.after, found), found.backups, onwards=onwards)
    if request.window is not None:
        yield from _since(found.now - request.window, found, "the recovery window")
    for period, count, of in (
        ("day", request.daily, _day),
        ("week", request.weekly, _week),
        ("month", request.monthly, _month),
        ("year", request.yearly, _year),
    ):
        yield from _newest_of_each(period, count, of, found.usable)


def _counted(request: Retain, found: Candidates, *, onwards: bool) -> Iterator[tuple[Backup, Keep]]:
    counted = [b for b in found.usable if request.kind != "full" or b.delta_from is None]
    if not request.count or len(counted) < request.count:
        reason = f"there are no more than {len(counted)} that can be restored"
        yield from ((b, Keep(reason=reason, onwards=onwards)) for b in found.backups)
        return
    first = counted[-request.count]
    if request.kind == "find_full":
        first = _full_of(first, found.backups)
    if first.delta_from is not None:
        raise _is_delta(first)
    yield from _from(first, found.backups, onwards=onwards)


def _from(
    first: Backup | None, backups: Sequence[Backup], *, onwards: bool
) -> Iterator[tuple[Backup, Keep]]:
    for backup in backups:
        if first is not None and _age(backup) >= _age(first):
            reason = "the oldest that is to be kept" if backup == first else ""
            yield backup, Keep(reason=reason or f"not older than {first.name}", onwards=onwards)


def _before(request: Before, found: Candidates) -> Backup | None:
    first = _at(request.point, found)
    if first is None or first.delta_from is None:
        return first
    if not request.find_full:
        raise _is_delta(first)
    return _full_of(first, found.backups)


def _at(point: Point, found: Candidates) -> Backup | None:
    """The backup of this name, or the oldest that is not older than this time.

    None, for a time after all backups, keeps nothing but the last good one.
    """
    if isinstance(point, datetime):
        return next((b for b in found.backups if b.finish_time >= point), None)
    named = next((b for b in found.backups if b.name == point), None)
    if named is None:
        raise NotFoundError(
            f"there is no backup {point} of this cluster",
            hint="pitr backup-list shows the backups there are.",
        )
    return named


def _since(begin: datetime, found: Candidates, name: str) -> Iterator[tuple[Backup, Keep]]:
    """Backups inside the window, and of each stretch of WAL the one that leads into it.

    A stretch whose last segment was stored before the window began cannot reach into it.
    """
    for backup in found.backups:
        if backup.finish_time >= begin:
            yield backup, Keep(reason=f"inside {name}", onwards=True)
    for window in found.windows:
        if window.last_stored is not None and window.last_stored < begin:
            continue
        older = [backup for backup in window.backups if backup.finish_time <= begin]
        if older:
            opening = max(older, key=_age)
            yield opening, Keep(reason=f"it opens {name}", onwards=True)


def _newest_of_each(
    period: str,
    count: int,
    of: Callable[[datetime], tuple[int, ...]],
    backups: Sequence[Backup],
) -> Iterator[tuple[Backup, Keep]]:
    """The newest backup of each of the newest periods, in UTC, that have one."""
    newest = {of(backup.finish_time.astimezone(UTC)): backup for backup in backups}
    for when in sorted(newest, reverse=True)[:count]:
        yield newest[when], Keep(reason=f"the newest of its {period}", onwards=False)


def _day(time: datetime) -> tuple[int, ...]:
    return (time.year, time.month, time.day)


def _week(time: datetime) -> tuple[int, ...]:
    return time.isocalendar()[:2]


def _month(time: datetime) -> tuple[int, ...]:
    return (time.year, time.month)


def _year(time: datetime) -> tuple[int, ...]:
    return (time.year,)


def _add(kept: Kept, more: Iterable[tuple[Backup, Keep]]) -> None:
    """The first reason stays; WAL is kept onwards if any rule wants it so."""
    for backup, keep in more:
        before = kept.get(backup.name)
        if before is None:
            kept[backup.name] = keep
        elif keep.onwards and not before.onwards:
            kept[backup.name] = replace(before, onwards=True)


def _add_ancestors(kept: Kept, backups: Sequence[Backup]) -> None:
    by_name = {backup.name: backup for backup in backups}
    for name in list(kept):
        for older in ancestors(by_name[name], by_name):
            reason = f"{name} is made on it"
            kept.setdefault(older.name, Keep(reason=reason, onwards=False))


def ancestors(backup: Backup, by_name: Mapping[str, Backup]) -> Iterator[Backup]:
    """What a backup is made on, as far as it is there; a ring ends it."""
    seen = {backup.name}
    older = by_name.get(backup.delta_from or "")
    while older is not None and older.name not in seen:
        seen.add(older.name)
        yield older
        older = by_name.get(older.delta_from or "")


def descendants(backup: Backup, backups: Sequence[Backup]) -> tuple[Backup, ...]:
    """All that are made on a backup."""
    by_name = {item.name: item for item in backups}
    return tuple(item for item in backups if backup in ancestors(item, by_name))


def _full_of(backup: Backup, backups: Sequence[Backup]) -> Backup:
    *_, last = backup, *ancestors(backup, {item.name: item for item in backups})
    if last.delta_from is not None:
        raise RefusedError(
            f"the full backup that {backup.name} is made on is not there",
            hint="Name another backup; pitr backup-list shows what each is made on.",
        )
    return last


def _is_delta(backup: Backup) -> UsageError:
    return UsageError(
        f"{backup.name} is a delta backup, which cannot be the oldest that is kept",
        hint="FIND_FULL keeps from the full backup that it is made on.",
    )


def _age(backup: Backup) -> tuple[datetime, str]:
    return (backup.finish_time, backup.name)
