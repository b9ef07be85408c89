"""One stored object of a backup, read and proved without restoring it.

pitr's backups have a SHA-256 for each partition. Those of WAL-G and WAL-E have none: their
partitions are decoded and walked as tar archives to the end, which finds what was cut off or
altered in a compressed stream, and no more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from backup_core.errors import CorruptError, NotFoundError
from backup_core.postgres.manifest import check_manifest
from backup_core.repository import layout
from backup_core.repository.catalog import read_index
from backup_core.repository.files_metadata import load_files_metadata
from backup_core.repository.index import BackupIndex
from backup_core.repository.parts import choose_parts
from backup_core.repository.sentinel import Backup
from backup_core.storage.base import Storage
from backup_core.stream.compress import decode
from backup_core.stream.tar import read_members

Advance = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class StoredPart:
    """A partition to be read; `sha256` of its content, None where nothing tells it."""

    key: str
    size: int
    modified: datetime | None
    sha256: str | None


@dataclass(frozen=True, kw_only=True)
class BadObject:
    """An object that is missing or damaged, and why."""

    key: str
    reason: str


def list_parts(storage: Storage, backup: Backup) -> tuple[tuple[StoredPart, ...], list[BadObject]]:
    """Read the backup's lists and tell its partitions, with what is wrong with the lists.

    Raises StorageError, and MissingKeyError where a list is encrypted and its key is not here.
    """
    bad: list[BadObject] = []
    index = None
    try:
        index = read_index(storage, backup.name)
    except CorruptError as error:
        bad.append(BadObject(key=layout.index(backup.name), reason=error.message))
    bad += _bad_lists(storage, backup, index)
    stored = {info.key: info for info in storage.list(layout.partitions(backup.name))}
    try:
        chosen = choose_parts({key: info.size for key, info in stored.items()}, backup, index)
    except (CorruptError, NotFoundError) as error:
        bad.append(BadObject(key=layout.partitions(backup.name), reason=error.message))
        chosen = {key: info.size for key, info in stored.items()}
    digests = {part.name: part.sha256 for part in index.parts} if index else {}
    parts = tuple(
        StoredPart(
            key=key,
            size=size,
            modified=stored[key].modified,
            sha256=digests.get(key.rpartition("/")[2]),
        )
        for key, size in sorted(chosen.items())
    )
    return parts, bad


def _bad_lists(storage: Storage, backup: Backup, index: BackupIndex | None) -> Iterator[BadObject]:
    """The manifest of ours, the list of files of WAL-G's."""
    key = layout.manifest(backup.name) if index else layout.files_metadata(backup.name)
    try:
        if index is not None:
            check_manifest(b"".join(storage.get(key)))
        elif not backup.files_metadata_disabled:
            load_files_metadata(storage, backup)
    except (CorruptError, NotFoundError) as error:
        yield BadObject(key=key, reason=error.message)


def check_part(storage: Storage, part: StoredPart, advance: Advance) -> BadObject | None:
    """Read a partition to its end; None if it is what it should be. Raises StorageError."""
    try:
        chunks = _counted(storage.get(part.key), advance)
        if part.sha256 is None:
            _walk(chunks, part.key)
        elif _digest(chunks) != part.sha256:
            return BadObject(key=part.key, reason="its SHA-256 is not the one in the index")
    except (CorruptError, NotFoundError) as error:
        return BadObject(key=part.key, reason=error.message)
    return None


def _counted(chunks: Iterator[bytes], advance: Advance) -> Iterator[bytes]:
    for chunk in chunks:
        advance(len(chunk))
        yield chunk


def _digest(chunks: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _walk(chunks: Iterator[bytes], key: str) -> None:
    content = decode(chunks, extension=layout.extension_of(key), name=key)
    for _, data in read_members(content, name=key, endless=True):
        for _ in data:
            pass
