"""The facts that a copy's plan is made from: listings of both repositories, and the indexes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from backup_core.copy.check import bare
from backup_core.copy.choice import choose
from backup_core.copy.items import CopyPlan, PartDigest, Source, Target
from backup_core.copy.plan import plan_copy
from backup_core.errors import CorruptError, MissingKeyError, NotFoundError, UsageError
from backup_core.postgres.timeline import TimelineHistory
from backup_core.postgres.wal import WalKind
from backup_core.repository import layout
from backup_core.repository.catalog import Catalog, read_catalog, read_index
from backup_core.repository.identity import load_identity
from backup_core.repository.index import BackupIndex
from backup_core.repository.sealed import UnknownContentError, is_confidential
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import (
    WalObject,
    archived_segment_size,
    list_wal,
    read_header,
    read_history,
)
from backup_core.storage.base import ObjectInfo, Storage
from backup_core.stream.encrypt.scheme import HEAD, is_plain, recognise


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
    from_ = _read_source(source, catalog, chosen, request)
    to = _read_target(target, chosen)
    resealed = frozenset(_resealed(bare(source), bare(target), from_, to))
    return plan_copy(from_, replace(to, resealed=resealed), with_history=request.with_history)


def _read_source(
    storage: Storage, catalog: Catalog, chosen: tuple[Backup, ...], request: CopyRequest
) -> Source:
    wal = tuple(list_wal(storage))
    digests: dict[str, PartDigest] = {}
    segment_sizes = set()
    for backup in chosen:
        index = _read_index(storage, backup.name)
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
        histories=_histories(storage, wal, needed=request.with_history),
        marks=tuple(storage.list(layout.MARKS)),
    )


def _read_index(storage: Storage, name: str) -> BackupIndex | None:
    """The backup's index; without its key it is as if there were none."""
    try:
        return read_index(storage, name)
    except UnknownContentError:
        raise
    except MissingKeyError:
        return None


def _resealed(source: Storage, target: Storage, from_: Source, to: Target) -> Iterator[str]:
    """Keys that both have in different sizes, where what is stored is encrypted."""
    there = dict(to.objects) | {found.key: found.size for found in to.wal}
    here = {info.key: info.size for objects in from_.objects.values() for info in objects}
    for key, size in (*here.items(), *((found.key, found.size) for found in from_.wal)):
        differs = there.get(key, size) != size and is_confidential(key)
        if differs and (_is_sealed(source, key) or _is_sealed(target, key)):
            yield key


def _is_sealed(storage: Storage, key: str) -> bool:
    head = b"".join(storage.get(key, stop=HEAD))
    return bool(recognise(head, name=key)) or is_plain(head, layout.extension_of(key)) is False


def _objects(storage: Storage, name: str) -> Sequence[ObjectInfo]:
    return [*storage.list(layout.backup_folder(name)), *storage.list(layout.sentinel(name))]


def _histories(
    storage: Storage, wal: Sequence[WalObject], *, needed: bool
) -> dict[int, TimelineHistory]:
    """What the history files say; nothing without their key, unless it is needed."""
    numbers = {item.wal.timeline for item in wal if item.wal.kind is WalKind.HISTORY}
    try:
        return {number: read_history(storage, number) for number in sorted(numbers)}
    except UnknownContentError:
        raise
    except MissingKeyError:
        if needed:
            raise
        return {}


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
    segment = _a_segment(storage, wal)
    return archived_segment_size(storage, segment) or read_header(storage, segment).segment_size


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
    found = [info for item in chosen for info in _objects(storage, item.name)]
    return Target(
        url=storage.url,
        system_identifier=identity.system_identifier if identity else None,
        backups=catalog.backups,
        objects={info.key: info.size for info in (*found, *storage.list(layout.MARKS))},
        wal=tuple(list_wal(storage)),
    )
