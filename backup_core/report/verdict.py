"""What a report comes to, in words and in one of three levels (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from backup_core.report.model import Drill, Report
from backup_core.report.words import length, moment, number

Level = Literal["good", "watch", "bad"]
_TOLERANCE = timedelta(seconds=10)
"""So far may the clocks of two hosts be apart before it is worth a word."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The level with the word for it, and every reason that it is not better."""

    level: Level
    word: str
    reasons: tuple[str, ...]


def judge(report: Report) -> Judgement:
    """Tell whether all is well: bad if nothing can be recovered or a promise is broken."""
    watch = tuple(_worries(report))
    if report.current is None:
        return Judgement(level="bad", word=why_nothing(report), reasons=watch)
    broken = tuple(f"{item.message[:1].upper()}{item.message[1:]}." for item in report.broken)
    if broken:
        return Judgement(level="bad", word="A promise is broken", reasons=(*broken, *watch))
    if watch:
        return Judgement(level="watch", word="Recoverable, with a flaw", reasons=watch)
    return Judgement(level="good", word="Recoverable", reasons=())


def _worries(report: Report) -> Iterator[str]:
    if report.unreadable:
        yield f"{number(len(report.unreadable), 'backup')} cannot be read."
    if report.unusable:
        count = len(report.unusable)
        yield f"{number(count, 'backup')} {_is(count)} of no use: nothing can be recovered from it."
    if report.damaged:
        count = len(report.damaged)
        yield f"{number(count, 'WAL segment')} {_is(count)} damaged."
    missing = sum(gap.segments for line in report.timelines for gap in line.gaps)
    if missing:
        yield f"{number(missing, 'WAL segment')} {_is(missing)} missing between those archived."
    for drill in newest_drills(report):
        if not drill.succeeded:
            yield f"The last drill {drill.drill} failed in its phase {drill.failed_phase}."
        if drill.signature == "wrong":
            yield f"The record of the last drill {drill.drill} has a wrong signature."
    current = report.current
    if current is not None and current.end_time > report.made + _TOLERANCE:
        ahead = length(current.end_time - report.made)
        yield f"Clocks differ: the newest moment is {ahead} later than this report was made."


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def newest_drills(report: Report) -> tuple[Drill, ...]:
    """The last drill of each name."""
    return tuple({drill.drill: drill for drill in report.drills}.values())


def why_nothing(report: Report) -> str:
    """Why nothing can be recovered."""
    if report.backups:
        count = len(report.backups)
        return f"The repository holds {number(count, 'backup')}, and none of use"
    if report.unreadable:
        return "No backup in the repository can be read"
    if report.unfinished:
        return "No backup in the repository is finished: one runs, or was interrupted"
    return "The repository holds no backup"


def age(now: datetime, time: datetime) -> str:
    """How long ago a time was; nothing for one that is still to come, since clocks differ."""
    return "" if time > now else length(now - time)


def lost_between(report: Report) -> tuple[str, ...]:
    """The stretches between the windows of the current timeline, in words."""
    current = report.current
    if current is None:
        return ()
    mine = [
        each
        for each in report.windows
        if (each.timeline, each.system_identifier) == (current.timeline, current.system_identifier)
    ]
    return tuple(
        f"from {moment(one.end_time)} to {moment(two.begin_time)}"
        for one, two in pairwise(mine)
        if two.begin_time > one.end_time
    )
