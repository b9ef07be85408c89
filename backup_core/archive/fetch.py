"""Fetch one WAL file for a recovering server.

PostgreSQL takes "not there" for the end of the archive and promotes. So a file counts as absent
only when that is proven: the repository answers, it is this cluster's, it holds WAL at all, and no
later WAL shows that the file ought to be there. Everything short of that is an error.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backup_core.errors import CorruptError, NotFoundError, PitrError, StorageError, WalHeaderError
from backup_core.postgres.control import read_control
from backup_core.postgres.wal import (
    WalKind,
    WalName,
    check_segment_header,
    parse_segment_header,
    parse_wal_name,
    segment_of,
)
from backup_core.repository.identity import Identity, check_identity, load_identity
from backup_core.repository.wal_archive import (
    WalObject,
    find_wal,
    list_wal,
    read_header,
    read_history,
    read_wal,
)
from backup_core.storage.base import Storage

_RETRY_PAUSES = (0.2, 1.0, 3.0)
_END_OF_NAME = ".~"
_END_OF_TIMELINE = "G"


class WalGapError(PitrError):
    """A file is missing although later WAL is there, or although it was demanded."""


@dataclass(frozen=True, kw_only=True)
class FetchResult:
    """A delivered file with its size in bytes, or the proof that there is none (`key` is None)."""

    name: str
    key: str | None
    size: int = 0


@dataclass(frozen=True, kw_only=True)
class FetchRequest:
    """What the server asks for.

    `data_dir` is the recovering server's, where known; `demand` says that recovery has a target
    which the server would forget at the end of the archive (before version 13).
    """

    name: str
    destination: Path
    data_dir: Path | None = None
    demand: bool = False


def fetch_wal(
    storage: Storage, request: FetchRequest, *, sleep: Callable[[float], None] = time.sleep
) -> FetchResult:
    """Deliver the file whole, or prove it absent; trouble that may pass is retried in bounds.

    Raises PitrError for anything that is neither; the destination then does not exist.
    """
    wal = parse_wal_name(request.name)
    for pause in _RETRY_PAUSES:
        try:
            return _attempt(storage, wal, request)
        except (StorageError, WalGapError):
            sleep(pause)
    return _attempt(storage, wal, request)


def _attempt(storage: Storage, wal: WalName, request: FetchRequest) -> FetchResult:
    found = find_wal(storage, wal.name)
    if found is not None:
        size = deliver(storage, found, request.destination)
        return FetchResult(name=wal.name, key=found.key, size=size)
    _prove_absent(storage, wal, request)
    return FetchResult(name=wal.name, key=None)


def deliver(
    storage: Storage, found: WalObject, destination: Path, *, identity: Identity | None = None
) -> int:
    """Write the file whole, checked and synced, in one step; return its size in bytes.

    `identity` is whose WAL it has to be, where that is known; else the repository's record tells.
    """
    temporary = destination.with_name(f"{destination.name}.pitr-tmp")
    try:
        with temporary.open("wb", buffering=0) as file:
            for piece in _checked(storage, found, identity):
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]
            size = file.tell()
            os.fsync(file.fileno())
        temporary.replace(destination)
        return size
    except OSError as error:
        raise PitrError(
            f"cannot write {destination}: {error.strerror}",
            hint="Check the space and the permissions of that directory.",
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def _checked(storage: Storage, found: WalObject, identity: Identity | None) -> Iterator[bytes]:
    """Yield the file's bytes; raises unless they are the file of that name, whole."""
    chunks = read_wal(storage, found)
    if found.wal.kind not in (WalKind.SEGMENT, WalKind.PARTIAL):
        yield from chunks
        return
    first = next(chunks, b"")
    header = parse_segment_header(first, name=found.key)
    check_segment_header(found.wal, header)
    identity = identity or load_identity(storage)
    if identity is not None:
        check_identity(storage, identity, header.system_identifier)
    size = len(first)
    yield first
    for chunk in chunks:
        size += len(chunk)
        yield chunk
    if size != header.segment_size:
        raise WalHeaderError(
            f"{found.key} holds {size} bytes, a segment has {header.segment_size}",
            hint="The stored object is truncated; push the segment again from a server that has "
            "it, under a repaired repository.",
        )


def _prove_absent(storage: Storage, wal: WalName, request: FetchRequest) -> None:
    _check_repository(storage, wal, request.data_dir)
    if request.data_dir is not None and _is_local(request.data_dir, wal.name):
        return
    if wal.kind is WalKind.HISTORY:
        if wal.timeline > 1:  # the first timeline has no history, yet servers ask for it
            _check_later_timelines(storage, wal)
    elif wal.kind is WalKind.SEGMENT and not _before_timeline(storage, wal, request):
        _check_later_segments(storage, wal)
        if request.demand:
            raise WalGapError(
                f"{wal.name} is not archived and the recovery target is not reached",
                hint="Choose a target inside the archived WAL, or recover without a target.",
            )


def _check_repository(storage: Storage, wal: WalName, data_dir: Path | None) -> None:
    identity = load_identity(storage)
    if next(list_wal(storage), None) is None:
        raise StorageError(
            f"{wal.name} is not there, and {storage.url} holds no WAL at all",
            hint="The URL may be wrong or the repository not mounted; recovery must not end here.",
        )
    if identity is None or data_dir is None:
        return
    with suppress(NotFoundError):
        check_identity(storage, identity, read_control(data_dir)[1].system_identifier)


def _is_local(data_dir: Path, name: str) -> bool:
    return any((data_dir / folder / name).exists() for folder in ("pg_wal", "pg_xlog"))


def _check_later_timelines(storage: Storage, wal: WalName) -> None:
    """A server looks for history files upwards until one is missing: a hole hides the rest."""
    on_it = next(list_wal(storage, f"{wal.timeline:08X}"), None)
    later = on_it or next(
        list_wal(storage, start_after=f"{wal.timeline:08X}{_END_OF_TIMELINE}"), None
    )
    if later is not None:
        raise WalGapError(
            f"{wal.name} is not archived, but {later.wal.name} is",
            hint="Archive the history file from the server that was promoted to that timeline.",
        )


def _before_timeline(storage: Storage, wal: WalName, request: FetchRequest) -> bool:
    """Tell whether the segment precedes its timeline, where only ancestors have WAL."""
    if wal.timeline == 1:
        return False
    try:
        begin = read_history(storage, wal.timeline).begin
    except NotFoundError:
        return False
    size = _segment_size(storage, wal, request.data_dir)
    return size is not None and wal.segment_number(size) < segment_of(begin, size)


def _segment_size(storage: Storage, wal: WalName, data_dir: Path | None) -> int | None:
    if data_dir is not None:
        with suppress(NotFoundError, CorruptError):
            return read_control(data_dir)[1].wal_segment_size
    for found in list_wal(storage, f"{wal.timeline:08X}"):
        if found.wal.kind is WalKind.SEGMENT:
            return read_header(storage, found).segment_size
    return None


def _check_later_segments(storage: Storage, wal: WalName) -> None:
    prefix, after = f"{wal.timeline:08X}", wal.name + _END_OF_NAME
    for later in list_wal(storage, prefix, start_after=after):
        if later.wal.kind is WalKind.SEGMENT:
            raise WalGapError(
                f"{wal.name} is not archived, but the later {later.wal.name} is",
                hint="Look for the segment in pg_wal of the primary and its standbys and push it; "
                "without it, recovery cannot go past this point.",
            )
