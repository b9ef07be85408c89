"""The drawing of a repository's history: windows and WAL by timeline, backups, drills."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from backup_core.report.drawing import axis, bar, canvas, lane, legend, sign, span_title
from backup_core.report.html import Markup, join, tag
from backup_core.report.model import BackupFacts, Drill, Report, Stretch, Timeline, Window
from backup_core.report.scale import Scale, scale_over
from backup_core.report.words import length, moment, number, volume

_WEEK = timedelta(days=7)
_TICK = "M-5,0.5 l3.5,3.5 l6.5,-7.5"
_CROSS = "M-5,-5 L5,5 M-5,5 L5,-5"
_PIN = "M-3.5,-6 h7 l-3.5,5 z"
_LEGEND = (
    ("window", "can be recovered"),
    ("wal", "WAL is archived"),
    ("gap", "WAL is missing"),
    ("lost", "cannot be recovered"),
)
Key = tuple[str, int]
"""A timeline of a cluster: system identifier and number."""


def scale_of(report: Report) -> Scale:
    """The axis for everything that the report tells of."""
    times = [time for window in report.windows for time in (window.begin_time, window.end_time)]
    times += [backup.start_time for backup in report.backups]
    times += [drill.started for drill in report.drills]
    stretches = [each for line in report.timelines for each in (*line.ranges, *line.gaps)]
    times += [time for each in stretches for time in (each.from_time, each.to_time) if time]
    return scale_over(times, report.made)


def last_week(report: Report, whole: Scale) -> Scale | None:
    """The axis of the last week, where it would be too small to see on the whole one."""
    if whole.end - whole.begin < 3 * _WEEK:
        return None
    return Scale(begin=report.made - _WEEK, end=report.made + _WEEK * 0.02)


def history(report: Report, scale: Scale, *, caption: str) -> Markup:
    """The figure: a lane for each timeline, newest first, then backups and drills."""
    several = len({key[0] for key in _keys(report)}) > 1
    lanes = [
        _timeline(report, key, scale, several=several)
        for key in sorted(_keys(report), key=lambda key: -key[1])
        if _lives(report, key, scale)
    ]
    if report.backups:
        lanes.append(_backups(report, scale))
    if report.drills:
        lanes.append(_drills(report, scale))
    return tag(
        *("figure", tag("figcaption", caption), lanes, axis(scale)),
        class_="history",
    )


def key_to_colours() -> Markup:
    """What the bars of a timeline's lane mean."""
    return legend(_LEGEND)


def _keys(report: Report) -> set[Key]:
    found = {(line.system_identifier, line.timeline) for line in report.timelines}
    return found | {(window.system_identifier, window.timeline) for window in report.windows}


def _lives(report: Report, key: Key, scale: Scale) -> bool:
    """Tell whether anything of a timeline lies on the axis, or it cannot be told where it does."""
    lines = [each for each in report.timelines if (each.system_identifier, each.timeline) == key]
    spans = [(each.from_time, each.to_time) for line in lines for each in line.ranges]
    spans += [
        (each.begin_time, each.end_time)
        for each in report.windows
        if (each.system_identifier, each.timeline) == key
    ]
    return any(one is None or two is None or scale.shows(one, two) for one, two in spans)


def _timeline(report: Report, key: Key, scale: Scale, *, several: bool) -> Markup:
    windows = [each for each in report.windows if (each.system_identifier, each.timeline) == key]
    wal = next((e for e in report.timelines if (e.system_identifier, e.timeline) == key), None)
    name = [tag("strong", f"Timeline {key[1]}")]
    if wal is not None and wal.parent is not None:
        name.append(tag("span", f"left timeline {wal.parent} at {wal.begin_lsn}"))
    if several:
        name.append(tag("span", f"cluster {key[0]}"))
    drawn = join(windows_drawn(windows, scale), _wal(wal, scale) if wal else None)
    return lane(name, canvas(scale, 44, _described(key, windows, wal), drawn, now=report.made))


def _described(key: Key, windows: Sequence[Window], wal: Timeline | None) -> str:
    parts = [f"{span_title(w.begin_time, w.end_time)} can be recovered" for w in windows]
    if wal and wal.gaps:
        missing = sum(gap.segments for gap in wal.gaps)
        parts.append(f"{number(missing, 'WAL segment')} missing in {number(len(wal.gaps), 'gap')}")
    return f"Timeline {key[1]}: {'; '.join(parts) or 'nothing can be recovered'}"


def windows_drawn(windows: Sequence[Window], scale: Scale) -> Iterator[Markup]:
    """The windows of one timeline, and what is lost between them."""
    for one, two in pairwise(windows):
        if two.begin_time > one.end_time and scale.shows(one.end_time, two.begin_time):
            between = span_title(one.end_time, two.begin_time)
            title = f"{between} cannot be recovered on this timeline"
            yield _bar(scale, one.end_time, two.begin_time, (6, 16), "lost", title)
    for window in windows:
        if scale.shows(window.begin_time, window.end_time):
            span = span_title(window.begin_time, window.end_time)
            long = length(window.end_time - window.begin_time)
            count = number(len(window.backups), "backup")
            title = f"Recoverable: {span} ({long}), by {count}"
            kind = "window current" if window.current else "window"
            yield _bar(scale, window.begin_time, window.end_time, (6, 16), kind, title)


def _bar(
    scale: Scale, begin: datetime, end: datetime, band: tuple[int, int], kind: str, title: str
) -> Markup:
    return bar(scale, begin, end, y=band[0], height=band[1], kind=kind, title=title)


def _wal(wal: Timeline, scale: Scale) -> Iterator[Markup]:
    for kind, band, stretches in (("wal", (28, 6), wal.ranges), ("gap", (26, 10), wal.gaps)):
        for stretch in stretches:
            if stretch.from_time is None or stretch.to_time is None:
                continue
            if scale.shows(stretch.from_time, stretch.to_time):
                title = _stretch_title(kind, stretch)
                yield _bar(scale, stretch.from_time, stretch.to_time, band, kind, title)


def _stretch_title(kind: str, stretch: Stretch) -> str:
    what = "archived" if kind == "wal" else "missing"
    return f"{number(stretch.segments, 'WAL segment')} {what}: {stretch.first} to {stretch.last}"


def _backups(report: Report, scale: Scale) -> Markup:
    shown = [each for each in report.backups if scale.shows(each.start_time, each.finish_time)]
    useless = {item.name for item in report.unusable}
    largest = max([1, *(backup.stored_size for backup in report.backups)])
    drawn = [_backup(backup, scale, largest, backup.name in useless) for backup in shown]
    name = [tag("strong", "Base backups"), tag("span", f"as high as large, to {volume(largest)}")]
    label = f"{number(len(shown), 'base backup')}; the table below lists them"
    return lane(name, canvas(scale, 60, label, drawn, now=report.made))


def _backup(backup: BackupFacts, scale: Scale, largest: int, is_useless: bool) -> Markup:
    high = 8 + 34 * backup.stored_size / largest
    kind = "useless" if is_useless else "delta" if backup.delta_from else "full"
    notes = [
        "an increment" if backup.delta_from else "",
        "marked permanent" if backup.permanent else "",
        "of no use" if is_useless else "",
    ]
    took = length(backup.finish_time - backup.start_time)
    said = ", ".join(note for note in (volume(backup.stored_size), f"took {took}", *notes) if note)
    title = f"{backup.name}: ended {moment(backup.finish_time)} UTC, {said}"
    bars = bar(
        *(scale, backup.start_time, backup.finish_time),
        y=56 - high,
        height=high,
        kind=f"backup {kind}",
        title=title,
    )
    if not backup.permanent:
        return bars
    pin = sign(scale, backup.finish_time, y=9, shape=_PIN, kind="pin", title=title)
    return join(bars, pin)


def _drills(report: Report, scale: Scale) -> Markup:
    shown = [drill for drill in report.drills if scale.shows(drill.started, drill.finished)]
    drawn = [_drill(drill, scale) for drill in shown]
    failed = sum(not drill.succeeded for drill in shown)
    name = [tag("strong", "Drills"), tag("span", "✓ proved, ✕ failed")]
    label = f"{number(len(shown), 'drill')}, {failed} failed; the table below lists them"
    return lane(name, canvas(scale, 26, label, drawn, now=report.made))


def _drill(drill: Drill, scale: Scale) -> Markup:
    came = "proved" if drill.succeeded else f"failed in its phase {drill.failed_phase}"
    shape, kind = (_TICK, "proved") if drill.succeeded else (_CROSS, "failed")
    title = f"Drill {drill.drill}, {moment(drill.started)} UTC: {came}"
    return sign(scale, drill.started, y=13, shape=shape, kind=kind, title=title)
