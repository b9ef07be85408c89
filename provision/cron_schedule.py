"""Times as cron writes them: read strictly, computed here, and said in systemd's words.

Implementations of cron differ on the fringe (lists of names, 5/10, @hourly, an L for the last day),
so what is rendered is the common core, in numbers. Where both days are restricted cron takes either
of them; systemd takes both, so that a schedule of this kind has no timer (crontab(5),
systemd.time(7)).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice

from provision.errors import InputError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LAST_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SOME_DAY = date(2028, 1, 1)
_FOUR_YEARS = 4 * 365 + 1
_STEP = re.compile(r"(?P<range>[^/]+)/(?P<step>[0-9]{1,2})")
_ATOM = re.compile(r"[0-9]{1,2}|[a-z]{3}")
_SYSTEMD_WEEKDAYS = tuple(name.capitalize() for name in _WEEKDAYS)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What one of the five fields counts."""

    name: str
    first: int
    last: int
    names: Mapping[str, int]


_UNITS = (
    Unit(name="minute", first=0, last=59, names={}),
    Unit(name="hour", first=0, last=23, names={}),
    Unit(name="day of the month", first=1, last=31, names={}),
    Unit(name="month", first=1, last=12, names={n: i for i, n in enumerate(_MONTHS, 1)}),
    Unit(name="day of the week", first=0, last=7, names={n: i for i, n in enumerate(_WEEKDAYS)}),
)


@dataclass(frozen=True, kw_only=True)
class CronSchedule:
    """When a line of cron runs; `text` is its five fields in numbers, one blank between them.

    Weekdays count from Sunday, 0. `any_day` and `any_weekday`: the field begins with a star, so it
    does not widen the other one.
    """

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    any_day: bool
    any_weekday: bool

    def runs_on(self, day: date) -> bool:
        """Whether it runs on that day at all."""
        in_month = day.day in self.days
        in_week = day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return day.month in self.months and in_month and in_week
        return day.month in self.months and (in_month or in_week)

    def runs_after(self, moment: datetime) -> Iterator[datetime]:
        """Yield the run times after `moment` on the same clock, without end.

        The clock's changes are not looked at: a time that the clock skips is yielded as well.
        """
        day = moment.date()
        while True:
            if self.runs_on(day):
                runs = (datetime.combine(day, at, moment.tzinfo) for at in self._times())
                yield from (run for run in runs if run > moment)
            day += timedelta(days=1)

    def next_runs(self, moment: datetime, count: int) -> list[datetime]:
        """Return the first `count` run times after `moment`, on the same clock."""
        return list(islice(self.runs_after(moment), count))

    def meets(self, other: CronSchedule) -> bool:
        """Whether both ever run in the same minute; days are tried out, over four years."""
        if set(self.minutes).isdisjoint(other.minutes) or set(self.hours).isdisjoint(other.hours):
            return False
        days = (_SOME_DAY + timedelta(days=number) for number in range(_FOUR_YEARS))
        return any(self.runs_on(day) and other.runs_on(day) for day in days)

    @property
    def in_clock_change(self) -> bool:
        """Whether it runs between 1 and 3 o'clock, which a change to summer time may skip."""
        return not {1, 2}.isdisjoint(self.hours)

    def on_calendar(self, zone: str = "") -> str:
        """Return the same times for OnCalendar= of a systemd timer, in `zone` or the host's.

        Raises InputError where cron takes the day of the month or that of the week.
        """
        if not (self.any_day or self.any_weekday):
            raise InputError(
                f"{self.text!r} restricts both days, of which cron takes either and systemd both",
                hint="Leave one of them a star, or let cron run it.",
            )
        week = ",".join(_SYSTEMD_WEEKDAYS[day] for day in self.weekdays)
        month, day = _calendar(self.months, _UNITS[3]), _calendar(self.days, _UNITS[2])
        hour, minute = _calendar(self.hours, _UNITS[1]), _calendar(self.minutes, _UNITS[0])
        words = ("" if len(self.weekdays) == 7 else week, f"*-{month}-{day}", f"{hour}:{minute}:00")
        return " ".join(word for word in (*words, zone) if word)

    def delayed(self, minutes: int) -> CronSchedule:
        """Return the schedule that runs so many minutes later on the same days.

        One that is to be moved must run at one minute of named hours and stay within the day, or
        InputError is raised.
        """
        if minutes == 0:
            return self
        if len(self.minutes) != 1 or "*" in self.text.split(" ")[1]:
            raise InputError(
                f"{self.text!r} cannot be moved by {minutes} minutes",
                hint="Name one minute and the hours.",
            )
        carry, minute = divmod(self.minutes[0] + minutes, 60)
        hours = [hour + carry for hour in self.hours]
        if hours[-1] > 23:
            raise InputError(f"{self.text!r} would run on the next day, {minutes} minutes later")
        days = self.text.split(" ", 2)[2]
        return parse(f"{minute} {','.join(map(str, hours))} {days}")

    def _times(self) -> Iterator[time]:
        return (time(hour, minute) for hour in self.hours for minute in self.minutes)


def parse(text: str) -> CronSchedule:
    """Read five fields; raises InputError for what crons read differently or never run."""
    fields = text.split()
    if len(fields) != len(_UNITS):
        raise InputError(
            f"{text!r} is not a time of cron",
            hint="Write minute, hour, day of the month, month and day of the week: 30 3 * * *",
        )
    read = [_field(unit, field.lower()) for unit, field in zip(_UNITS, fields, strict=True)]
    values = [tuple(sorted(numbers)) for _, numbers in read]
    schedule = CronSchedule(
        text=" ".join(written for written, _ in read),
        minutes=values[0],
        hours=values[1],
        days=values[2],
        months=values[3],
        weekdays=tuple(sorted({day % 7 for day in values[4]})),
        any_day=fields[2].startswith("*"),
        any_weekday=fields[4].startswith("*"),
    )
    if not any(day <= _LAST_DAYS[month - 1] for day in schedule.days for month in schedule.months):
        _check_either(schedule)
    return schedule


def _check_either(schedule: CronSchedule) -> None:
    if schedule.any_day or schedule.any_weekday:
        raise InputError(f"{schedule.text!r} never runs: the months have no such day")


def _field(unit: Unit, text: str) -> tuple[str, set[int]]:
    """Return a field in numbers and what it stands for."""
    parts = [_part(unit, part) for part in text.split(",")]
    return ",".join(written for written, _ in parts), {n for _, some in parts for n in some}


def _part(unit: Unit, text: str) -> tuple[str, range]:
    stepped = _STEP.fullmatch(text)
    span = stepped["range"] if stepped else text
    written, numbers = _span(unit, span)
    if stepped is None:
        return written, numbers
    step = int(stepped["step"])
    if span != "*" and "-" not in span:
        raise InputError(
            f"{text!r} is not a {unit.name} that every cron knows",
            hint=f"Write a range with a step: {span}-{unit.last}/{step}",
        )
    if not 0 < step < len(numbers):
        raise InputError(f"{text!r}: the step does not fit into the {unit.name}")
    return f"{written}/{step}", numbers[::step]


def _span(unit: Unit, text: str) -> tuple[str, range]:
    if text == "*":
        # a week ends on Saturday: 7 is Sunday once more
        return text, range(unit.first, 7 if unit.last == 7 else unit.last + 1)
    low, dash, high = text.partition("-")
    first = _atom(unit, low, text)
    if not dash:
        return str(first), range(first, first + 1)
    last = _atom(unit, high, text)
    if unit.last == 7 and last == 0 and first:
        last = 7
    if last < first:
        raise InputError(f"{text!r}: the {unit.name} runs backwards", hint="Write two ranges.")
    return f"{first}-{last}", range(first, last + 1)


def _atom(unit: Unit, text: str, whole: str) -> int:
    number = unit.names.get(text, -1)
    if _ATOM.fullmatch(text) and text.isdecimal():
        number = int(text)
    if not unit.first <= number <= unit.last:
        raise InputError(f"{whole!r} is not a {unit.name}", hint=_allowed(unit))
    return number


def _allowed(unit: Unit) -> str:
    names = f" or {', '.join(unit.names)}" if unit.names else ""
    return f"It is {unit.first} to {unit.last}{names}."


def _calendar(numbers: tuple[int, ...], unit: Unit) -> str:
    if len(numbers) == unit.last - unit.first + 1:
        return "*"
    return ",".join(f"{number:02}" for number in numbers)
