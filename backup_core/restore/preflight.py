"""The facts that a restore's plan is made from."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from backup_core.errors import ClusterMismatchError, CorruptError, NotFoundError, PitrError
from backup_core.postgres.control import CONTROL_FILE, read_control
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.manifest import check_manifest
from backup_core.postgres.timeline import TimelineHistory
from backup_core.postgres.wal import WalKind
from backup_core.repository import layout, wal_e
from backup_core.repository.catalog import read_index
from backup_core.repository.files_metadata import load_files_metadata
from backup_core.repository.identity import load_identity
from backup_core.repository.index import BackupIndex
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import (
    WalObject,
    WalRange,
    archived_segment_size,
    find_wal,
    first_objects,
    latest_timeline,
    list_segments,
    ranges,
    read_header,
    read_history,
    some_segment,
)
from backup_core.restore.layers import LayerPlan, plan_layers
from backup_core.restore.marker import read_marker
from backup_core.restore.occupied import Occupant
from backup_core.restore.plan import Destination, TablespacePlacement
from backup_core.storage.base import Storage
from backup_core.stream.compress import decode
from backup_core.verify.ends import dated
from backup_core.verify.window import RecoveryWindow, window_of

_SAMPLE = 8 << 20


class Archive:
    """The archived WAL, looked at only where a restore passes; made by read_archive.

    A busy cluster's year is tens of millions of segments, an hour of listing. So nothing before the
    backup is listed, and of what is listed no more is kept than where it is broken.
    """

    def __init__(self, storage: Storage, firsts: Sequence[WalObject]) -> None:
        self._storage = storage
        self._firsts = firsts
        self._seen: dict[int, tuple[int, list[WalRange]]] = {}

    @property
    def timelines(self) -> set[int]:
        """The timelines that have a history file."""
        return {item.wal.timeline for item in self._firsts if item.wal.kind is WalKind.HISTORY}

    def latest_from(self, timeline: int) -> int:
        """The timeline that a server follows as "latest", coming from `timeline`."""
        return latest_timeline(self.timelines, timeline)

    def runs_from(self, segment_size: int) -> Callable[[int, int], Sequence[WalRange]]:
        """What tells the runs of segments on a timeline from a number on.

        It lists the timeline from there to its end and keeps the runs.
        """

        def runs_from(timeline: int, first: int) -> Sequence[WalRange]:
            segments = list_segments(self._storage, timeline, first, segment_size)
            runs = ranges(segments, segment_size)
            self._seen[timeline] = (first, runs)
            return runs

        return runs_from

    def numbers(self, segment_size: int) -> Callable[[WalRange], Sequence[WalRange]]:
        """What tells the runs of segments in a span, listing it unless that was done."""

        def numbers(span: WalRange) -> Sequence[WalRange]:
            first, runs = self._seen.get(span.timeline, (span.last + 1, []))
            if first <= span.first:
                return runs
            listed = list_segments(
                self._storage, span.timeline, span.first, segment_size, last=span.last
            )
            return ranges(listed, segment_size)

        return numbers

    def has_gap_after(self, span: WalRange, segment_size: int) -> bool:
        """Tell whether the next segment is missing while later ones are there."""
        later = list_segments(self._storage, span.timeline, span.last + 1, segment_size)
        following = next(later, None)
        return following is not None and following.wal.segment_number(segment_size) > span.last + 1

    def some_segment(self) -> WalObject | None:
        """A whole segment of the newest timeline that has one."""
        return some_segment(self._storage, self._firsts)


def read_archive(storage: Storage) -> Archive:
    """Find out which timelines have WAL in the repository."""
    return Archive(storage, tuple(first_objects(storage)))


def read_segment_size(storage: Storage, archive: Archive, index: BackupIndex | None) -> int:
    """The cluster's WAL segment size in bytes; raises PitrError if nothing tells it."""
    if index is not None:
        return index.wal_segment_size
    segment = archive.some_segment()
    if segment is None:
        raise PitrError(
            "the repository holds no WAL segment, so no backup in it can be restored",
            hint="Check that archive_command writes to this repository.",
        )
    return archived_segment_size(storage, segment) or read_header(storage, segment).segment_size


def read_system_identifier(storage: Storage, archive: Archive, backup: Backup) -> int | None:
    """The cluster whose WAL a restore of the backup would replay; None if nothing tells it.

    The repository's record, or else the segment in which the backup starts. Raises
    ClusterMismatchError if the backup's sentinel says that it is of another.
    """
    found = _cluster_of_wal(storage, archive, backup)
    if found is not None and backup.system_identifier not in (None, found):
        raise ClusterMismatchError(
            f"{backup.name} is of the cluster with system identifier {backup.system_identifier}, "
            f"the archived WAL of {found}",
            hint="The repository holds two clusters; the backup cannot be recovered with this WAL.",
        )
    return found


def _cluster_of_wal(storage: Storage, archive: Archive, backup: Backup) -> int | None:
    identity = load_identity(storage)
    if identity is not None:
        return identity.system_identifier
    first = find_wal(storage, backup.name.removeprefix("base_")[:24]) or archive.some_segment()
    return read_header(storage, first).system_identifier if first else None


def reaches_time(
    storage: Storage,
    backup: Backup,
    history: TimelineHistory,
    gap: WalRange,
    time: datetime,
    segment_size: int,
) -> bool:
    """Tell whether recovery to a time stops before a gap: if a transaction ended between.

    The backups alone do not tell where in the WAL a time is; the segment before the gap does.
    """
    end = Lsn(gap.first * segment_size)
    if end <= backup.finish_lsn:
        return False
    window = window_of((backup,), end, history, backup.system_identifier, segment_size)
    found = dated(storage, segment_size, window)
    return (
        isinstance(found, RecoveryWindow)
        and found.end_source == "wal"
        and found.end_time is not None
        and time < found.end_time
    )


def list_partitions(storage: Storage, backup: Backup) -> dict[str, int]:
    """What is stored among the backup's partitions, with the stored sizes in bytes."""
    return {info.key: info.size for info in storage.list(layout.partitions(backup.name))}


def load_layers(
    storage: Storage, chain: Sequence[Backup], index: BackupIndex | None
) -> LayerPlan | None:
    """Decide which backup of a chain provides each file; None where no list tells the files.

    Raises CorruptError if the lists do not fit together, or one is lost.
    """
    if index is not None or chain[0].origin == wal_e.ORIGIN:
        return None
    newest = load_files_metadata(storage, chain[0])
    if len(chain) == 1 and not newest.entries:
        return None
    older = (load_files_metadata(storage, backup) for backup in chain[1:])
    return plan_layers(itertools.chain([newest], older))


def load_history(storage: Storage, timeline: int) -> TimelineHistory:
    """Read the history of the timeline to be followed."""
    return read_history(storage, timeline)


def load_index(storage: Storage, backup: Backup) -> BackupIndex | None:
    """Read the backup's index, which backups of other tools lack."""
    return read_index(storage, backup.name)


def load_manifest(storage: Storage, backup: Backup) -> bytes:
    """Read the backup's manifest; raises CorruptError if it is missing or damaged."""
    key = layout.manifest(backup.name)
    try:
        data = b"".join(storage.get(key))
    except NotFoundError:
        raise CorruptError(
            f"{key} is missing", hint="The stored backup is damaged; restore an older one."
        ) from None
    check_manifest(data)
    return data


def inspect_destinations(
    data_dir: Path,
    placements: Sequence[TablespacePlacement],
    chain: Sequence[Backup],
    index: BackupIndex | None,
) -> tuple[Destination, ...]:
    """Look at the data directory and the tablespace locations that the restore would fill."""
    sizes = _sizes(placements, chain, index)
    pid = _server_pid(data_dir)
    return (
        _inspect(data_dir, sizes.get(None, 0), pid),
        *(_inspect(Path(item.location), sizes.get(item.oid, 0), None) for item in placements),
    )


def _sizes(
    placements: Sequence[TablespacePlacement], chain: Sequence[Backup], index: BackupIndex | None
) -> dict[int | None, int]:
    if index is None:
        known = chain[0].data_catalog_size if len(chain) > 1 else 0
        return {None: known or max(_size(backup) for backup in chain)}
    oids = {item.oid for item in placements}
    sizes: dict[int | None, int] = {}
    for file in index.files:
        parts = file.path.split("/", 2)
        oid = int(parts[1]) if parts[0] == "pg_tblspc" and parts[1].isdecimal() else None
        place = oid if oid in oids else None
        sizes[place] = sizes.get(place, 0) + file.size
    return sizes


def _size(backup: Backup) -> int:
    return max(backup.data_catalog_size, backup.uncompressed_size)


def _inspect(path: Path, needed: int, pid: int | None) -> Destination:
    existing = path
    while not existing.exists():
        existing = existing.parent
    try:
        if path.exists() and not path.is_dir():
            raise PitrError(f"{path} is not a directory", hint="Name a directory to restore into.")
        space = os.statvfs(existing)
        return Destination(
            path=path,
            needed=needed,
            free=space.f_bavail * space.f_frsize,
            filesystem=existing.stat().st_dev,
            is_empty=not path.exists() or not any(path.iterdir()),
            server_pid=pid,
        )
    except OSError as error:
        raise PitrError(
            f"cannot look into {path}: {error.strerror}",
            hint="Run as the user that will own the data directory.",
        ) from None


def _server_pid(data_dir: Path) -> int | None:
    """The postmaster that runs in a directory, if one does."""
    try:
        pid = int((data_dir / "postmaster.pid").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return pid
    return pid


def inspect_occupant(data_dir: Path) -> Occupant:
    """Look at what stands in a data directory."""
    has_control = os.path.lexists(data_dir / CONTROL_FILE)
    found = None if has_control else read_marker(data_dir)
    try:
        _, control = read_control(data_dir, attempts=1)
        system_identifier = control.system_identifier
    except PitrError:
        system_identifier = None
    statuses = (
        status
        for wal in ("pg_wal", "pg_xlog")
        for status in (data_dir / wal / "archive_status").glob("*.ready")
    )
    return Occupant(
        restoring=found.backup if found else None,
        system_identifier=system_identifier,
        has_pid_file=os.path.lexists(data_dir / "postmaster.pid"),
        unarchived=sum(1 for _ in statuses),
    )


def measure_rate(storage: Storage, key: str) -> float:
    """Bytes a second, decoded, of one reader: measured on the beginning of a large partition."""
    extension = layout.extension_of(key)
    began = time.monotonic()
    size = 0
    for piece in decode(storage.get(key), extension=extension, name=key):
        size += len(piece)
        if size >= _SAMPLE:
            break
    return size / max(time.monotonic() - began, 1e-6)
