"""The backups that a repository holds.

The state is derived from the objects each time; there is no list to fall out of step with them.
One unreadable sentinel must not hide the other backups, so it is listed as what it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from backup_core.errors import CorruptError, NotFoundError, UsageError
from backup_core.postgres.wal import DEFAULT_SEGMENT_SIZE
from backup_core.repository import layout, wal_e
from backup_core.repository.index import BackupIndex, parse_index
from backup_core.repository.sentinel import Backup, parse_backup
from backup_core.repository.wal_archive import (
    archived_segment_size,
    first_objects,
    some_segment,
)
from backup_core.storage.base import ObjectInfo, Storage
from backup_core.stream.compress import decode

_READERS = 8  # a document is small, and far away in an object store


@dataclass(frozen=True, kw_only=True)
class UnreadableBackup:
    """A backup whose sentinel cannot be understood, and why."""

    name: str
    reason: str
    modified: datetime | None


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """Readable backups by the time they finished, oldest first, and those that are not whole."""

    backups: tuple[Backup, ...]
    unreadable: tuple[UnreadableBackup, ...]
    unfinished: tuple[str, ...]

    def named(self, name: str) -> Backup:
        """The backup of this name or LATEST; raises NotFoundError or CorruptError."""
        if name.upper() == "LATEST":
            return self._latest()
        for backup in self.backups:
            if backup.name == name:
                return backup
        for broken in self.unreadable:
            if broken.name == name:
                raise CorruptError(f"backup {name} cannot be used: {broken.reason}")
        if not layout.is_backup_name(name):
            raise UsageError(
                f'"{name}" is not the name of a backup',
                hint="Names look like base_000000010000000000000002; pitr backup-list shows them.",
            )
        raise NotFoundError(
            f"there is no backup {name}", hint="pitr backup-list shows the backups there are."
        )

    def _latest(self) -> Backup:
        if not self.backups and self.unreadable:
            broken = max(self.unreadable, key=lambda backup: backup.name)
            raise CorruptError(
                f"no backup can be used; the newest, {broken.name}, for this: {broken.reason}",
                hint="pitr backup-list shows the others.",
            )
        if not self.backups:
            raise NotFoundError(
                "the repository holds no usable backup",
                hint="Check the repository's URL; pitr backup-push takes a backup.",
            )
        return self.backups[-1]


def read_catalog(storage: Storage) -> Catalog:
    """List and read every backup's sentinel, whichever tool wrote it."""
    entries = list(storage.list(layout.BACKUPS, delimiter="/"))
    sentinels = [entry for entry in entries if entry.key.endswith(layout.SENTINEL_SUFFIX)]
    with ThreadPoolExecutor(_READERS, thread_name_prefix="catalog") as pool:
        contents = pool.map(lambda entry: _optional(storage, entry.key), sentinels)
        # One that is gone was deleted since it was listed.
        present = [
            (entry, data)
            for entry, data in zip(sentinels, contents, strict=True)
            if data is not None
        ]
        segment_size = _segment_size(storage, [data for _, data in present])
        found = list(pool.map(lambda pair: _read(storage, pair[0], pair[1], segment_size), present))
    names = {item.name for item in found}
    folders = (entry.key.removeprefix(layout.BACKUPS)[:-1] for entry in entries)
    return Catalog(
        backups=_in_order([item for item in found if isinstance(item, Backup)]),
        unreadable=tuple(item for item in found if isinstance(item, UnreadableBackup)),
        unfinished=tuple(
            name for name in folders if layout.is_backup_name(name) and name not in names
        ),
    )


def _in_order(backups: Sequence[Backup]) -> tuple[Backup, ...]:
    return tuple(sorted(backups, key=lambda backup: (backup.finish_time, backup.name)))


def _segment_size(storage: Storage, sentinels: Sequence[bytes]) -> Callable[[], int]:
    """What tells the cluster's WAL segment size in bytes, which only WAL-E's sentinels call for.

    It is found out once, and not at all in a repository without them. Where no WAL is archived it
    is the server's default: such a backup can be listed, if not restored.
    """

    @cache
    def segment_size() -> int:
        segment = some_segment(storage, list(first_objects(storage)))
        return archived_segment_size(storage, segment) or DEFAULT_SEGMENT_SIZE

    if any(map(wal_e.is_sentinel, sentinels)):
        with suppress(CorruptError):  # raised again for each backup that it concerns
            segment_size()
    return segment_size


def _read(
    storage: Storage, entry: ObjectInfo, sentinel: bytes, segment_size: Callable[[], int]
) -> Backup | UnreadableBackup:
    name = entry.key.removeprefix(layout.BACKUPS).removesuffix(layout.SENTINEL_SUFFIX)
    try:
        if not layout.is_backup_name(name):
            raise CorruptError(f'"{name}" is not the name of a backup')
        if wal_e.is_sentinel(sentinel):
            return wal_e.read_backup(
                storage, name, sentinel, modified=entry.modified, segment_size=segment_size()
            )
        return parse_backup(
            name,
            layout.backup_timeline(name),
            sentinel,
            _optional(storage, layout.metadata(name)),
            modified=entry.modified,
            corrupt_pages=_count_corrupt_pages(storage, name),
        )
    except CorruptError as error:
        return UnreadableBackup(name=name, reason=error.message, modified=entry.modified)


def _count_corrupt_pages(storage: Storage, name: str) -> int:
    data = _optional(storage, layout.corrupt_pages(name))
    if data is None:
        return 0
    try:
        return sum(len(blocks) for blocks in json.loads(data)["files"].values())
    except (ValueError, KeyError, AttributeError, TypeError):
        raise CorruptError(f"{layout.corrupt_pages(name)} is not readable") from None


def read_index(storage: Storage, name: str) -> BackupIndex | None:
    """Read a backup's index; None for backups that other tools wrote."""
    key = layout.index(name)
    data = _optional(storage, key)
    if data is None:
        return None
    return parse_index(b"".join(decode([data], extension="zst", name=key)), name=key)


def _optional(storage: Storage, key: str) -> bytes | None:
    try:
        return b"".join(storage.get(key))
    except NotFoundError:
        return None
