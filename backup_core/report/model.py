"""What a report says, as a value: nothing in it refers to a store, so that it can travel.

It is filled on the host that has the repository's keys, and drawn there or elsewhere: a fleet's
page is made of the reports of many hosts. So names, LSNs and system identifiers are texts here,
times are timezone-aware, sizes are bytes and lengths are seconds. What `pitr windows --json` says
as well has its names here (docs/json.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class ServingBackup:
    """A backup of a window, and the earliest moment and LSN that it serves."""

    name: str
    from_time: datetime
    from_lsn: str


@dataclass(frozen=True, kw_only=True)
class Window:
    """What can be recovered on the way to a timeline, from one edge to the other."""

    timeline: int
    system_identifier: str
    current: bool
    begin_time: datetime
    begin_lsn: str
    end_time: datetime
    end_lsn: str
    end_source: str
    last_segment: str
    last_stored: datetime | None
    backups: tuple[ServingBackup, ...]


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Something that is there and cannot be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A promise that is not kept."""

    promise: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Promised:
    """What was promised; None for what was not."""

    recovery_window: float | None = None
    recovery_freshness: float | None = None


@dataclass(frozen=True, kw_only=True)
class BackupFacts:
    """A base backup; `user_data` is JSON, empty if there is none."""

    name: str
    timeline: int
    system_identifier: str
    start_time: datetime
    finish_time: datetime
    start_lsn: str
    finish_lsn: str
    stored_size: int
    raw_size: int
    pg_version: int
    hostname: str
    permanent: bool
    delta_from: str | None
    corrupt_pages: int
    user_data: str


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Consecutive segments, archived or missing; the times are as near as can be told."""

    first: str
    last: str
    segments: int
    from_time: datetime | None
    to_time: datetime | None


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The WAL of one timeline of one cluster: what is archived, and what is missing in between.

    `parent` and `begin_lsn` are None for the first, or if the history file is not archived.
    """

    timeline: int
    system_identifier: str
    parent: int | None
    begin_lsn: str | None
    ranges: tuple[Stretch, ...]
    gaps: tuple[Stretch, ...]


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A phase of a drill."""

    name: str
    state: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Drill:
    """A restore drill on record; `signature` as `pitr drill list` tells it."""

    name: str
    drill: str
    host: str
    started: datetime
    finished: datetime
    succeeded: bool
    failed_phase: str | None
    error: str | None
    backup: str | None
    timeline: int | None
    recovery_seconds: float | None
    data_lost_seconds: float | None
    signature: str
    phases: tuple[Phase, ...]


@dataclass(frozen=True, kw_only=True)
class Growth:
    """What is stored now and came before `until`."""

    until: datetime
    backups: int
    wal: int


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What retention does with a backup next, and why."""

    name: str
    keep: bool
    reason: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Retention:
    """What retention would remove now: `policy` in words, `freed` with the WAL."""

    policy: str
    verdicts: tuple[Verdict, ...]
    wal_segments: int
    freed: int

    @property
    def removed(self) -> tuple[Verdict, ...]:
        """The backups that go."""
        return tuple(item for item in self.verdicts if not item.keep)


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that a page shows; `made` is by the clock of the host that made it."""

    version: int
    made: datetime
    repository: str
    pitr_version: str
    promised: Promised
    windows: tuple[Window, ...]
    unusable: tuple[Trouble, ...]
    damaged: tuple[Trouble, ...]
    broken: tuple[Broken, ...]
    backups: tuple[BackupFacts, ...]
    unreadable: tuple[Trouble, ...]
    unfinished: tuple[str, ...]
    timelines: tuple[Timeline, ...]
    drills: tuple[Drill, ...]
    growth: tuple[Growth, ...]
    retention: Retention | None

    @property
    def current(self) -> Window | None:
        """The window that reaches the newest moment."""
        return next((window for window in self.windows if window.current), None)
