"""Which objects of a backup's folder are its partitions, and whether all are there (pure).

A folder is listed and not computed: WAL-G's numbers have holes, WAL-E's have none. What an upload
left behind when it was interrupted is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from backup_core.errors import CorruptError, NotFoundError
from backup_core.repository import layout, wal_e
from backup_core.repository.index import BackupIndex
from backup_core.repository.sentinel import Backup

_LEFTOVER = re.compile(r"_chunks/|\.tmp\.\d{8}T\d{6}Z-[0-9a-f]{16}$", re.ASCII)
_LAST = ("pg_control.tar", "backup_label.tar")
_DAMAGED = "The stored backup is damaged; restore an older one."


def choose_parts(
    stored: Mapping[str, int], backup: Backup, index: BackupIndex | None
) -> dict[str, int]:
    """The partitions' keys and stored sizes, largest first, out of what is in their folder.

    Raises CorruptError if one is missing, and NotFoundError if there is none at all.
    """
    folder = layout.partitions(backup.name)
    parts = {key: size for key, size in stored.items() if not _LEFTOVER.search(key)}
    if backup.origin == wal_e.ORIGIN:
        parts = _numbered(parts, folder)
    for part in index.parts if index else ():
        if parts.get(folder + part.name, -1) < part.stored_size:
            raise CorruptError(
                f"{folder}{part.name} is missing or smaller than the backup's index says",
                hint=_DAMAGED,
            )
    if not any(not is_last(key) for key in parts):
        raise NotFoundError(f"backup {backup.name} has no partitions and cannot be restored")
    return dict(sorted(parts.items(), key=lambda item: (-item[1], item[0])))


def is_last(key: str) -> bool:
    """Tell whether a partition has nothing but files that are placed last."""
    return key.rpartition("/")[2].startswith(_LAST)


def has_control(keys: Collection[str]) -> bool:
    """Tell whether pg_control has a partition of its own."""
    return any(key.rpartition("/")[2].startswith(_LAST[0]) for key in keys)


def _numbered(parts: Mapping[str, int], folder: str) -> dict[str, int]:
    """WAL-E's partitions, whose numbers run from 0 without a hole."""
    numbers: dict[int, str] = {}
    for key in parts:
        match = wal_e.PARTITION.fullmatch(key.removeprefix(folder))
        if match is None:
            continue
        other = numbers.setdefault(int(match[1]), key)
        if other != key:
            raise CorruptError(f"{other} and {key} have the same number", hint=_DAMAGED)
    for number in range(len(numbers)):
        if number not in numbers:
            raise CorruptError(
                f"{folder} lacks the partition with number {number}, but has others after it",
                hint=_DAMAGED,
            )
    return {key: parts[key] for key in numbers.values()}
