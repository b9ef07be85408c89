"""Archive one WAL file.

PostgreSQL removes a segment once this says yes, so yes means: durable, whole, and this cluster's.
A file of the same name and content may come again after a crash of the server; a file of the same
name and other content means that two servers write one history, and nothing is overwritten.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from backup_core.errors import (
    AlreadyExistsError,
    CorruptError,
    NotFoundError,
    PitrError,
    UsageError,
    WalConflictError,
    WalHeaderError,
)
from backup_core.postgres.wal import (
    LONG_HEADER_SIZE,
    WalKind,
    WalName,
    check_segment_header,
    parse_segment_header,
    parse_wal_name,
)
from backup_core.repository import layout
from backup_core.repository.identity import (
    Identity,
    check_identity,
    claim_repository,
    load_identity,
)
from backup_core.repository.sealed import SealedStorage
from backup_core.repository.wal_archive import WalObject, find_wal, read_wal
from backup_core.storage.base import ObjectInfo, Storage
from backup_core.stream.chunks import CHUNK_SIZE
from backup_core.stream.compress import EXTENSIONS, encode_pieces

_PIECE = 4 << 20
"""zstd finds matches faster in a piece that lies there whole than in a stream of the same bytes."""


@dataclass(frozen=True, kw_only=True)
class PushResult:
    """What became of a WAL file; sizes in bytes, `stored_size` zero if it was there already."""

    name: str
    key: str
    size: int
    stored_size: int
    already_archived: bool


def push_wal(
    storage: Storage, path: Path, *, method: str, level: int, identity: Identity | None = None
) -> PushResult:
    """Store the WAL file at `path`; returns only once it is durable in the repository.

    `identity` is the repository's, for a caller that has asked before. Raises UsageError for a
    name that is no WAL file's, WalHeaderError for content that is not what the name says,
    ClusterMismatchError, WalConflictError and StorageError.
    """
    wal = parse_wal_name(path.name)
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            _check_file(storage, wal, path, file, size, identity)
            return _store(storage, wal, file, size, method=method, level=level)
    except IsADirectoryError:
        raise UsageError(f"{path} is a directory, not a WAL file") from None
    except FileNotFoundError:
        raise NotFoundError(
            f"there is no file {path}",
            hint="archive_command runs in the data directory; %p is relative to it.",
        ) from None
    except OSError as error:
        raise PitrError(
            f"cannot read {path}: {error.strerror}",
            hint="Run as the user that owns the data directory.",
        ) from None


def _check_file(
    storage: Storage,
    wal: WalName,
    path: Path,
    file: BinaryIO,
    size: int,
    identity: Identity | None,
) -> None:
    if wal.kind in (WalKind.SEGMENT, WalKind.PARTIAL):
        header = parse_segment_header(file.read(LONG_HEADER_SIZE), name=str(path))
        file.seek(0)
        check_segment_header(wal, header)
        if size != header.segment_size:
            raise WalHeaderError(
                f"{path} has {size} bytes, its page header says {header.segment_size}",
                hint="The file is truncated or still being written; nothing was archived.",
            )
        if identity is None:
            claim_repository(storage, header.system_identifier, header.segment_size)
        else:
            check_identity(storage, identity, header.system_identifier)
        return
    _check_text(wal, path, file.read(CHUNK_SIZE))
    file.seek(0)
    _check_cluster_of(storage, path)


def _check_text(wal: WalName, path: Path, content: bytes) -> None:
    """History and backup history files are text; anything else under their names is refused."""
    from backup_core.postgres.timeline import parse_history

    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise WalHeaderError(f"{path} is not the text file that its name says") from None
    if wal.kind is WalKind.HISTORY:
        if not parse_history(text, wal.timeline).switches:
            raise WalHeaderError(
                f"{path} is empty: it names no ancestor of timeline {wal.timeline}"
            )
    elif not text.startswith("START WAL LOCATION: "):
        raise WalHeaderError(f"{path} is not a backup history file")


def _check_cluster_of(storage: Storage, path: Path) -> None:
    """Text files carry no system identifier; the control file of their data directory does."""
    from backup_core.postgres.control import read_control

    identity = load_identity(storage)
    if identity is None:
        return
    try:
        _, control = read_control(path.absolute().parent.parent)
    except NotFoundError:
        return
    check_identity(storage, identity, control.system_identifier)


def _store(
    storage: Storage, wal: WalName, file: BinaryIO, size: int, *, method: str, level: int
) -> PushResult:
    key = layout.wal(wal.name, EXTENSIONS[method])
    found = find_wal(storage, wal.name)
    if found is None:
        try:
            chunks = encode_pieces(_read(file, size, wal.name), method=method, level=level)
            info = _put(storage, key, chunks, file, size)
            return PushResult(
                name=wal.name, key=key, size=size, stored_size=info.size, already_archived=False
            )
        except AlreadyExistsError:
            found = find_wal(storage, wal.name)
            if found is None:
                raise
    _check_same(storage, found, file, size)
    return PushResult(name=wal.name, key=found.key, size=size, stored_size=0, already_archived=True)


def _put(
    storage: Storage, key: str, chunks: Iterator[bytes], file: BinaryIO, size: int
) -> ObjectInfo:
    """Create the object; one that this host may not be able to read is marked with a digest."""
    if isinstance(storage, SealedStorage) and storage.writes_blindly:
        return storage.put_marked(key, chunks, digest=_digest(file, size), if_absent=True)
    return storage.put(key, chunks, if_absent=True)


def _digest(file: BinaryIO, size: int) -> bytes:
    from hashlib import sha256

    digest = sha256()
    position = 0
    while piece := os.pread(file.fileno(), min(CHUNK_SIZE, size - position), position):
        digest.update(piece)
        position += len(piece)
    return digest.digest()


def _read(file: BinaryIO, size: int, name: str) -> Iterator[memoryview]:
    """Yield exactly `size` bytes through one buffer that is used again for each piece."""
    buffer = bytearray(min(_PIECE, size))
    view = memoryview(buffer)
    while size:
        count = os.readv(file.fileno(), [view[:size]])
        if not count:
            raise WalHeaderError(f"{name} became shorter while it was read; nothing was archived")
        size -= count
        yield view[:count]


def _check_same(storage: Storage, found: WalObject, file: BinaryIO, size: int) -> None:
    name, key = found.wal.name, found.key
    try:
        same = _is_same_by_mark(storage, found, file, size)
        if same is None:
            same = _is_same(read_wal(storage, found), file, size)
    except CorruptError as error:
        raise WalConflictError(
            f"{name} is archived already as {key}, which cannot be read back: {error.message}",
            hint=f"Keep {name}; find out what damaged the stored object, then move it away.",
        ) from None
    if not same:
        raise WalConflictError(
            f"{name} is archived already as {key} with different content; nothing was overwritten",
            hint="Two servers may be archiving to one prefix, for example an old primary beside "
            "its promoted standby. Stop the wrong one, or give it a prefix of its own.",
        )


def _is_same_by_mark(storage: Storage, found: WalObject, file: BinaryIO, size: int) -> bool | None:
    """Compare with what the object is marked with; None without a mark.

    That is asked first, since a key that is locked or out of reach must not stop the archiver.
    """
    if not (isinstance(storage, SealedStorage) and storage.writes_blindly):
        return None
    return storage.same_content(found.key, _digest(file, size))


def _is_same(stored: Iterator[bytes], file: BinaryIO, size: int) -> bool:
    position = 0
    for piece in stored:
        if os.pread(file.fileno(), len(piece), position) != piece:
            return False
        position += len(piece)
    return position == size
