"""A report as a value, for tests that take it and change what matters to them.

Two timelines, a gap on the second, drills of which one failed, and a retention that removes one.
"""

from dataclasses import replace
from datetime import timedelta

from backup_core.report.model import (
    BackupFacts,
    Broken,
    Drill,
    Growth,
    Phase,
    Promised,
    Report,
    Retention,
    ServingBackup,
    Stretch,
    Timeline,
    Verdict,
    Window,
)
from tests.support.backups import NOON

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
CLUSTER = "7000000000000000001"


def backup(day: int, timeline: int = 1, **changes: object) -> BackupFacts:
    """The backup that was taken at three in the morning, so many days after the first."""
    start = NOON + day * DAY - 9 * HOUR
    found = BackupFacts(
        name=f"base_{timeline:08X}00000000{day + 2:08X}",
        timeline=timeline,
        system_identifier=CLUSTER,
        start_time=start,
        finish_time=start + HOUR / 2,
        start_lsn=f"0/{day + 2:X}000028",
        finish_lsn=f"0/{day + 2:X}000150",
        stored_size=(day + 4) << 30,
        raw_size=(day + 4) << 32,
        pg_version=170006,
        hostname="db1",
        permanent=False,
        delta_from=None,
        corrupt_pages=0,
        user_data="",
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def window(
    timeline: int, backups: tuple[BackupFacts, ...], days: float, *, current: bool
) -> Window:
    """What these backups recover, up to so many days after the first."""
    end = NOON + days * DAY
    return Window(
        timeline=timeline,
        system_identifier=CLUSTER,
        current=current,
        begin_time=backups[0].finish_time,
        begin_lsn=backups[0].finish_lsn,
        end_time=end,
        end_lsn="0/F000000",
        end_source="wal",
        last_segment=f"{timeline:08X}000000000000000E",
        last_stored=end,
        backups=tuple(
            ServingBackup(name=each.name, from_time=each.finish_time, from_lsn=each.finish_lsn)
            for each in backups
        ),
    )


def stretch(timeline: int, first: int, last: int, begin: float, end: float) -> Stretch:
    """Segments between two times, in days after the first."""
    return Stretch(
        first=f"{timeline:08X}00000000{first:08X}",
        last=f"{timeline:08X}00000000{last:08X}",
        segments=last - first + 1,
        from_time=NOON + begin * DAY,
        to_time=NOON + end * DAY,
    )


def drill(day: int, *, succeeded: bool = True) -> Drill:
    """The drill of a day."""
    phases = [("plan", 1.0), ("restore", 300.0 + day), ("start", 5.0), ("replay", 60.0)]
    return Drill(
        name=f"2026-{day}",
        drill="fresh",
        host="drill1",
        started=NOON + day * DAY,
        finished=NOON + day * DAY + HOUR,
        succeeded=succeeded,
        failed_phase=None if succeeded else "replay",
        error=None if succeeded else "the archive has a hole",
        backup="base_000000010000000000000002",
        timeline=1,
        recovery_seconds=366.0 + day if succeeded else None,
        data_lost_seconds=42.0,
        signature="good",
        phases=tuple(Phase(name=name, state="passed", seconds=seconds) for name, seconds in phases),
    )


BACKUPS = (*(backup(day) for day in range(3)), *(backup(day, 2) for day in range(3, 8)))
REPORT = Report(
    version=1,
    made=NOON + 8 * DAY,
    repository="s3://backups/shop",
    pitr_version="1.0.0",
    promised=Promised(recovery_window=2 * 86400.0, recovery_freshness=None),
    windows=(
        window(1, BACKUPS[:3], 2.5, current=False),
        window(2, BACKUPS[:5], 4.2, current=False),
        window(2, BACKUPS[5:], 7.99, current=True),
    ),
    unusable=(),
    damaged=(),
    broken=(),
    backups=BACKUPS,
    unreadable=(),
    unfinished=(),
    timelines=(
        Timeline(
            timeline=1,
            system_identifier=CLUSTER,
            parent=None,
            begin_lsn=None,
            ranges=(stretch(1, 2, 5, -0.4, 2.5),),
            gaps=(),
        ),
        Timeline(
            timeline=2,
            system_identifier=CLUSTER,
            parent=1,
            begin_lsn="0/5000060",
            ranges=(stretch(2, 5, 7, 2.5, 4.2), stretch(2, 9, 14, 4.4, 7.99)),
            gaps=(stretch(2, 8, 8, 4.2, 4.4),),
        ),
    ),
    drills=tuple(drill(day, succeeded=day != 4) for day in range(1, 8)),
    growth=tuple(
        Growth(until=NOON + day * DAY, backups=(day + 1) << 32, wal=(day + 1) << 30)
        for day in range(8)
    ),
    retention=Retention(
        policy="retain FULL 7",
        verdicts=tuple(
            Verdict(
                name=each.name,
                keep=number > 0,
                reason="inside the recovery window" if number else "no rule keeps it",
                size=each.stored_size,
            )
            for number, each in enumerate(BACKUPS)
        ),
        wal_segments=3,
        freed=5 << 30,
    ),
)
WHOLE = replace(
    REPORT,
    windows=(REPORT.windows[0], window(2, BACKUPS, 7.99, current=True)),
    timelines=(
        REPORT.timelines[0],
        replace(REPORT.timelines[1], ranges=(stretch(2, 5, 14, 2.5, 7.99),), gaps=()),
    ),
)
"""The same without a gap."""
EMPTY = replace(
    REPORT,
    windows=(),
    backups=(),
    timelines=(),
    drills=(),
    growth=(),
    retention=None,
    broken=(Broken(promise="recovery_window", message="nothing can be recovered"),),
)
"""Of a repository in which nothing is."""
