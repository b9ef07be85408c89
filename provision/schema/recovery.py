"""Attributes of what reads the archive: replicas, restores to a point in time, drills."""

# ruff: noqa: RUF009  # each call makes a field
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from provision.content import SecretRef
from provision.cron_schedule import CronSchedule, parse
from provision.kinds import (
    BOOLEAN,
    LINES,
    PATH,
    PORT,
    SCHEDULE,
    SECRET,
    TEXT,
    Kind,
    duration,
    integer,
    one_of,
    text,
)
from provision.schema.fields import attribute, records, section
from provision.values import Duration

Mode = Literal["none", "streaming", "archive", "delayed"]
SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
TargetAction = Literal["pause", "promote", "shutdown"]
DrillBackup = Literal["latest", "oldest"]

_MODE: Kind[Mode] = one_of("none", "streaming", "archive", "delayed")
_SSL_MODE: Kind[SslMode] = one_of(
    "disable", "allow", "prefer", "require", "verify-ca", "verify-full"
)
_TARGET_ACTION: Kind[TargetAction] = one_of("pause", "promote", "shutdown")
_DRILL_BACKUP: Kind[DrillBackup] = one_of("latest", "oldest")
HOST_NAME = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+"
_HOST = text("name or address of a host", HOST_NAME)
_SLOT = text("name of a replication slot", r"[a-z0-9_]{1,63}")
_TIMELINE = text(
    "timeline",
    r"latest|current|[1-9][0-9]{0,9}",
    hint='Write latest, current or a number in quotes, "3".',
)
_TIME = text(
    "time with its offset from UTC",
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
    r" ?(UTC|[+-][0-9]{2}(:?[0-9]{2})?)",
    hint='Write "2024-05-01 12:00:00+00"; the newest moment needs no target at all.',
)
_LSN = text("WAL location", r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}", hint='Write "0/3000000".')
_XID = text("transaction id", r"[0-9]{1,20}", hint='Write it in quotes, "1234".')
_UNTIL = text(
    "how far a drill replays",
    r"start|end|\+[1-9][0-9]{0,5}(s|min|h|d)",
    hint="Write start, end, or a span after the backup: +1d.",
)
_DRILL_NAME = text("name of a drill", r"[a-z0-9][a-z0-9_.-]{0,40}")
_NAME = text("name", r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, kw_only=True)
class Primary:
    """The server that a streaming replica follows."""

    host: str | None = attribute(_HOST, default=None, doc="The primary's name or address.")
    port: int = attribute(PORT, default=5432, doc="The primary's port.")
    user: str = attribute(TEXT, default="replicator", doc="The role that replicates.")
    password: SecretRef | None = attribute(SECRET, default=None, doc="That role's password.")
    sslmode: SslMode = attribute(
        _SSL_MODE,
        default="verify-full",
        doc="Whether the connection is encrypted and the primary's certificate verified.",
    )


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where recovery ends; at most one of the first five. Without any: at the end of the WAL."""

    time: str | None = attribute(_TIME, default=None, doc="A moment, with its offset from UTC.")
    lsn: str | None = attribute(_LSN, default=None, doc="A location in the WAL.")
    xid: str | None = attribute(_XID, default=None, doc="A transaction.")
    name: str | None = attribute(TEXT, default=None, doc="A restore point.")
    immediate: bool = attribute(
        BOOLEAN,
        default=False,
        doc="As soon as the backup is consistent.",
    )
    inclusive: bool = attribute(
        BOOLEAN,
        default=True,
        doc="Whether the target itself is recovered, too.",
    )
    action: TargetAction = attribute(
        _TARGET_ACTION,
        default="pause",
        doc="What the server does there.",
    )


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """How a replica follows, or a restore ends."""

    mode: Mode = attribute(
        _MODE,
        default="none",
        doc="none for a primary; streaming, with the archive to fall back to; archive alone; "
        "delayed, archive alone and behind by delay.",
    )
    delay: Duration | None = attribute(
        duration("1s", "24d"),
        default=None,
        doc="How far a delayed replica stays behind.",
    )
    primary: Primary = section(Primary, doc="The server that a streaming replica follows.")
    slot: str | None = attribute(_SLOT, default=None, doc="The replication slot on the primary.")
    timeline: str = attribute(_TIMELINE, default="latest", doc="The timeline to recover into.")
    target: Target = section(Target, doc="Where recovery ends.")


@dataclass(frozen=True, kw_only=True)
class DrillSchedule:
    """A restore that runs by the clock."""

    name: str = attribute(_DRILL_NAME, default="", doc="What the drill is called.", required=True)
    enabled: bool = attribute(BOOLEAN, default=True, doc="Whether it runs.")
    schedule: CronSchedule = attribute(
        SCHEDULE,
        default=parse("30 11 * * *"),
        doc="When, by the host's clock.",
        required=True,
    )
    backup: DrillBackup = attribute(
        _DRILL_BACKUP,
        default="latest",
        doc="latest proves that backups restore; oldest that the WAL after it has no hole.",
    )
    until: str | None = attribute(
        _UNTIL,
        default=None,
        derived="backup",
        doc="How far it replays: start, past its own start, for the latest; +1d for the oldest; "
        "or end, what is archived.",
    )


@dataclass(frozen=True, kw_only=True)
class Check:
    """A query whose answer tells whether what was restored is right."""

    name: str = attribute(_NAME, default="", doc="What the check is called.", required=True)
    enabled: bool = attribute(BOOLEAN, default=True, doc="Whether it runs.")
    database: str = attribute(TEXT, default="postgres", doc="The database to ask.")
    query: str = attribute(
        LINES,
        default="",
        doc="One query of SQL that returns one value.",
        required=True,
    )
    expect: str = attribute(
        TEXT,
        default="t",
        doc="What it returns where all is well, as psql shows it.",
    )
    at_least: int | None = attribute(
        integer(0, 2**62),
        default=None,
        doc="Instead: it returns a number, and not less.",
    )
    max_age: Duration | None = attribute(
        duration("1s"),
        default=None,
        doc="Instead: it returns a time, and not an older one, seen from the moment recovered to.",
    )
    timeout: Duration = attribute(
        duration("1s", "1d"),
        default=Duration(seconds=300),
        doc="How long it may take.",
    )


@dataclass(frozen=True, kw_only=True)
class Drill:
    """Restores that prove that a restore works."""

    enabled: bool = attribute(BOOLEAN, default=True, doc="Whether drills run.")
    schedules: tuple[DrillSchedule, ...] = records(
        DrillSchedule,
        doc="When which backup is restored.",
    )
    directory: str | None = attribute(
        PATH,
        default=None,
        derived="state_directory",
        doc="Where is restored to, with room for the whole cluster.",
    )
    signing_key: SecretRef | None = attribute(
        SECRET,
        default=None,
        doc="The Ed25519 key in PEM that signs the records.",
    )
    checks: tuple[Check, ...] = records(Check, doc="What is asked of the restored server.")
