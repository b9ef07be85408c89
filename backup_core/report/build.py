"""From what was found in a repository to the report (pure)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from backup_core.postgres.wal import parse_wal_name, segment_name
from backup_core.report.clock import Anchor, anchors, time_at
from backup_core.report.document import VERSION
from backup_core.report.listing import Listing, growth
from backup_core.report.model import (
    BackupFacts,
    Broken,
    Drill,
    Promised,
    Report,
    Retention,
    ServingBackup,
    Stretch,
    Timeline,
    Trouble,
    Window,
)
from backup_core.repository.catalog import Catalog
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalRange
from backup_core.repository.wal_e import is_offline
from backup_core.verify.ends import Damaged
from backup_core.verify.promise import Breach, Promise
from backup_core.verify.window import ClusterWal, Facts, Recovery, RecoveryWindow


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All that was found; `now` is the clock of this host."""

    repository: str
    pitr_version: str
    now: datetime
    catalog: Catalog
    facts: Facts
    listing: Listing
    recovery: Recovery
    damaged: Sequence[Damaged]
    promise: Promise
    breaches: Sequence[Breach]
    drills: tuple[Drill, ...] = ()
    retention: Retention | None = None


def make_report(found: Findings) -> Report:
    """Put the report together."""
    recovery = found.recovery
    return Report(
        version=VERSION,
        made=found.now.astimezone(UTC),
        repository=found.repository,
        pitr_version=found.pitr_version,
        promised=_promised(found.promise),
        windows=tuple(_window(window, window is recovery.current) for window in recovery.windows),
        unusable=tuple(Trouble(name=item.name, reason=item.reason) for item in recovery.unusable),
        damaged=tuple(Trouble(name=item.name, reason=item.reason) for item in found.damaged),
        broken=tuple(Broken(promise=each.promise, message=each.message) for each in found.breaches),
        backups=tuple(map(_backup, found.catalog.backups)),
        unreadable=tuple(
            Trouble(name=item.name, reason=item.reason) for item in found.catalog.unreadable
        ),
        unfinished=found.catalog.unfinished,
        timelines=tuple(timelines(found.facts, recovery, found.listing.stored)),
        drills=found.drills,
        growth=growth(found.catalog.backups, found.listing.by_hour),
        retention=found.retention,
    )


def _promised(promise: Promise) -> Promised:
    return Promised(
        recovery_window=promise.window.total_seconds() if promise.window else None,
        recovery_freshness=promise.freshness.total_seconds() if promise.freshness else None,
    )


def _window(window: RecoveryWindow, is_current: bool) -> Window:
    return Window(
        timeline=window.timeline,
        system_identifier=_identifier(window.system_identifier),
        current=is_current,
        begin_time=window.begin_time,
        begin_lsn=str(window.begin_lsn),
        end_time=window.end_time or window.backups[-1].finish_time,
        end_lsn=str(window.end_lsn),
        end_source=window.end_source or "backup",
        last_segment=window.last_segment,
        last_stored=window.last_stored,
        backups=tuple(
            ServingBackup(name=item.name, from_time=item.finish_time, from_lsn=str(item.finish_lsn))
            for item in window.backups
        ),
    )


def _identifier(number: int | None) -> str:
    return str(number or "")


def _backup(backup: Backup) -> BackupFacts:
    return BackupFacts(
        name=backup.name,
        timeline=backup.timeline,
        system_identifier=_identifier(backup.system_identifier),
        start_time=backup.start_time,
        finish_time=backup.finish_time,
        start_lsn=str(backup.start_lsn),
        finish_lsn=str(backup.finish_lsn),
        stored_size=backup.compressed_size,
        raw_size=backup.uncompressed_size,
        pg_version=backup.pg_version,
        hostname=backup.hostname,
        permanent=backup.permanent,
        delta_from=backup.delta_from,
        corrupt_pages=backup.corrupt_pages,
        user_data="" if backup.user_data is None else json.dumps(backup.user_data),
    )


def timelines(
    facts: Facts, recovery: Recovery, stored: Mapping[tuple[int, int], datetime]
) -> Iterator[Timeline]:
    """Each timeline of each cluster that has WAL, with the times of its ranges and gaps."""
    for cluster in facts.wal:
        for number in sorted({run.timeline for run in cluster.runs}):
            runs = [run for run in cluster.runs if run.timeline == number]
            gaps = [
                WalRange(timeline=number, first=one.last + 1, last=two.first - 1)
                for one, two in pairwise(runs)
            ]
            history = facts.histories.get(number)
            switch = history.switches[-1] if history and history.switches else None
            size = facts.segment_size
            known = _anchors(number, runs, cluster, facts, recovery, stored)
            yield Timeline(
                timeline=number,
                system_identifier=_identifier(cluster.system_identifier),
                parent=switch.timeline if switch else None,
                begin_lsn=str(switch.end) if switch else None,
                ranges=tuple(_stretch(run, size, known) for run in runs),
                gaps=tuple(_stretch(gap, size, known) for gap in gaps),
            )


def _anchors(
    timeline: int,
    runs: Sequence[WalRange],
    cluster: ClusterWal,
    facts: Facts,
    recovery: Recovery,
    stored: Mapping[tuple[int, int], datetime],
) -> tuple[Anchor, ...]:
    """What ties positions on a timeline to times.

    A segment is stored when it is full; a window's end is known where its WAL was read.
    """
    mine = cluster.system_identifier
    trusted: list[Anchor] = []
    for backup in facts.backups:
        whose = backup.system_identifier in (None, mine)
        if backup.timeline == timeline and whose and not is_offline(backup):
            trusted.append((int(backup.start_lsn), backup.start_time))
            trusted.append((int(backup.finish_lsn), backup.finish_time))
    for window in recovery.windows:
        if (
            window.system_identifier == mine
            and window.end_source == "wal"
            and window.end_time is not None
            and parse_wal_name(window.last_segment).timeline == timeline
        ):
            trusted.append((int(window.end_lsn), window.end_time))
    size = facts.segment_size
    ends = ((timeline, number) for run in runs for number in (run.first, run.last))
    return anchors(
        trusted, [((place[1] + 1) * size, stored[place]) for place in ends if place in stored]
    )


def _stretch(run: WalRange, segment_size: int, known: Sequence[Anchor]) -> Stretch:
    return Stretch(
        first=segment_name(run.timeline, run.first, segment_size),
        last=segment_name(run.timeline, run.last, segment_size),
        segments=run.count,
        from_time=time_at(run.first * segment_size, known),
        to_time=time_at((run.last + 1) * segment_size, known),
    )
