"""Which WAL segments belong to a copy (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backup_core.errors import RefusedError
from backup_core.postgres.timeline import TimelineHistory, history_of_first
from backup_core.postgres.wal import last_segment_before, segment_name, segment_of
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalObject, WalRange, ranges
from backup_core.verify.continuity import among, gaps_among, wal_spans


def spans_within(backups: Sequence[Backup], segment_size: int) -> tuple[WalRange, ...]:
    """The segments from the start to the finish of each backup, which make it consistent."""
    spans = {
        WalRange(
            timeline=backup.timeline,
            first=segment_of(backup.start_lsn, segment_size),
            last=last_segment_before(backup.finish_lsn, segment_size),
        )
        for backup in backups
    }
    return _in_order(spans)


def spans_to_the_end(
    backups: Sequence[Backup],
    histories: Mapping[int, TimelineHistory],
    archived: Sequence[WalObject],
    segment_size: int,
) -> tuple[WalRange, ...]:
    """The segments from each backup to the end of every timeline that its history leads to."""
    runs = ranges(archived, segment_size)
    timelines = {run.timeline for run in runs}
    spans: set[WalRange] = set()
    for backup in backups:
        own = histories.get(backup.timeline, _without_history(backup.timeline))
        spans.update(wal_spans(backup, own, None, among(runs), segment_size))
        for timeline, history in histories.items():
            if timeline != backup.timeline and timeline in timelines and _leads_to(backup, history):
                spans.update(wal_spans(backup, history, None, among(runs), segment_size))
    return _in_order(spans)


def _without_history(timeline: int) -> TimelineHistory:
    return history_of_first() if timeline == 1 else TimelineHistory(timeline=timeline, switches=())


def _leads_to(backup: Backup, history: TimelineHistory) -> bool:
    return history.contains(backup.timeline, backup.finish_lsn)


def _in_order(spans: set[WalRange]) -> tuple[WalRange, ...]:
    """Sort the spans and join those that overlap or touch."""
    joined: list[WalRange] = []
    for span in sorted(spans, key=lambda item: (item.timeline, item.first, item.last)):
        before = joined[-1] if joined else None
        if before and before.timeline == span.timeline and span.first <= before.last + 1:
            last = max(before.last, span.last)
            joined[-1] = WalRange(timeline=span.timeline, first=before.first, last=last)
        else:
            joined.append(span)
    return tuple(joined)


def check_wal(
    spans: Sequence[WalRange], archived: Sequence[WalObject], segment_size: int, *, where: str
) -> None:
    """Raise RefusedError if a segment of the spans is not archived."""
    gaps = gaps_among(ranges(archived, segment_size), spans)
    if gaps:
        first = segment_name(gaps[0].timeline, gaps[0].first, segment_size)
        lacking = sum(gap.count for gap in gaps)
        more = f" and {lacking - 1} more" if lacking > 1 else ""
        raise RefusedError(
            f"{where} lacks WAL segment {first}{more} on the way; nothing was copied",
            hint="Look for it in pg_wal of the primary and its standbys and push it. Without "
            "--with-history only the WAL from a backup's start to its finish is needed.",
        )
