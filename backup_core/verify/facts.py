"""The facts from which recovery windows are made: one listing tells the WAL of a repository."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from backup_core.errors import CorruptError, MissingKeyError, NotFoundError
from backup_core.postgres.timeline import TimelineHistory
from backup_core.postgres.wal import (
    DEFAULT_SEGMENT_SIZE,
    WalKind,
    segment_name,
)
from backup_core.repository import layout
from backup_core.repository.catalog import read_catalog
from backup_core.repository.identity import Identity, load_identity
from backup_core.repository.sealed import UnknownContentError
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import (
    WalObject,
    WalRange,
    archived_segment_size,
    find_wal,
    first_objects,
    list_wal,
    ranges,
    read_header,
    read_history,
    some_segment,
)
from backup_core.storage.base import Storage
from backup_core.verify.window import ClusterWal, Facts


def read_facts(
    storage: Storage,
    *,
    backups: Sequence[Backup] | None = None,
    objects: Iterable[WalObject] | None = None,
) -> Facts:
    """Read what the repository holds; what a caller has read already is not read again."""
    if backups is None:
        backups = read_catalog(storage).backups
    identity = load_identity(storage)
    segment_size = _segment_size(storage, identity)
    timelines: set[int] = set()
    runs = ranges(
        _noting(timelines, list_wal(storage) if objects is None else objects), segment_size
    )
    histories, unread = _histories(storage, timelines)
    return Facts(
        backups=tuple(backups),
        wal=_clusters(storage, identity, backups, runs, segment_size),
        histories=histories,
        unread=unread,
        segment_size=segment_size,
        began=storage.stat(layout.IDENTITY).modified if identity else None,
    )


def _segment_size(storage: Storage, identity: Identity | None) -> int:
    if identity is not None and identity.wal_segment_size is not None:
        return identity.wal_segment_size
    segment = some_segment(storage, list(first_objects(storage)))
    return archived_segment_size(storage, segment) or DEFAULT_SEGMENT_SIZE


def _noting(timelines: set[int], objects: Iterable[WalObject]) -> Iterator[WalObject]:
    """Pass the objects on, and note which timelines have a history file."""
    for item in objects:
        if item.wal.kind is WalKind.HISTORY:
            timelines.add(item.wal.timeline)
        yield item


def _histories(
    storage: Storage, timelines: Iterable[int]
) -> tuple[dict[int, TimelineHistory], frozenset[int]]:
    """The history of each timeline, and those to which the key is missing.

    Of these it is certain only that they are timelines. So only the backups that were taken on them
    count for them, which is less than the truth.
    """
    found: dict[int, TimelineHistory] = {}
    unread = set()
    for timeline in sorted(timelines):
        try:
            found[timeline] = read_history(storage, timeline)
        except UnknownContentError:
            raise
        except MissingKeyError:
            found[timeline] = TimelineHistory(timeline=timeline, switches=())
            unread.add(timeline)
    return found, frozenset(unread)


def _clusters(
    storage: Storage,
    identity: Identity | None,
    backups: Sequence[Backup],
    runs: Sequence[WalRange],
    segment_size: int,
) -> tuple[ClusterWal, ...]:
    """Tell the WAL of clusters apart that followed each other here, as after pg_upgrade.

    pitr lets no second cluster in; other tools do, and names go on as if nothing had happened.
    """
    known = {item.system_identifier for item in backups if item.system_identifier is not None}
    if identity is not None:
        known.add(identity.system_identifier)
    single = (ClusterWal(system_identifier=next(iter(known), None), runs=tuple(runs)),)
    if identity is not None and len(known) == 1:
        return single
    whose = _owner(storage, segment_size)
    try:
        parts = [part for run in runs for part in _split(run, whose)]
    except MissingKeyError:
        if len(known) > 1:
            raise
        return single
    owners = dict.fromkeys(owner for owner, _ in parts)
    return (
        tuple(
            ClusterWal(
                system_identifier=owner, runs=tuple(run for its, run in parts if its == owner)
            )
            for owner in owners
        )
        or single
    )


def _owner(storage: Storage, segment_size: int) -> Callable[[int, int], int]:
    """What tells the cluster of a segment; 0, which no cluster is, for one that is damaged."""

    def owner(timeline: int, number: int) -> int:
        found = find_wal(storage, segment_name(timeline, number, segment_size))
        try:
            return read_header(storage, found).system_identifier if found else 0
        except (CorruptError, NotFoundError):
            return 0

    return owner


def _split(run: WalRange, whose: Callable[[int, int], int]) -> Iterator[tuple[int, WalRange]]:
    """Halve a run until both ends are of one cluster."""
    first, last = whose(run.timeline, run.first), whose(run.timeline, run.last)
    if first == last:
        yield first, run
        return
    middle = (run.first + run.last) // 2
    yield from _split(replace(run, last=middle), whose)
    yield from _split(replace(run, first=middle + 1), whose)
