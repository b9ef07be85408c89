"""Reading a repository for a report: one listing of the WAL, the sentinels, the ends of windows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from backup_core.postgres.wal import DEFAULT_SEGMENT_SIZE
from backup_core.report.build import Findings, make_report
from backup_core.report.listing import Listing
from backup_core.report.model import Drill, Report, Retention
from backup_core.repository.catalog import read_catalog
from backup_core.repository.wal_archive import (
    archived_segment_size,
    first_objects,
    list_wal,
    some_segment,
)
from backup_core.storage.base import Storage
from backup_core.verify.ends import read_recovery
from backup_core.verify.facts import read_facts
from backup_core.verify.promise import Promise, judge


def read_report(
    storage: Storage,
    promise: Promise,
    *,
    clock: Callable[[], datetime],
    pitr_version: str,
    drills: tuple[Drill, ...] = (),
    retention: Retention | None = None,
) -> Report:
    """Find out what a repository holds and what it is worth; raises as read_recovery does.

    The clock is asked when all is read, as WAL goes on coming meanwhile.
    """
    segment = some_segment(storage, list(first_objects(storage)))
    listing = Listing(archived_segment_size(storage, segment) or DEFAULT_SEGMENT_SIZE)
    catalog = read_catalog(storage)
    facts = read_facts(storage, backups=catalog.backups, objects=listing.noting(list_wal(storage)))
    recovery, damaged = read_recovery(storage, facts)
    now = clock()
    return make_report(
        Findings(
            repository=storage.url,
            pitr_version=pitr_version,
            now=now,
            catalog=catalog,
            facts=facts,
            listing=listing,
            recovery=recovery,
            damaged=damaged,
            promise=promise,
            breaches=judge(recovery, promise, now),
            drills=drills,
            retention=retention,
        )
    )
