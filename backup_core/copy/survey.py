"""The facts that a copy's plan is made from: listings of both repositories, and the indexes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backup_core.copy.choice import choose
from backup_core.copy.items import CopyPlan, PartDigest, Source, Target
from backup_core.copy.plan import plan_copy
from backup_core.errors import CorruptError, NotFoundError, UsageError
from backup_core.postgres.timeline import TimelineHistory
from backup_core.postgres.wal import WalKind
from backup_core.repository import layout
from backup_core.repository.catalog import Catalog, read_catalog, read_index
from backup_core.repository.identity import load_identity
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalObject, list_wal, read_header, read_history
from backup_core.storage.base import ObjectInfo, Storage


@dataclass(frozen=True, kw_only=True)
class CopyRequest:
    """What the operator asks for: backups by name or LATEST, or everything, and how much WAL."""

    backups: tuple[str, ...] = ("LATEST",)
    everything: bool = False
    with_history: bool = False


def plan_from(source: Storage, target: Storage, request: CopyRequest) -> CopyPlan:
    """Look at both repositories and decide, without writing a byte.

    Raises what copy.choice and copy.plan raise, and StorageError.
    """
    if source.url == target.url:
        raise UsageError(f"{source.url} cannot be copied to itself")
    catalog = read_catalog(source)
    chosen = choose(catalog, request.backups, everything=request.everything)
    return plan_copy(
        _read_source(source, catalog, chosen),
        _read_target(target, chosen),
        with_history=request.with_history,
    )


def _read_source(storage: Storage, catalog: Catalog, chosen: tuple[Backup, ...]) -> Source:
    wal = tuple(list_wal(storage))
    digests: dict[str, PartDigest] = {}
    segment_sizes = set()
    for backup in chosen:
        index = read_index(storage, backup.name)
        if index is not None:
            segment_sizes.add(index.wal_segment_size)
            for part in index.parts:
                key = layout.partitions(backup.name) + part.name
                digests[key] = PartDigest(size=part.stored_size, sha256=part.sha256)
    return Source(
        url=storage.url,
        system_identifier=_system_identifier(storage, catalog, chosen, wal),
        segment_size=segment_sizes.pop() if segment_sizes else _segment_size(storage, wal),
        backups=chosen,
        objects={backup.name: _objects(storage, backup.name) for backup in chosen},
        digests=digests,
        wal=wal,
        histories=_histories(storage, wal),
    )


def _objects(storage: Storage, name: str) -> Sequence[ObjectInfo]:
    return [*storage.list(layout.backup_folder(name)), *storage.list(layout.sentinel(name))]


def _histories(storage: Storage, wal: Sequence[WalObject]) -> dict[int, TimelineHistory]:
    numbers = {item.wal.timeline for item in wal if item.wal.kind is WalKind.HISTORY}
    return {number: read_history(storage, number) for number in sorted(numbers)}


def _system_identifier(
    storage: Storage, catalog: Catalog, chosen: Sequence[Backup], wal: Sequence[WalObject]
) -> int:
    """From the backups themselves; early versions of wal-g left it to the WAL to tell."""
    for backup in (*chosen, *catalog.backups):
        if backup.system_identifier is not None:
            return backup.system_identifier
    identity = load_identity(storage)
    if identity is not None:
        return identity.system_identifier
    return read_header(storage, _a_segment(storage, wal)).system_identifier


def _segment_size(storage: Storage, wal: Sequence[WalObject]) -> int:
    return read_header(storage, _a_segment(storage, wal)).segment_size


def _a_segment(storage: Storage, wal: Sequence[WalObject]) -> WalObject:
    segments = (item for item in reversed(wal) if item.wal.kind is WalKind.SEGMENT)
    found = next(segments, None)
    if found is None:
        raise NotFoundError(
            f"{storage.url} holds no WAL segment, so no backup in it can be restored",
            hint="Check the URL, and that archive_command writes to this repository.",
        )
    return found


def _read_target(storage: Storage, chosen: Sequence[Backup]) -> Target:
    catalog = read_catalog(storage)
    for broken in catalog.unreadable:
        if broken.name in {backup.name for backup in chosen}:
            raise CorruptError(f"{broken.name} in {storage.url} cannot be used: {broken.reason}")
    identity = load_identity(storage)
    return Target(
        url=storage.url,
        system_identifier=identity.system_identifier if identity else None,
        backups=catalog.backups,
        objects={info.key: info.size for item in chosen for info in _objects(storage, item.name)},
        wal=tuple(list_wal(storage)),
    )
