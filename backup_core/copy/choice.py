"""Which backups a copy is of (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from backup_core.errors import CorruptError, NotFoundError
from backup_core.repository.catalog import Catalog
from backup_core.repository.sentinel import Backup


def choose(catalog: Catalog, names: Sequence[str], *, everything: bool) -> tuple[Backup, ...]:
    """The backups named, or all, with those that their increments build on; oldest first.

    Raises NotFoundError, and CorruptError for a chosen backup that cannot be read.
    """
    if everything:
        names = [*(item.name for item in catalog.backups)] or ["LATEST"]
        names += [item.name for item in catalog.unreadable]
    chosen: dict[str, Backup] = {}
    for name in names:
        for backup in _chain(catalog, catalog.named(name)):
            chosen[backup.name] = backup
    return tuple(sorted(chosen.values(), key=lambda item: (item.finish_time, item.name)))


def _chain(catalog: Catalog, backup: Backup) -> list[Backup]:
    chain = [backup]
    while (name := chain[-1].delta_from) is not None:
        try:
            base = catalog.named(name)
        except NotFoundError:
            raise CorruptError(
                f"{chain[-1].name} builds on {name}, which is not in the repository",
                hint="Without it this delta cannot be restored; copy another backup.",
            ) from None
        if base in chain:
            raise CorruptError(f"{backup.name} builds on itself, by way of {name}")
        chain.append(base)
    return chain
