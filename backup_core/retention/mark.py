"""Marking a backup permanent, so that no policy removes it, or taking the mark away.

The mark is WAL-G's: `is_permanent` in metadata.json, which both tools read. It is the one object
that is rewritten in place, as wal-g does; two tools that kept marks of their own would each remove
what the other one protects (docs/decisions/retention.md).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from backup_core.errors import CorruptError, NotFoundError, RefusedError
from backup_core.repository import layout, wal_e
from backup_core.repository.catalog import read_catalog
from backup_core.repository.sentinel import Backup, render_metadata
from backup_core.retention.rules import ancestors, descendants
from backup_core.storage.base import Storage


def mark_backup(storage: Storage, name: str, *, permanent: bool) -> tuple[str, ...]:
    """Set or take away the mark; return the names of the backups that changed.

    A permanent backup makes all that it is made on permanent. Raises RefusedError where one that is
    made on this one is permanent, NotFoundError, and what reading a backup raises.
    """
    catalog = read_catalog(storage)
    backup = catalog.named(name)
    if backup.origin == wal_e.ORIGIN:
        raise RefusedError(
            f"{backup.name} is WAL-E's, which has no place for a mark",
            hint="Copy it to a repository of its own with pitr copy.",
        )
    by_name = {item.name: item for item in catalog.backups}
    if permanent:
        wanted = [backup, *ancestors(backup, by_name)]
    else:
        _check_dependants(backup, catalog.backups)
        wanted = [backup]
    changed = [item for item in wanted if item.permanent != permanent]
    for item in changed:
        _rewrite(storage, item, permanent=permanent)
    return tuple(item.name for item in changed)


def _check_dependants(backup: Backup, backups: Sequence[Backup]) -> None:
    for item in descendants(backup, backups):
        if item.permanent:
            raise RefusedError(
                f"backup {item.name}, which is permanent, is made on {backup.name}",
                hint=f"Take its mark away first: pitr backup-mark -i {item.name}.",
            )


def _rewrite(storage: Storage, backup: Backup, *, permanent: bool) -> None:
    """Change the one key; what else the document holds stays as it is."""
    key = layout.metadata(backup.name)
    try:
        document = json.loads(b"".join(storage.get(key)))
    except NotFoundError:
        document = json.loads(render_metadata(backup))
    except ValueError:
        raise CorruptError(f"{key} is not JSON") from None
    document["is_permanent"] = permanent
    data = json.dumps(document).encode()
    storage.put(key, [data], size_hint=len(data))
