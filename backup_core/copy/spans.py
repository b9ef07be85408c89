"""Which WAL segments belong to a copy (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from backup_core.errors import RefusedError
from backup_core.postgres.timeline import TimelineHistory, history_of_first
from backup_core.postgres.wal import WalKind, last_segment_before, segment_name, segment_of
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalObject, WalRange


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
    highest = _highest(archived, segment_size)
    spans: set[WalRange] = set()
    for backup in backups:
        own = histories.get(backup.timeline, _without_history(backup.timeline))
        spans.update(_way(backup, own, highest, segment_size))
        for timeline, history in histories.items():
            if timeline != backup.timeline and timeline in highest and _leads_to(backup, history):
                spans.update(_way(backup, history, highest, segment_size))
    return _in_order(spans)


def _without_history(timeline: int) -> TimelineHistory:
    return history_of_first() if timeline == 1 else TimelineHistory(timeline=timeline, switches=())


def _leads_to(backup: Backup, history: TimelineHistory) -> bool:
    return history.contains(backup.timeline, backup.finish_lsn)


def _highest(archived: Sequence[WalObject], segment_size: int) -> dict[int, int]:
    highest: dict[int, int] = {}
    for item in archived:
        if item.wal.kind is WalKind.SEGMENT:
            number = item.wal.segment_number(segment_size)
            highest[item.wal.timeline] = max(number, highest.get(item.wal.timeline, number))
    return highest


def _way(
    backup: Backup, history: TimelineHistory, highest: Mapping[int, int], segment_size: int
) -> Iterator[WalRange]:
    """The segment in which a timeline ends is read from its successor, which begins with it."""
    position = backup.start_lsn
    for switch in history.switches:
        if switch.timeline >= backup.timeline:
            last = segment_of(switch.end, segment_size) - 1
            yield from _range(switch.timeline, segment_of(position, segment_size), last)
            position = switch.end
    first = segment_of(position, segment_size)
    last = highest.get(history.timeline, first - 1)
    if history.timeline == backup.timeline:
        last = max(last, last_segment_before(backup.finish_lsn, segment_size))
    yield from _range(history.timeline, first, last)


def _range(timeline: int, first: int, last: int) -> Iterator[WalRange]:
    if last >= first:
        yield WalRange(timeline=timeline, first=first, last=last)


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
    numbers: dict[int, set[int]] = {}
    for item in archived:
        if item.wal.kind is WalKind.SEGMENT:
            number = item.wal.segment_number(segment_size)
            numbers.setdefault(item.wal.timeline, set()).add(number)
    for span in spans:
        present = numbers.get(span.timeline, set())
        found = sum(span.first <= number <= span.last for number in present)
        if found < span.count:
            # some number up to first + found is missing, however far the span reaches
            first = next(n for n in range(span.first, span.last + 1) if n not in present)
            more = f" and {span.count - found - 1} more" if span.count - found > 1 else ""
            raise RefusedError(
                f"{where} lacks WAL segment {segment_name(span.timeline, first, segment_size)}"
                f"{more} on the way; nothing was copied",
                hint="Look for it in pg_wal of the primary and its standbys and push it. Without "
                "--with-history only the WAL from a backup's start to its finish is needed.",
            )
