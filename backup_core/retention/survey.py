"""The facts that a removal is planned from: one listing of the WAL, one of the backups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from backup_core.errors import NotFoundError
from backup_core.repository import layout
from backup_core.repository.catalog import read_catalog
from backup_core.repository.wal_archive import wal_objects
from backup_core.retention.policy import Holdings
from backup_core.storage.base import ObjectInfo, Storage
from backup_core.verify.facts import read_facts
from backup_core.verify.window import Facts, recovery


def read_holdings(
    storage: Storage,
    *,
    now: datetime,
    promised: timedelta | None = None,
    cluster: int | None = None,
) -> Holdings:
    """Look at everything; `cluster` None means the one of the newest backup.

    Raises StorageError if a listing fails, and NotFoundError for a cluster that is not here.
    """
    wal = list(storage.list(layout.WAL))
    catalog = read_catalog(storage)
    facts = read_facts(storage, backups=catalog.backups, objects=wal_objects(wal))
    cluster = _cluster(facts, cluster)
    stored = {item.wal.name: item.modified for item in wal_objects(wal)}
    return Holdings(
        facts=facts,
        cluster=cluster,
        windows=tuple(
            replace(window, last_stored=stored.get(window.last_segment))
            for window in recovery(facts).windows
            if window.system_identifier == cluster
        ),
        unreadable=catalog.unreadable,
        unfinished=catalog.unfinished,
        folders=_folders(storage),
        wal=wal,
        marks=list(storage.list(layout.MARKS)),
        now=now,
        promised=promised,
    )


def _cluster(facts: Facts, wanted: int | None) -> int | None:
    known = [item.system_identifier for item in facts.wal]
    if wanted is not None:
        if wanted not in known:
            raise NotFoundError(
                f"the repository holds no WAL of a cluster with system identifier {wanted}",
                hint="pitr backup-list --json shows those of its backups.",
            )
        return wanted
    newest = [item.system_identifier for item in facts.backups if item.system_identifier in known]
    return newest[-1] if newest else known[0]


def _folders(storage: Storage) -> Mapping[str, Sequence[ObjectInfo]]:
    """The objects of each backup but its sentinel."""
    folders: dict[str, list[ObjectInfo]] = {}
    for info in storage.list(layout.BACKUPS):
        name, slash, _ = info.key.removeprefix(layout.BACKUPS).partition("/")
        if slash:
            folders.setdefault(name, []).append(info)
    return folders
