"""The plan of a restore: what is read to decide it, and in which order it is decided.

Facts come from `preflight`, decisions from `plan`, `parts` and `layers`. Nothing is written here;
what comes out is shown by --dry-run and carried out by `fetch`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from backup_core.errors import RefusedError
from backup_core.postgres.recovery import RecoveryTarget
from backup_core.postgres.timeline import TimelineHistory
from backup_core.repository import layout, parts, wal_e
from backup_core.repository.catalog import Catalog, read_catalog
from backup_core.repository.chain import chain
from backup_core.repository.index import BackupIndex
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalRange
from backup_core.restore import plan, preflight
from backup_core.restore.existing import Existing, survey
from backup_core.restore.layers import LayerPlan, choose_tars
from backup_core.restore.minimal_config import CONFIG_FILES
from backup_core.restore.occupied import Onto, check_occupant
from backup_core.restore.places import lay_out
from backup_core.restore.spans import plan_spans
from backup_core.storage.base import Storage
from backup_core.verify.continuity import before, is_on_timeline, missing_wal, wal_spans

PROVIDE = "provide them before starting the server, or let --minimal-config write them"
"""What to do about configuration files that a backup does not hold."""


@dataclass(frozen=True, kw_only=True)
class RestoreRequest:
    """What the operator asks for; `backup` None means the newest that ended before the target.

    `tablespaces_below` is where those go, by their OIDs, that the mapping does not name.
    `minimal_config` writes the configuration files that the backup does not hold. `onto` says what
    may be there already. `verify` holds every file against its digest once all are written.
    """

    data_dir: Path
    backup: str | None
    target: RecoveryTarget
    tablespace_mapping: Mapping[str, str] = field(default_factory=dict)
    tablespaces_below: Path | None = None
    force: bool = False
    minimal_config: bool = False
    onto: Onto = Onto.EMPTY
    verify: bool = False


@dataclass(frozen=True, kw_only=True)
class RestorePlan:
    """What the restore will do; `gap_follows`: behind the target's segment one is missing.

    Sizes in bytes, `rate` in bytes a second of one worker.

    `chain` is the backup and those it is made on, newest first, `parts` the partitions to be read
    of each, and `layers` what becomes of the files in them, where the backups list those.
    `existing` is what is there already and stays or goes.
    """

    request: RestoreRequest = field(repr=False)
    backup: Backup
    timeline: int
    tablespaces: tuple[plan.TablespacePlacement, ...]
    destinations: tuple[plan.Destination, ...]
    wal: tuple[WalRange, ...]
    missing_wal: tuple[WalRange, ...]
    gap_follows: bool
    segment_size: int
    system_identifier: int | None
    chain: tuple[Backup, ...]
    parts: tuple[tuple[str, ...], ...]
    stored_size: int
    restored_size: int
    rate: float
    warnings: tuple[str, ...]
    index: BackupIndex | None = field(repr=False)
    manifest: bytes | None = field(repr=False)
    layers: LayerPlan | None = field(repr=False)
    existing: Existing = field(repr=False, default_factory=Existing)

    @property
    def data_dir(self) -> Path:
        """The directory to restore into."""
        return self.request.data_dir


def plan_restore(
    storage: Storage,
    request: RestoreRequest,
    *,
    workers: int = 2,
    advance: Callable[[int], None] = lambda _: None,
) -> RestorePlan:
    """Decide everything about the restore without writing a byte.

    Where files are there already they are read, by so many workers; `advance` counts the bytes.
    Raises RefusedError for each precondition that does not hold (see restore.plan), NotFoundError,
    CorruptError and StorageError.
    """
    _refuse_root()
    catalog = read_catalog(storage)
    archive = preflight.read_archive(storage)
    backup = plan.choose_backup(
        catalog,
        request.backup,
        request.target,
        reachable=lambda backup: is_on_timeline(
            backup, _history(storage, archive, backup, request.target)
        ),
    )
    backups = chain(backup, {each.name: each for each in catalog.backups})
    for older in backups[1:]:
        history = _history(storage, archive, backup, request.target)
        plan.check_timeline(older, history)
    index = preflight.load_index(storage, backup)
    segment_size = preflight.read_segment_size(storage, archive, index)
    system_identifier = preflight.read_system_identifier(storage, archive, backup)
    way = find_way(storage, catalog, archive, backup, request, segment_size)
    placements = plan.place_tablespaces(
        backup, request.tablespace_mapping, below=request.tablespaces_below
    )
    plan.check_locations(request.data_dir, placements)
    destinations = preflight.inspect_destinations(request.data_dir, placements, backups, index)
    restored_size = sum(item.needed for item in destinations)
    existing = _look_around(
        request, backup, index, destinations, placements, system_identifier, workers, advance
    )
    destinations = _without(destinations, placements, existing)
    plan.check_destinations(destinations, may_be_occupied=request.onto is not Onto.EMPTY)
    layers = preflight.load_layers(storage, backups, index)
    stored = [
        _choose_parts(storage, number, each, index, layers) for number, each in enumerate(backups)
    ]
    return RestorePlan(
        request=request,
        backup=backup,
        timeline=way.timeline,
        tablespaces=placements,
        destinations=destinations,
        wal=way.wal,
        missing_wal=way.missing,
        gap_follows=way.gap_follows,
        segment_size=segment_size,
        system_identifier=system_identifier,
        chain=backups,
        parts=tuple(map(tuple, stored)),
        stored_size=sum(sum(each.values()) for each in stored) - _not_fetched(index, existing),
        restored_size=restored_size,
        rate=preflight.measure_rate(storage, next(iter(stored[0]))),
        warnings=tuple(_warnings(request, backup, index, layers, stored[0])),
        index=index,
        manifest=preflight.load_manifest(storage, backup) if index else None,
        layers=layers,
        existing=existing,
    )


def _refuse_root() -> None:
    if os.geteuid() == 0:
        raise RefusedError(
            "a restore as root would make files that the server cannot use",
            hint="Run as the user that the server runs as: sudo -u postgres pitr backup-fetch ...",
        )


def _not_fetched(index: BackupIndex | None, existing: Existing) -> int:
    """The stored bytes of parts that files which are there already spare, about."""
    if index is None or not existing.kept:
        return 0
    wanted = {file.path for file in index.files} - existing.kept
    spans = plan_spans(index, wanted, workers=1)
    fetched = sum(span.frames[-1].stop - span.frames[0].start for span in spans)
    return sum(part.stored_size for part in index.parts) - fetched


def _look_around(
    request: RestoreRequest,
    backup: Backup,
    index: BackupIndex | None,
    destinations: Sequence[plan.Destination],
    placements: Sequence[plan.TablespacePlacement],
    system_identifier: int | None,
    workers: int,
    advance: Callable[[int], None],
) -> Existing:
    """What is there already, if it may be; raises RefusedError if it may not."""
    check_occupant(
        destinations[0],
        preflight.inspect_occupant(request.data_dir),
        backup=backup.name,
        system_identifier=system_identifier,
        onto=request.onto,
        force=request.force,
    )
    if index is None and request.verify:
        raise RefusedError(
            f"{backup.name} has no digests, by which its files could be verified",
            hint="Leave --verify out.",
        )
    if request.onto is Onto.EMPTY or all(item.is_empty for item in destinations):
        return Existing()
    if index is None:
        raise RefusedError(
            f"{backup.name} has no digests: which of its files are there already cannot be told",
            hint="Restore it into an empty directory.",
        )
    plan.check_server(destinations)
    return survey(lay_out(request.data_dir, placements), index, workers=workers, advance=advance)


def _without(
    destinations: Sequence[plan.Destination],
    placements: Sequence[plan.TablespacePlacement],
    existing: Existing,
) -> tuple[plan.Destination, ...]:
    """The destinations, which need no room for what they hold already."""
    oids = (None, *(item.oid for item in placements))
    return tuple(
        replace(item, needed=max(0, item.needed - existing.present.get(oid, 0)))
        for oid, item in zip(oids, destinations, strict=True)
    )


def _choose_parts(
    storage: Storage,
    number: int,
    backup: Backup,
    index: BackupIndex | None,
    layers: LayerPlan | None,
) -> dict[str, int]:
    """Keys and stored sizes of the partitions of one backup of a chain that must be read."""
    stored = parts.choose_parts(preflight.list_partitions(storage, backup), backup, index)
    if layers is None:
        return stored
    folder = layout.partitions(backup.name)
    names = choose_tars(layers, number, [key.removeprefix(folder) for key in stored])
    return {folder + name: stored[folder + name] for name in names}


@dataclass(frozen=True, kw_only=True)
class _Way:
    """The WAL from a backup to the target."""

    timeline: int
    wal: tuple[WalRange, ...] = ()
    missing: tuple[WalRange, ...] = ()
    gap_follows: bool = False


def _history(
    storage: Storage, archive: preflight.Archive, backup: Backup, target: RecoveryTarget
) -> TimelineHistory:
    latest = archive.latest_from(backup.timeline)
    timeline = plan.target_timeline(target, backup, latest, archive.timelines)
    return preflight.load_history(storage, timeline)


def find_way(
    storage: Storage,
    catalog: Catalog,
    archive: preflight.Archive,
    backup: Backup,
    request: RestoreRequest,
    segment_size: int,
) -> _Way:
    """Look for the WAL; raises RefusedError if some is missing, unless that is forced.

    Where a backup starts that WAL-E took offline, only its pg_control tells: it is asked then.
    """
    history = _history(storage, archive, backup, request.target)
    if wal_e.is_offline(backup):
        return _Way(timeline=history.timeline)
    plan.check_timeline(backup, history)
    goal = plan.wal_goal(backup, request.target, catalog.backups, history)
    wal = wal_spans(backup, history, goal, archive.runs_from(segment_size), segment_size)
    missing = missing_wal(wal, archive.numbers(segment_size))
    time = request.target.time
    is_cut = (
        bool(missing)
        and time is not None
        and preflight.reaches_time(storage, backup, history, missing[0], time, segment_size)
    )
    if is_cut:
        wal, missing = before(wal, missing[0]), ()
    if not request.force:
        plan.check_wal(backup, missing, segment_size)
    is_inside = goal is not None and not missing and bool(wal)
    return _Way(
        timeline=history.timeline,
        wal=wal,
        missing=missing,
        gap_follows=is_cut or (is_inside and archive.has_gap_after(wal[-1], segment_size)),
    )


def _warnings(
    request: RestoreRequest,
    backup: Backup,
    index: BackupIndex | None,
    layers: LayerPlan | None,
    stored: Mapping[str, int],
) -> Iterator[str]:
    if index is None:
        yield f"{backup.name} has no digests: its files cannot be verified"
    elif not request.minimal_config and not any(f.path == "postgresql.conf" for f in index.files):
        yield (
            "the backup holds no postgresql.conf: the cluster kept its configuration elsewhere "
            "(Debian: /etc/postgresql), provide it before starting the server"
        )
    if backup.origin == wal_e.ORIGIN:
        yield from _warnings_of_wal_e(request, backup)
    elif not parts.has_control(stored):
        yield f"{backup.name} has no partition for pg_control: it must be among its other files"
    corrupt = backup.corrupt_pages or (layers.corrupt_pages if layers else 0)
    if corrupt:
        yield f"{backup.name} holds {corrupt} pages whose checksums failed when it was taken"


def _warnings_of_wal_e(request: RestoreRequest, backup: Backup) -> Iterator[str]:
    if not request.minimal_config:
        yield f"WAL-E stores no {', '.join(CONFIG_FILES)}: {PROVIDE}"
    if wal_e.is_offline(backup):
        yield (
            f"{backup.name} was taken while no server ran: where its WAL begins is known only once "
            "it is extracted, and is checked then"
        )
