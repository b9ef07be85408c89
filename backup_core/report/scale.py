"""A time axis: where a moment lies between its ends, and which moments are worth a mark (pure).

Places are percentages, so that a drawing is as wide as the window it is looked at in, and its texts
keep their size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from backup_core.report.words import utc

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STEPS = (
    *(1, 5, 15, 30),
    *(_MINUTE, 2 * _MINUTE, 5 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR),
    *(_DAY, 2 * _DAY, 7 * _DAY),
)
_MONTH_STEPS = (1, 2, 3, 6, *(12 * years for years in (1, 2, 5, 10, 20, 50, 100, 500, 1000)))
_MOST_MARKS = 9
_MONDAY = datetime(2001, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """An axis from one moment to a later one."""

    begin: datetime
    end: datetime

    def place(self, time: datetime) -> float:
        """Where a moment lies, in per cent; what lies beyond an end is put there."""
        share = (time - self.begin) / (self.end - self.begin)
        return 100 * min(1.0, max(0.0, share))

    def shows(self, begin: datetime, end: datetime) -> bool:
        """Tell whether any of a stretch lies on the axis."""
        return begin <= self.end and end >= self.begin


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A moment on the axis, and what stands below it."""

    time: datetime
    label: str


def scale_over(times: list[datetime], now: datetime) -> Scale:
    """The axis on which all of the times lie, and now, with some air at its ends."""
    begin, end = utc(min([*times, now])), utc(max([*times, now]))
    air = max((end - begin) * 0.02, timedelta(seconds=30))
    return Scale(begin=_moved(begin, -air), end=_moved(end, air))


def _moved(time: datetime, by: timedelta) -> datetime:
    """A clock that is wrong may stand at the end of all time."""
    try:
        return time + by
    except OverflowError:
        return time


def marks(scale: Scale) -> list[Mark]:
    """Round moments on the axis, at most nine."""
    span = (scale.end - scale.begin).total_seconds()
    step = next((each for each in _STEPS if span / each <= _MOST_MARKS), None)
    if step is None:
        return _months(scale)
    first = -((_MONDAY - scale.begin) // timedelta(seconds=step))
    found = []
    time = _MONDAY + first * timedelta(seconds=step)
    while time <= scale.end:
        found.append(Mark(time=time, label=_label(time, step)))
        time += timedelta(seconds=step)
    return found


def _label(time: datetime, step: int) -> str:
    if step >= _DAY or (time.hour, time.minute, time.second) == (0, 0, 0):
        return f"{time.day} {time:%b}"
    return f"{time:%H:%M:%S}" if step < _MINUTE else f"{time:%H:%M}"


def _months(scale: Scale) -> list[Mark]:
    months = (scale.end.year - scale.begin.year) * 12 + scale.end.month - scale.begin.month
    step = next((each for each in _MONTH_STEPS if months / each <= _MOST_MARKS), _MONTH_STEPS[-1])
    return [Mark(time=time, label=_month_label(time)) for time in _firsts(scale, step)]


def _firsts(scale: Scale, step: int) -> Iterator[datetime]:
    """The firsts of every so many months, counted from the year 0."""
    count = scale.begin.year * 12 + scale.begin.month - 1
    count += -count % step
    while count // 12 <= scale.end.year:
        time = datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)
        if scale.begin <= time <= scale.end:
            yield time
        count += step


def _month_label(time: datetime) -> str:
    return f"{time:%Y}" if time.month == 1 else f"{time:%b}"
