"""Which backups a copy is of (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from backup_core.errors import RefusedError
from backup_core.repository.catalog import Catalog
from backup_core.repository.chain import chain
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_e import is_offline


def choose(catalog: Catalog, names: Sequence[str], *, everything: bool) -> tuple[Backup, ...]:
    """The backups named, or all, with those that their increments build on; oldest first.

    Raises NotFoundError, CorruptError for a chosen backup that cannot be read, and RefusedError
    for one whose WAL is not known or that builds on another cluster's.
    """
    if everything:
        names = [*(item.name for item in catalog.backups)] or ["LATEST"]
        names += [item.name for item in catalog.unreadable]
    by_name = {backup.name: backup for backup in catalog.backups}
    chosen: dict[str, Backup] = {}
    for name in names:
        for backup in chain(catalog.named(name), by_name):
            _check_its_wal_is_known(backup)
            chosen[backup.name] = backup
    return tuple(sorted(chosen.values(), key=lambda item: (item.finish_time, item.name)))


def _check_its_wal_is_known(backup: Backup) -> None:
    if is_offline(backup):
        raise RefusedError(
            f"{backup.name} was taken by WAL-E while no server ran, so that only its own "
            "pg_control tells which WAL it needs",
            hint="Copy other backups by their names, and this one's objects by the store's means.",
        )
