"""The name of a backup must be free before anything is copied under it."""

from __future__ import annotations

from collections.abc import Callable, Collection

from backup_core.errors import RefusedError
from backup_core.repository import layout
from backup_core.repository.catalog import read_catalog
from backup_core.storage.base import Storage


def check_name(storage: Storage, name: str, *, standby: bool, warn: Callable[[str], None]) -> None:
    """Raise RefusedError if the name is taken; clear away what an interrupted backup left under it.

    WAL-G overwrites here: two backups of a standby between its restart points bear one name.
    """
    catalog = read_catalog(storage)
    taken = {backup.name for backup in catalog.backups} | {
        broken.name for broken in catalog.unreadable
    }
    if name in taken:
        raise RefusedError(
            f"backup {name} exists already; nothing was copied",
            hint="Two backups of a standby between its restart points bear one name. Run "
            "CHECKPOINT on the primary, wait for the standby to replay it, and try again."
            if standby
            else "Try again: each backup of a primary begins in a new WAL segment.",
        )
    if name in catalog.unfinished:
        warn(f"removing what an interrupted backup {name} left")
        remove_leftovers(storage, {info.key for info in storage.list(layout.backup_folder(name))})


def remove_leftovers(storage: Storage, keys: Collection[str]) -> None:
    """Delete objects of a backup that was interrupted; raises RefusedError if one stays."""
    failed = {key: why for key, why in storage.delete(sorted(keys)).items() if why}
    if failed:
        key, why = next(iter(failed.items()))
        raise RefusedError(
            f"an interrupted backup left {key}, which cannot be removed: {why}",
            hint="Remove everything in the backup's folder and try again.",
        )
