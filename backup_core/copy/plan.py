"""What a copy would bring over, decided before its first byte (pure).

The objects of a backup are those below its name, its WAL is what the server needs to make it
consistent, and with history also what follows. The plan names every object with its size and says
which are there already, so what is shown is what is carried out, and a second run of an interrupted
copy is simply another plan. WAL comes first, after its marks, and each sentinel after all that it
stands for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from backup_core.copy.items import (
    BackupCopy,
    CopyItem,
    CopyPlan,
    Kind,
    Source,
    Target,
    conflict,
)
from backup_core.copy.spans import check_wal, spans_to_the_end, spans_within
from backup_core.errors import ClusterMismatchError, CorruptError, RefusedError
from backup_core.postgres.wal import WalKind, WalName
from backup_core.repository import layout
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalRange


def plan_copy(source: Source, target: Target, *, with_history: bool) -> CopyPlan:
    """Decide what is brought over; raises before anything is.

    Raises ClusterMismatchError, RefusedError for WAL that is missing on the way and for a key under
    which the target holds something else, and CorruptError for a backup that lacks a part.
    """
    _check_cluster(source, target)
    if with_history:
        spans = spans_to_the_end(source.backups, source.histories, source.wal, source.segment_size)
    else:
        spans = spans_within(source.backups, source.segment_size)
    check_wal(spans, source.wal, source.segment_size, where=source.url)
    wal = tuple(_wal_items(source, target, spans, with_history=with_history))
    plan = CopyPlan(
        system_identifier=source.system_identifier,
        segment_size=source.segment_size,
        wal_spans=spans,
        wal_marks=tuple(_mark_items(source, target, wal)),
        wal=wal,
        backups=tuple(_backup_copy(backup, source, target) for backup in source.backups),
        warnings=tuple(_warnings(source, target)),
    )
    _check_sizes(plan, target)
    return plan


def _check_cluster(source: Source, target: Target) -> None:
    """Raise ClusterMismatchError unless all that is copied, and the target, is one cluster's."""
    for place, backups in ((source.url, source.backups), (target.url, target.backups)):
        for backup in backups:
            if backup.system_identifier not in (None, source.system_identifier):
                raise _other_cluster(place, backup.system_identifier, source.system_identifier)
    if target.system_identifier not in (None, source.system_identifier):
        raise _other_cluster(target.url, target.system_identifier, source.system_identifier)


def _other_cluster(place: str, found: int | None, wanted: int) -> ClusterMismatchError:
    return ClusterMismatchError(
        f"{place} holds backups of the cluster with system identifier {found}, what is copied is "
        f"of {wanted}",
        hint="Every cluster needs a prefix of its own: copy to another URL, or name the backups of "
        "one cluster by --backup.",
    )


def _wal_items(
    source: Source, target: Target, spans: Sequence[WalRange], *, with_history: bool
) -> Iterator[CopyItem]:
    there = {item.wal.name: item.key for item in reversed(target.wal)}
    timelines = _history_timelines(source, with_history=with_history)
    taken = set()
    for found in source.wal:
        wal = found.wal
        if wal.kind is WalKind.HISTORY:
            wanted = wal.timeline in timelines
        else:
            wanted = _is_within(wal, spans, source.segment_size, with_history=with_history)
        if wanted and wal.name not in taken:
            taken.add(wal.name)
            yield CopyItem(
                key=found.key,
                size=found.size,
                kind=Kind.WAL,
                present=there.get(wal.name),
                wal=wal,
                resealed=found.key in target.resealed,
            )


def _mark_items(source: Source, target: Target, wal: Sequence[CopyItem]) -> Iterator[CopyItem]:
    """The marks of this WAL, without which a host with a public key cannot push it again."""
    wanted = {_marked(layout.digest_mark(item.key, b"")) for item in wal}
    for info in source.marks:
        if _marked(info.key) in wanted:
            present = info.key if info.key in target.objects else None
            yield CopyItem(key=info.key, size=info.size, kind=Kind.OBJECT, present=present)


def _marked(mark: str) -> str:
    """What marks of the same WAL object have in common."""
    return mark.rpartition(".")[0]


def _history_timelines(source: Source, *, with_history: bool) -> set[int]:
    """With history all: a server looks for them upwards, and a hole would hide those above it."""
    if with_history:
        return set(source.histories)
    wanted = {backup.timeline for backup in source.backups}
    for timeline in list(wanted):
        if timeline in source.histories:
            wanted |= {switch.timeline for switch in source.histories[timeline].switches}
    return wanted


def _is_within(
    wal: WalName, spans: Sequence[WalRange], segment_size: int, *, with_history: bool
) -> bool:
    """A partial segment is the one after a timeline's last whole one."""
    if wal.kind is WalKind.PARTIAL and not with_history:
        return False
    number = wal.segment_number(segment_size)
    beyond = 1 if wal.kind is WalKind.PARTIAL else 0
    return any(
        span.timeline == wal.timeline and span.first <= number <= span.last + beyond
        for span in spans
    )


def _backup_copy(backup: Backup, source: Source, target: Target) -> BackupCopy:
    found = {info.key: info.size for info in source.objects[backup.name]}
    prefix = layout.partitions(backup.name)
    _check_parts(backup, source, found)
    _check_strangers([key for key in target.objects if key.startswith(prefix)], found, target.url)
    sentinel = layout.sentinel(backup.name)

    def item(key: str, kind: Kind) -> CopyItem:
        digest = source.digests.get(key)
        return CopyItem(
            key=key,
            size=found[key],
            kind=kind,
            sha256=digest.sha256 if digest else None,
            present=key if key in target.objects else None,
            resealed=key in target.resealed,
        )

    marks = layout.metadata(backup.name)
    return BackupCopy(
        backup=backup,
        objects=tuple(
            item(key, Kind.MARKS if key == marks else Kind.OBJECT)
            for key in found
            if key != sentinel
        ),
        sentinel=item(sentinel, Kind.SENTINEL),
    )


def _check_parts(backup: Backup, source: Source, found: Mapping[str, int]) -> None:
    prefix = layout.partitions(backup.name)
    for key, digest in source.digests.items():
        if key.startswith(prefix) and found.get(key, -1) < digest.size:
            raise CorruptError(
                f"{key} is missing or smaller than the backup's index says",
                hint="The stored backup is damaged; copy another one.",
            )
    if not any(key.startswith(prefix) for key in found):
        raise CorruptError(
            f"{backup.name} has a sentinel but no partitions",
            hint="The stored backup is damaged; copy another one.",
        )


def _check_strangers(keys: Sequence[str], found: Mapping[str, int], url: str) -> None:
    """A restore by wal-g takes every part that it finds in the folder."""
    strangers = [key for key in keys if key not in found]
    if strangers:
        raise RefusedError(
            f"{url} holds {strangers[0]}, which the backup to be copied has not",
            hint="Another backup of this name was begun there. If it has no sentinel, remove its "
            f"folder: pitr st rm -r {strangers[0].rpartition('/')[0]}/.",
        )


def _check_sizes(plan: CopyPlan, target: Target) -> None:
    sizes = dict(target.objects) | {found.key: found.size for found in target.wal}
    for item in plan.items:
        is_fixed = item.present == item.key and item.kind is not Kind.MARKS and not item.resealed
        if is_fixed and sizes[item.key] != item.size:
            raise conflict(item, target.url)


def _warnings(source: Source, target: Target) -> Iterator[str]:
    there = {backup.name for backup in target.backups}
    missing = [backup for backup in source.backups if backup.name not in there]
    for backup in missing[:1]:
        newer = [item.name for item in target.backups if item.finish_time > backup.finish_time]
        if newer:
            yield (
                f"{newer[0]} is newer than {backup.name} and in the target already: wal-g, which "
                "goes by the age of the objects, will take another backup for LATEST there"
            )
