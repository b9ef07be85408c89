"""Restore a base backup and set up recovery: the narrative.

`plan_restore` reads and decides, `carry_out` acts. Nothing is written before the plan stands.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backup_core.errors import CorruptError, NotFoundError, RefusedError
from backup_core.postgres.recovery import RecoveryConfig, RecoveryTarget
from backup_core.postgres.timeline import TimelineHistory
from backup_core.repository import layout
from backup_core.repository.catalog import read_catalog
from backup_core.repository.index import BackupIndex, IndexedFile
from backup_core.repository.sentinel import Backup
from backup_core.restore import finish, plan, preflight
from backup_core.restore.extract import (
    ExtractOptions,
    Layout,
    check_digest,
    extract_parts,
    read_small_part,
)
from backup_core.storage.base import Storage

_CONTROL = "global/pg_control"


@dataclass(frozen=True, kw_only=True)
class RestoreRequest:
    """What the operator asks for; `backup` None means the newest that ended before the target."""

    data_dir: Path
    backup: str | None
    target: RecoveryTarget
    tablespace_mapping: Mapping[str, str] = field(default_factory=dict)
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class RestorePlan:
    """What the restore will do; sizes in bytes, `rate` in bytes a second of one worker."""

    data_dir: Path
    backup: Backup
    timeline: int
    tablespaces: tuple[plan.TablespacePlacement, ...]
    destinations: tuple[plan.Destination, ...]
    wal: tuple[plan.WalSpan, ...]
    missing_wal: tuple[plan.WalSpan, ...]
    segment_size: int
    parts: tuple[str, ...]
    stored_size: int
    restored_size: int
    rate: float
    warnings: tuple[str, ...]
    index: BackupIndex | None = field(repr=False)
    manifest: bytes | None = field(repr=False)


def plan_restore(storage: Storage, request: RestoreRequest) -> RestorePlan:
    """Decide everything about the restore without writing a byte.

    Raises RefusedError for each precondition that does not hold (see restore.plan), NotFoundError,
    CorruptError and StorageError.
    """
    if os.geteuid() == 0:
        raise RefusedError(
            "a restore as root would make files that the server cannot use",
            hint="Run as the user that the server runs as: sudo -u postgres pitr backup-fetch ...",
        )
    catalog = read_catalog(storage)
    archive = preflight.read_archive(storage)

    def history_of(backup: Backup) -> TimelineHistory:
        latest = archive.latest_from(backup.timeline)
        timeline = plan.target_timeline(request.target, backup, latest, archive.timelines)
        return preflight.load_history(storage, timeline)

    backup = plan.choose_backup(
        catalog,
        request.backup,
        request.target,
        reachable=lambda backup: plan.is_on_timeline(backup, history_of(backup)),
    )
    if backup.delta_from is not None:
        raise RefusedError(
            f"{backup.name} is a delta backup, which this version does not restore",
            hint="Restore it with the tool that took it, or choose a full backup.",
        )
    index = preflight.load_index(storage, backup)
    segment_size = preflight.read_segment_size(storage, archive, index)
    history = history_of(backup)
    plan.check_timeline(backup, history)
    goal = plan.wal_goal(backup, request.target, catalog.backups, history)
    wal = plan.wal_spans(backup, history, goal, archive.highest(segment_size), segment_size)
    missing = plan.missing_wal(wal, archive.numbers(segment_size))
    if not request.force:
        plan.check_wal(backup, missing, segment_size)
    placements = plan.place_tablespaces(backup, request.tablespace_mapping)
    plan.check_locations(request.data_dir, placements)
    destinations = preflight.inspect_destinations(request.data_dir, placements, backup, index)
    plan.check_destinations(destinations)
    parts = _list_parts(storage, backup, index)
    return RestorePlan(
        data_dir=request.data_dir,
        backup=backup,
        timeline=history.timeline,
        tablespaces=placements,
        destinations=destinations,
        wal=wal,
        missing_wal=missing,
        segment_size=segment_size,
        parts=tuple(parts),
        stored_size=sum(parts.values()),
        restored_size=sum(item.needed for item in destinations),
        rate=preflight.measure_rate(storage, next(iter(parts))),
        warnings=_warnings(backup, index),
        index=index,
        manifest=preflight.load_manifest(storage, backup) if index else None,
    )


def carry_out(
    storage: Storage,
    planned: RestorePlan,
    recovery: RecoveryConfig | None,
    *,
    workers: int,
    advance: Callable[[int], None] = lambda _: None,
    step: Callable[[str], None] = lambda _: None,
) -> None:
    """Restore as planned; `recovery` None leaves the recovery configuration to the operator.

    Raises CorruptError, StorageError or PitrError; the directory then has no pg_control, without
    which no server starts.
    """
    index = planned.index
    files = {file.path: file for file in index.files} if index else None
    places = Layout(
        data_dir=planned.data_dir,
        tablespaces={item.oid: Path(item.location) for item in planned.tablespaces},
    )
    step("restore the data directory")
    for directory in (places.data_dir, *places.tablespaces.values()):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.chmod(0o700)
    written = extract_parts(
        storage,
        [key for key in planned.parts if not _is_last(key)],
        ExtractOptions(layout=places, files=files, workers=workers, advance=advance),
    )
    small = _read_last_parts(storage, planned, files)
    _check_complete(planned.backup.name, files, written | set(small))
    step("set up recovery")
    finish.link_tablespaces(planned.data_dir, planned.tablespaces)
    _write_label(planned, small)
    if recovery is not None:
        finish.write_recovery(planned.data_dir, recovery)
    step("make everything durable")
    finish.make_durable([places.data_dir, *places.tablespaces.values()])
    finish.place_control(planned.data_dir, small[_CONTROL])


def _list_parts(storage: Storage, backup: Backup, index: BackupIndex | None) -> dict[str, int]:
    """The partitions' keys and stored sizes, largest first; CorruptError if one is missing."""
    stored = {info.key: info.size for info in storage.list(layout.partitions(backup.name))}
    for part in index.parts if index else ():
        key = layout.partitions(backup.name) + part.name
        if stored.get(key) != part.stored_size:
            raise CorruptError(
                f"{key} is missing or has not the size that the backup's index says",
                hint="The stored backup is damaged; restore an older one.",
            )
    if not any("/pg_control.tar" in key for key in stored):
        raise NotFoundError(
            f"backup {backup.name} has no pg_control partition and cannot be restored"
        )
    return dict(sorted(stored.items(), key=lambda item: -item[1]))


def _is_last(key: str) -> bool:
    return key.rpartition("/")[2].startswith(("pg_control.tar", "backup_label.tar"))


def _read_last_parts(
    storage: Storage, planned: RestorePlan, files: Mapping[str, IndexedFile] | None
) -> dict[str, bytes]:
    small: dict[str, bytes] = {}
    for key in filter(_is_last, planned.parts):
        for name, (_, content) in read_small_part(storage, key).items():
            check_digest(name, hashlib.sha256(content).hexdigest(), files)
            small[name] = content
    if _CONTROL not in small or "backup_label" not in small:
        raise CorruptError(f"backup {planned.backup.name} lacks its pg_control or backup_label")
    return small


def _check_complete(name: str, files: Mapping[str, IndexedFile] | None, written: set[str]) -> None:
    lacking = set(files or ()) - written
    if lacking:
        raise CorruptError(
            f'backup {name} lacks {len(lacking)} files that its index names: "{min(lacking)}", ...',
            hint="The stored backup is damaged; restore an older one.",
        )


def _write_label(planned: RestorePlan, small: Mapping[str, bytes]) -> None:
    finish.write_file(planned.data_dir / "backup_label", small["backup_label"])
    original = small.get("tablespace_map", b"")
    tablespace_map = finish.map_tablespaces(original, planned.tablespaces)
    if tablespace_map:
        finish.write_file(planned.data_dir / "tablespace_map", tablespace_map)
    manifest = planned.manifest
    if manifest is None:
        return
    if tablespace_map != original:
        manifest = finish.describe_map(manifest, tablespace_map)
    finish.write_file(planned.data_dir / "backup_manifest", manifest)


def _warnings(backup: Backup, index: BackupIndex | None) -> tuple[str, ...]:
    found = []
    if index is None:
        found.append(f"{backup.name} has no digests: its files cannot be verified")
    elif not any(file.path == "postgresql.conf" for file in index.files):
        found.append(
            "the backup holds no postgresql.conf: the cluster kept its configuration elsewhere "
            "(Debian: /etc/postgresql), provide it before starting the server"
        )
    if backup.corrupt_pages:
        found.append(
            f"{backup.name} holds {backup.corrupt_pages} pages whose checksums failed when it was "
            "taken"
        )
    return tuple(found)
