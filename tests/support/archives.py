"""Repositories as values, for properties that must hold whatever happened to a cluster.

A cluster writes WAL, is promoted here and there, loses segments and history files; backups are
taken on any of its timelines. Time passes with the WAL, a minute a segment.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from hypothesis import strategies as st

from backup_core.postgres.lsn import Lsn
from backup_core.postgres.timeline import TimelineHistory, TimelineSwitch, history_of_first
from backup_core.postgres.wal import segment_name
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalRange
from backup_core.verify.window import ClusterWal, Facts
from tests.support.backups import BACKUP, NOON

SEGMENT = 1 << 20
LONGEST = 12 * SEGMENT
"""How much WAL a timeline gets, at most."""


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A timeline as it was, whatever of it is archived."""

    history: TimelineHistory
    archived: frozenset[int]
    has_history_file: bool


def runs_of(timeline: int, numbers: frozenset[int]) -> tuple[WalRange, ...]:
    """The segments of a timeline as unbroken runs, told one by one."""
    runs: list[WalRange] = []
    for number in sorted(numbers):
        if runs and runs[-1].last == number - 1:
            runs[-1] = replace(runs[-1], last=number)
        else:
            runs.append(WalRange(timeline=timeline, first=number, last=number))
    return tuple(runs)


def backup_at(timeline: int, start: int, length: int) -> Backup:
    """A backup over these bytes of a timeline's WAL, whose times go with them."""
    finish = start + length
    return replace(
        BACKUP,
        name=f"base_{segment_name(timeline, start // SEGMENT, SEGMENT)}",
        timeline=timeline,
        start_lsn=Lsn(start),
        finish_lsn=Lsn(finish),
        start_time=NOON + timedelta(minutes=start / SEGMENT),
        finish_time=NOON + timedelta(minutes=finish / SEGMENT),
    )


@st.composite
def branches(draw: st.DrawFn) -> list[Branch]:
    """Timelines 1 to 4, each but the first left from one before it, with some WAL lost."""
    found: list[Branch] = []
    for timeline in range(1, draw(st.integers(1, 4)) + 1):
        history = history_of_first()
        if timeline > 1:
            parent = found[draw(st.integers(0, timeline - 2))].history
            end = Lsn(parent.begin + SEGMENT + draw(st.integers(1, LONGEST // SEGMENT)) * SEGMENT)
            end = Lsn(end + draw(st.sampled_from([0, 1, SEGMENT // 2])))
            switch = TimelineSwitch(timeline=parent.timeline, end=end, reason="")
            history = TimelineHistory(timeline=timeline, switches=(*parent.switches, switch))
        first = max(1, history.begin // SEGMENT)
        count = draw(st.integers(0, 14))
        lost = draw(st.frozensets(st.integers(first, first + 14), max_size=3))
        found.append(
            Branch(
                history=history,
                archived=frozenset(range(first, first + count)) - lost,
                has_history_file=draw(st.integers(0, 9)) > 0,
            )
        )
    return found


@st.composite
def archives(draw: st.DrawFn) -> Facts:
    """A repository of one cluster."""
    timelines = draw(branches())
    backups: dict[str, Backup] = {}
    for _ in range(draw(st.integers(0, 6))):
        history = draw(st.sampled_from(timelines)).history
        offset = draw(st.integers(0, LONGEST // 1000)) * 1000 + 0x28
        backup = backup_at(
            history.timeline,
            max(history.begin, SEGMENT) + offset,
            draw(st.integers(1, 3 * SEGMENT)),
        )
        backups[backup.name] = backup
    runs = [run for b in timelines for run in runs_of(b.history.timeline, b.archived)]
    return Facts(
        backups=tuple(sorted(backups.values(), key=lambda item: (item.finish_time, item.name))),
        wal=(ClusterWal(system_identifier=BACKUP.system_identifier, runs=tuple(runs)),),
        histories={
            b.history.timeline: b.history
            for b in timelines
            if b.has_history_file and b.history.timeline > 1
        },
        segment_size=SEGMENT,
    )
