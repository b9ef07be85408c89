"""The plan of a removal: every backup with its verdict, and every object that goes (pure).

What is shown is what is carried out: the plan names the objects themselves, in the order in which
they go. Sentinels are first, so that whatever is interrupted leaves leftovers and no backup that is
half there, and backups that are made on others go before those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backup_core.errors import NotFoundError, RefusedError
from backup_core.repository import layout
from backup_core.repository.catalog import UnreadableBackup
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalRange, ranges, wal_objects
from backup_core.retention.request import Before, Everything, Garbage, Request, Retain, Target
from backup_core.retention.rules import (
    Candidates,
    Keep,
    Kept,
    ancestors,
    descendants,
    keep_for,
)
from backup_core.retention.wal import (
    WalNeed,
    anchor_of,
    anchor_of_name,
    foreign_runs,
    is_history,
    segments_of,
    wal_need,
)
from backup_core.storage.base import ObjectInfo
from backup_core.verify.window import Facts, RecoveryWindow

_WHY_REMOVED = {
    Retain: "no rule keeps it",
    Before: "older than what is to be kept",
    Target: "it is named, or made on the one that is",
    Everything: "everything goes",
    Garbage: "",
}
IDLE = timedelta(days=1)
"""A backup without a sentinel into which nothing was written for so long is left over."""


@dataclass(frozen=True, kw_only=True)
class Holdings:
    """All that a repository holds: `folders` by backup, `wal` below wal_005/, `marks` of WAL.

    `cluster` is the system identifier of the one to remove from; the others stay untouched.
    `windows` are those of this cluster, and tell when their last segment was stored.
    """

    facts: Facts
    cluster: int | None
    windows: tuple[RecoveryWindow, ...]
    unreadable: tuple[UnreadableBackup, ...]
    unfinished: tuple[str, ...]
    folders: Mapping[str, Sequence[ObjectInfo]]
    wal: Sequence[ObjectInfo]
    marks: Sequence[ObjectInfo]
    now: datetime
    promised: timedelta | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a backup, or what is left of one, stays, and why; `size` in bytes, as stored."""

    name: str
    keep: bool
    reason: str
    finish_time: datetime | None = None
    size: int = 0


@dataclass(frozen=True, kw_only=True)
class BackupRemoval:
    """A backup that goes: its sentinel first, if it has one, then these objects."""

    name: str
    sentinel: str | None
    objects: tuple[ObjectInfo, ...]


@dataclass(frozen=True, kw_only=True)
class RetentionPlan:
    """What is decided: a verdict for each backup, and all objects that go, in their order.

    `wal_ranges` are the whole segments among `wal`.
    """

    verdicts: tuple[Verdict, ...]
    backups: tuple[BackupRemoval, ...]
    wal: tuple[ObjectInfo, ...]
    marks: tuple[ObjectInfo, ...]
    wal_ranges: tuple[WalRange, ...]
    segment_size: int

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing goes."""
        return not (self.backups or self.wal or self.marks)

    @property
    def size(self) -> int:
        """Bytes that are freed, as stored."""
        objects = [info for backup in self.backups for info in backup.objects]
        return sum(info.size for info in (*objects, *self.wal, *self.marks))


def plan_retention(request: Request, held: Holdings) -> RetentionPlan:
    """Decide what stays and what goes.

    Raises RefusedError for what would remove a permanent backup or the last good one by name,
    NotFoundError and UsageError for a request that names what is not there.
    """
    mine = tuple(backup for backup in held.facts.backups if _is_mine(backup, held))
    found = Candidates(backups=mine, windows=held.windows, now=held.now, promised=held.promised)
    leftovers = tuple(_leftover(name, request, held) for name in held.unfinished)
    kept = _kept(request, found)
    if not isinstance(request, Everything):
        _protect_unread(kept, found, leftovers, held)
    gone = [backup for backup in mine if backup.name not in kept]
    wal = tuple(_wal_to_remove(request, kept, mine, leftovers, held))
    return RetentionPlan(
        verdicts=(*_verdicts(request, kept, held), *leftovers),
        backups=(
            *(_removal(backup.name, held, exists=True) for backup in _in_order(gone)),
            *(_removal(item.name, held, exists=False) for item in leftovers if not item.keep),
        ),
        wal=wal,
        marks=tuple(_marks_of(wal, held.marks)),
        wal_ranges=tuple(ranges(wal_objects(wal), held.facts.segment_size)),
        segment_size=held.facts.segment_size,
    )


def _is_mine(backup: Backup, held: Holdings) -> bool:
    """A backup that does not say whose it is counts only where there is no doubt."""
    if backup.system_identifier is None:
        return len(held.facts.wal) == 1
    return held.cluster is None or backup.system_identifier == held.cluster


def _kept(request: Request, found: Candidates) -> Kept:
    if isinstance(request, Everything):
        permanent = [backup.name for backup in found.backups if backup.permanent]
        if permanent and not request.force:
            raise RefusedError(
                f"backup {permanent[0]} is marked permanent",
                hint="Unmark it with pitr backup-mark -i, or use everything FORCE.",
            )
        return {}
    if isinstance(request, Target):
        gone = _targeted(request, found)
        return {
            backup.name: Keep(reason="it is not named", onwards=True)
            for backup in found.backups
            if backup not in gone
        }
    return keep_for(request, found)


def _targeted(request: Target, found: Candidates) -> tuple[Backup, ...]:
    """The backup, what is made on it, and with find_full what shares its full backup."""
    by_name = {backup.name: backup for backup in found.backups}
    named = by_name.get(request.name)
    if named is None:
        raise NotFoundError(
            f"there is no backup {request.name} of this cluster",
            hint="pitr backup-list shows the backups there are.",
        )
    if request.find_full:
        *_, named = named, *ancestors(named, by_name)
    gone = (named, *descendants(named, found.backups))
    for backup in gone:
        if backup.permanent:
            raise RefusedError(
                f"backup {backup.name} is marked permanent",
                hint="Unmark it with pitr backup-mark -i first.",
            )
        if found.usable and backup == found.usable[-1]:
            raise RefusedError(
                f"backup {backup.name} is the last good one",
                hint="Take another first; delete everything removes all there is.",
            )
    return gone


def _protect_unread(
    kept: Kept, found: Candidates, leftovers: Sequence[Verdict], held: Holdings
) -> None:
    """Keep what a backup may be made on that cannot be read, or is being taken."""
    by_name = {backup.name: backup for backup in found.backups}
    names = [item.name for item in held.unreadable]
    for name in (*names, *(item.name for item in leftovers if item.keep)):
        _, delta, parent = name.partition("_D_")
        for backup in found.backups:
            if delta and backup.name.startswith(f"base_{parent}"):
                keep = Keep(reason=f"{name} may be made on it", onwards=False)
                for item in (backup, *ancestors(backup, by_name)):
                    kept.setdefault(item.name, keep)


def _leftover(name: str, request: Request, held: Holdings) -> Verdict:
    """What to do with a folder without a sentinel: a backup may be being taken into it."""
    touched = max((i.modified for i in held.folders.get(name, ()) if i.modified), default=None)
    size = sum(info.size for info in held.folders.get(name, ()))
    wanted = not (isinstance(request, Garbage) and not request.backups)
    if touched is None or held.now - touched <= IDLE:
        keep, reason = True, "it has no sentinel: it may be being taken"
    elif isinstance(request, Target) or not wanted:
        keep, reason = True, "it has no sentinel"
    else:
        keep, reason = False, f"it has no sentinel, and nothing came since {touched:%Y-%m-%d}"
    return Verdict(name=name, keep=keep, reason=reason, size=size)


def _verdicts(request: Request, kept: Kept, held: Holdings) -> Iterator[Verdict]:
    for backup in held.facts.backups:
        keep = kept.get(backup.name)
        if not _is_mine(backup, held):
            keep = Keep(reason=_whose(backup), onwards=False)
        yield Verdict(
            name=backup.name,
            keep=keep is not None,
            reason=keep.reason if keep else _WHY_REMOVED[type(request)],
            finish_time=backup.finish_time,
            size=sum(info.size for info in held.folders.get(backup.name, ())),
        )
    for broken in held.unreadable:
        reason = f"it cannot be read: {broken.reason}"
        yield Verdict(name=broken.name, keep=True, reason=reason, finish_time=broken.modified)


def _whose(backup: Backup) -> str:
    if backup.system_identifier is None:
        return "it does not say of which cluster it is, and there are several"
    return f"of another cluster, {backup.system_identifier}"


def _wal_to_remove(
    request: Request,
    kept: Kept,
    mine: Sequence[Backup],
    leftovers: Sequence[Verdict],
    held: Holdings,
) -> Iterator[ObjectInfo]:
    if isinstance(request, Target) or (isinstance(request, Garbage) and not request.wal):
        return
    size = held.facts.segment_size
    concerned = [(info, segments_of(info.key, size)) for info in held.wal]
    foreign = WalNeed(onwards={}, stretches=tuple(foreign_runs(held.facts, held.cluster)))
    if isinstance(request, Everything):
        need = WalNeed(onwards={}, stretches=())
        if not foreign.stretches:
            yield from (item for item, its in concerned if its is None and is_history(item.key))
    else:
        timelines = {its[0] for _, its in concerned if its is not None}
        need = _need(kept, mine, leftovers, held, timelines)
    for info, its in concerned:
        if (
            its is not None
            and not need.covers(*its)
            and not foreign.covers(its[0], its[1] - 1, its[2])
        ):
            yield info


def _need(
    kept: Kept,
    mine: Sequence[Backup],
    leftovers: Sequence[Verdict],
    held: Holdings,
    timelines: set[int],
) -> WalNeed:
    """Without a backup to tell from where on WAL is needed, all of it is."""
    size = held.facts.segment_size
    around = [backup for backup in mine if backup.name in kept]
    onwards = [backup for backup in around if kept[backup.name].onwards]
    if not onwards:
        return WalNeed(onwards={}, stretches=(), everything=True)
    unowned = [backup for backup in held.facts.backups if backup.system_identifier is None]
    names = [item.name for item in leftovers if item.keep]
    names += [item.name for item in held.unreadable if layout.is_backup_name(item.name)]
    anchors = [
        *(anchor_of(backup, size) for backup in onwards),
        *(anchor_of(backup, size) for backup in unowned if backup not in mine),
        *(anchor_of_name(name, size) for name in names),
    ]
    return wal_need(anchors, around, held.facts, timelines)


def _in_order(gone: Sequence[Backup]) -> list[Backup]:
    """Those that are made on others before those."""
    by_name = {backup.name: backup for backup in gone}
    return sorted(gone, key=lambda backup: -sum(1 for _ in ancestors(backup, by_name)))


def _removal(name: str, held: Holdings, *, exists: bool) -> BackupRemoval:
    return BackupRemoval(
        name=name,
        sentinel=layout.sentinel(name) if exists else None,
        objects=tuple(held.folders.get(name, ())),
    )


def _marks_of(wal: Sequence[ObjectInfo], marks: Sequence[ObjectInfo]) -> Iterator[ObjectInfo]:
    """The marks of the WAL that goes (repository.marked)."""
    gone = {info.key.removeprefix(layout.WAL).lower() for info in wal}
    for info in marks:
        if info.key.removeprefix(layout.MARKS).rpartition(".")[0] in gone:
            yield info
