"""The WAL on the way from a backup to a moment, and what of it is missing (pure).

Restore asks it before the first byte, and the list of what can be recovered is made by it: two ways
to tell whether WAL is unbroken would one day disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from backup_core.postgres.lsn import Lsn
from backup_core.postgres.timeline import TimelineHistory
from backup_core.postgres.wal import last_segment_before, segment_of
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalRange
from backup_core.repository.wal_e import is_offline


def is_on_timeline(backup: Backup, history: TimelineHistory) -> bool:
    """Tell whether the timeline to be followed contains the whole backup."""
    if is_offline(backup):
        return backup.timeline in (history.timeline, *(each.timeline for each in history.switches))
    return history.contains(backup.timeline, backup.finish_lsn)


def wal_spans(
    backup: Backup,
    history: TimelineHistory,
    goal: Lsn | None,
    runs_from: Callable[[int, int], Sequence[WalRange]],
    segment_size: int,
) -> tuple[WalRange, ...]:
    """The segments on the way from the backup's start to the goal, timeline by timeline.

    `runs_from(timeline, first)` tells the runs archived there that end at `first` or later. The
    segment in which a timeline ends is read from its successor, which begins with a copy of it.
    """
    spans = []
    position = backup.start_lsn
    for timeline, end in _way(backup.timeline, history, goal, runs_from, segment_size):
        first = segment_of(position, segment_size)
        if end is not None:
            last = segment_of(end, segment_size) - 1
            position = end
        elif goal is not None:
            last = last_segment_before(goal, segment_size)
        else:
            last = max([first - 1, *(run.last for run in runs_from(timeline, first))])
            if backup.timeline == timeline:
                last = max(last, last_segment_before(backup.finish_lsn, segment_size))
        if last >= first:
            spans.append(WalRange(timeline=timeline, first=first, last=last))
    return tuple(spans)


def _way(
    start: int,
    history: TimelineHistory,
    goal: Lsn | None,
    runs_from: Callable[[int, int], Sequence[WalRange]],
    segment_size: int,
) -> Iterator[tuple[int, Lsn | None]]:
    """Timelines from `start` on, each with its end; the last, which has the goal, without.

    For a goal in the very segment of a switch either timeline's copy serves. The old one's may be
    archived as a `.partial` only, and the server looks for the new one's first.
    """
    for switch in history.switches:
        if switch.timeline < start:
            continue
        if goal is not None and goal <= switch.end:
            last = last_segment_before(goal, segment_size)
            before = last < segment_of(switch.end, segment_size)
            if before or _holds(runs_from(switch.timeline, last), last):
                yield switch.timeline, None
                return
        yield switch.timeline, switch.end
    yield history.timeline, None


def missing_wal(
    spans: Sequence[WalRange], archived: Callable[[WalRange], Iterable[WalRange]]
) -> tuple[WalRange, ...]:
    """The parts of the spans that the archive lacks.

    `archived` tells the runs of segments on a span's timeline, in their order; what they hold
    outside the span does not matter. The effort depends on the gaps only: a target may lie any
    distance beyond the archive.
    """
    return tuple(gap for span in spans for gap in _gaps(span, archived(span)))


def before(spans: Sequence[WalRange], gap: WalRange) -> tuple[WalRange, ...]:
    """The part of the way that lies before a gap on it."""
    found: list[WalRange] = []
    for span in spans:
        if span.timeline == gap.timeline and span.first <= gap.first <= span.last:
            cut = replace(span, last=gap.first - 1)
            return (*found, cut) if cut.count else tuple(found)
        found.append(span)
    return tuple(found)


def _gaps(span: WalRange, present: Iterable[WalRange]) -> Iterator[WalRange]:
    wanted = span.first
    for run in present:
        if run.first > wanted:
            yield replace(span, first=wanted, last=min(run.first - 1, span.last))
        wanted = max(wanted, run.last + 1)
        if wanted > span.last:
            return
    yield replace(span, first=wanted)


def reach(
    backup: Backup, history: TimelineHistory, runs: Sequence[WalRange], segment_size: int
) -> Lsn:
    """Up to where WAL is unbroken from the backup's start on the way to a timeline; exclusive."""
    spans = wal_spans(backup, history, None, among(runs), segment_size)
    gaps = gaps_among(runs, spans)
    if gaps:
        number = gaps[0].first
    elif spans:
        number = spans[-1].last + 1
    else:
        number = segment_of(backup.start_lsn, segment_size)
    return max([Lsn(number * segment_size), *_ends_in(number, backup, history, runs, segment_size)])


def _ends_in(
    number: int,
    backup: Backup,
    history: TimelineHistory,
    runs: Sequence[WalRange],
    segment_size: int,
) -> Iterator[Lsn]:
    """Where timelines on the way end inside a segment of which they left their own copy."""
    for switch in history.switches:
        if (
            switch.timeline >= backup.timeline
            and segment_of(switch.end, segment_size) == number
            and _holds(among(runs)(switch.timeline, number), number)
        ):
            yield switch.end


def among(runs: Sequence[WalRange]) -> Callable[[int, int], list[WalRange]]:
    """What tells, of runs that are all known, those on a timeline from a segment on."""

    def runs_from(timeline: int, first: int) -> list[WalRange]:
        return [run for run in runs if run.timeline == timeline and run.last >= first]

    return runs_from


def gaps_among(runs: Sequence[WalRange], spans: Sequence[WalRange]) -> tuple[WalRange, ...]:
    """The parts of the spans that are not among the runs."""
    return missing_wal(spans, lambda span: among(runs)(span.timeline, span.first))


def _holds(runs: Iterable[WalRange], number: int) -> bool:
    return any(run.first <= number <= run.last for run in runs)
