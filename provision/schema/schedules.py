"""Attributes of what runs by the clock: base backups, retention, the rotation of logs."""

# ruff: noqa: RUF009  # each call makes a field
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from provision.cron_schedule import CronSchedule, parse
from provision.kinds import BOOLEAN, SCHEDULE, TEXT, Kind, duration, integer, list_of, one_of
from provision.schema.fields import attribute
from provision.values import Duration

Scheduler = Literal["cron", "systemd"]
RunOn = Literal["primary", "standby", "any"]
Frequency = Literal["daily", "weekly", "monthly"]

_SCHEDULER: Kind[Scheduler] = one_of("cron", "systemd")
_RUN_ON: Kind[RunOn] = one_of("primary", "standby", "any")
_FREQUENCY: Kind[Frequency] = one_of("daily", "weekly", "monthly")


@dataclass(frozen=True, kw_only=True)
class BaseBackup:
    """Base backups."""

    enabled: bool = attribute(BOOLEAN, default=True, doc="Whether base backups are taken.")
    schedule: CronSchedule = attribute(
        SCHEDULE,
        default=parse("0 4 * * *"),
        doc="When, by the host's clock; between 1 and 3 a change to summer time may skip it.",
    )
    scheduler: Scheduler = attribute(
        _SCHEDULER,
        default="cron",
        doc="What starts the scheduled work of this host.",
    )
    spread: Duration = attribute(
        duration("0s", "12h"),
        default=Duration(seconds=0),
        doc="Over how long the hosts' starts are spread, each host always at the same time.",
    )
    run_on: RunOn = attribute(
        _RUN_ON,
        default="primary",
        doc="The server's state in which a backup is taken; otherwise the run ends at once.",
    )
    nice: int = attribute(integer(0, 19), default=10, doc="How far it gives way to others.")
    timeout: Duration = attribute(
        duration("1min", "30d"),
        default=Duration(seconds=86400),
        doc="After how long a backup is ended.",
    )
    flags: tuple[str, ...] = attribute(
        list_of(TEXT),
        default=(),
        doc="More options of the command that takes backups.",
    )


@dataclass(frozen=True, kw_only=True)
class Retention:
    """What is kept in the repository."""

    enabled: bool = attribute(BOOLEAN, default=True, doc="Whether old backups are deleted.")
    keep_full: int = attribute(
        integer(1, 10_000),
        default=7,
        doc="How many full backups are kept at least.",
    )
    window: Duration | None = attribute(
        duration("1h", "3650d"),
        default=None,
        doc="How far back any moment can be restored; null for as far as keep_full reaches.",
    )
    schedule: CronSchedule = attribute(
        SCHEDULE,
        default=parse("30 12 * * *"),
        doc="When old backups are deleted, by the host's clock.",
    )


@dataclass(frozen=True, kw_only=True)
class Logrotate:
    """What happens to logs."""

    rotate: int = attribute(integer(0, 3650), default=14, doc="How many old logs are kept.")
    frequency: Frequency = attribute(_FREQUENCY, default="daily", doc="How often they are rotated.")
