"""A base backup as a value, for tests that take it and change what matters to them."""

import json
from dataclasses import replace
from datetime import UTC, datetime

from backup_core.postgres.lsn import Lsn
from backup_core.repository import layout
from backup_core.repository.sentinel import Backup, render_metadata, render_sentinel
from backup_core.storage.base import Storage
from tests.support.segments import SYSTEM_IDENTIFIER

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)

BACKUP = Backup(
    name="base_000000010000000000000002",
    timeline=1,
    start_lsn=Lsn.parse("0/2000028"),
    finish_lsn=Lsn.parse("0/2000100"),
    start_time=NOON,
    finish_time=NOON,
    pg_version=170002,
    system_identifier=SYSTEM_IDENTIFIER,
    hostname="db1",
    data_dir="/srv/pg",
    uncompressed_size=3000,
    compressed_size=1000,
    data_catalog_size=4000,
)


def store(storage: Storage, backup: Backup) -> None:
    """Put a backup's sentinel and metadata where a repository has them."""
    storage.put(layout.metadata(backup.name), [render_metadata(backup)])
    storage.put(layout.sentinel(backup.name), [render_sentinel(backup)])


def store_delta(storage: Storage, backup: Backup, parent: Backup) -> Backup:
    """Put a backup that is made on another, as wal-g leaves it; return it as it will be read."""
    made = replace(
        backup,
        delta_from=parent.name,
        delta_lsn=parent.start_lsn,
        delta_full_name=parent.delta_full_name or parent.name,
        delta_count=parent.delta_count + 1,
    )
    document = json.loads(render_sentinel(backup)) | {
        "DeltaFrom": made.delta_from,
        "DeltaLSN": parent.start_lsn,
        "DeltaFullName": made.delta_full_name,
        "DeltaCount": made.delta_count,
    }
    storage.put(layout.metadata(backup.name), [render_metadata(backup)])
    storage.put(layout.sentinel(backup.name), [json.dumps(document).encode()])
    return made
