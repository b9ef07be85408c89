"""From a recovery target to the settings and the signal file that make a server recover to it.

Pure: others write the files. Until 11 the settings stand in recovery.conf, whose presence starts
recovery; since 12 they are ordinary settings and an empty signal file starts it (manual, section
19.5 "Write Ahead Log", and appendix O.1). The restore command decides what a failed fetch means:
the server takes exit codes 1 to 125 for the end of the archive and promotes, so only codes that
were chosen for it pass; everything else, a missing program included, stops recovery.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from backup_core.errors import UsageError
from backup_core.postgres.archiving import restore_prefix
from backup_core.postgres.lsn import Lsn

Action = Literal["pause", "promote", "shutdown"]
Signal = Literal["recovery.signal", "standby.signal", "recovery.conf"]
Settings = tuple[tuple[str, str], ...]

AUTO_CONF_HEADER = "# Recovery settings written by pitr backup-fetch."
AUTO_CONF_NOTE = "# disabled by pitr backup-fetch: "

_ACTIONS = ("pause", "promote", "shutdown")
_FIRST_WITH_SIGNAL_FILES = 12
_FIRST_THAT_READS_AHEAD = 15
_FIRST_WITH_TARGET_LSN = 10
_FIRST_NORMAL_XID = 3
_XID_LIMIT = 1 << 32
_MAX_NAME_BYTES = 63

# Each names a target by itself; the server refuses to start when two are set.
_TARGET_SETTINGS = (
    "recovery_target",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_xid",
)
# What an earlier restore or a life as a standby may have left in postgresql.auto.conf.
_LEFTOVERS = {
    *_TARGET_SETTINGS,
    "archive_cleanup_command",
    "promote_trigger_file",
    "recovery_end_command",
    "recovery_min_apply_delay",
    "recovery_target_action",
    "recovery_target_inclusive",
    "recovery_target_timeline",
    "restore_command",
    "standby_mode",
    "trigger_file",
}
_CONF_NAME = re.compile(r"[ \t\r\f\v]*([A-Za-z_][A-Za-z0-9_$]*)(?![A-Za-z0-9_$.\u0080-\U0010ffff])")


@dataclass(frozen=True, kw_only=True)
class RecoveryTarget:
    """Where recovery stops; with no target, at the end of the archived WAL.

    At most one of time, lsn, xid, name and immediate. A time without a zone is local. `inclusive`
    concerns time, lsn and xid. `timeline` is "latest", "current" or a decimal number; None means
    latest. `action` None leaves the server's default, to pause. Raises UsageError if it makes no
    sense (manual, section 19.5.6 "Recovery Target").
    """

    time: datetime | None = None
    lsn: Lsn | None = None
    xid: int | None = None
    name: str | None = None
    immediate: bool = False
    inclusive: bool = True
    timeline: str | None = None
    action: Action | None = None

    def __post_init__(self) -> None:
        """Refuse what the server would refuse, or would silently ignore."""
        if self.time is not None and self.time.tzinfo is None:
            object.__setattr__(self, "time", self.time.astimezone())
        _check_single(self)
        _check_xid(self.xid)
        _check_name(self.name)
        _check_timeline(self.timeline)
        _check_action(self)

    @property
    def is_set(self) -> bool:
        """Whether recovery is to stop before the end of the WAL."""
        return bool(_target_settings(self))


@dataclass(frozen=True, kw_only=True)
class RecoveryConfig:
    """What makes a restored server recover; values are unquoted.

    `settings` belong into the file named by `signal` if that is recovery.conf, else into
    postgresql.auto.conf beside an empty file of that name. `server_settings` belong into
    postgresql.auto.conf always: before 12, recovery.conf does not take them.
    """

    signal: Signal
    settings: Settings
    server_settings: Settings = ()


def recovery_files(
    major: int,
    *,
    target: RecoveryTarget,
    restore_command: str,
    standby: bool,
    archive_mode_off: bool,
    primary_conninfo: str | None = None,
    gap_follows: bool = False,
) -> RecoveryConfig:
    """Decide the recovery settings for a server of `major` (9 stands for 9.6).

    With `gap_follows` the segment after the target's is missing: a server that reads ahead, as it
    does from 15 on, would ask for it before it reaches the target, and stop there. Raises
    UsageError for a target that this version does not know.
    """
    server = _server_settings(target, archive_mode_off=archive_mode_off)
    if gap_follows and major >= _FIRST_THAT_READS_AHEAD:
        server = (*server, ("recovery_prefetch", "off"))
    conninfo = () if primary_conninfo is None else (("primary_conninfo", primary_conninfo),)
    common = (("restore_command", restore_command), *conninfo)
    if major < _FIRST_WITH_SIGNAL_FILES:
        return RecoveryConfig(
            signal="recovery.conf",
            settings=(*common, *_recovery_conf(major, target, standby=standby)),
            server_settings=server,
        )
    return RecoveryConfig(
        signal="standby.signal" if standby else "recovery.signal",
        settings=(*common, *server, *_recovery_settings(target)),
    )


def _recovery_conf(major: int, target: RecoveryTarget, *, standby: bool) -> Settings:
    """Only what is asked for: an empty value is an error there, and "current" has no name."""
    if target.lsn is not None and major < _FIRST_WITH_TARGET_LSN:
        raise UsageError(
            "PostgreSQL 9.6 cannot recover to an LSN",
            hint="Choose a time, a transaction id or a restore point.",
        )
    settings = [("standby_mode", "on")] if standby else []
    if (timeline := _timeline(target)) != "current":
        settings.append(("recovery_target_timeline", timeline))
    if target.is_set:
        settings += [*_how_to_stop(target), *_target_settings(target)]
    return tuple(settings)


def _recovery_settings(target: RecoveryTarget) -> Settings:
    """Every recovery_target setting, so that none in postgresql.conf has a say.

    The target itself is last: the server refuses to set any other after it, even to nothing.
    """
    chosen = _target_settings(target)
    names = [name for name, _ in chosen]
    return (
        ("recovery_target_timeline", _timeline(target)),
        *_how_to_stop(target),
        *((name, "") for name in _TARGET_SETTINGS if name not in names),
        *chosen,
    )


def _server_settings(target: RecoveryTarget, *, archive_mode_off: bool) -> Settings:
    """Without hot_standby the server shuts down where it should pause."""
    settings = [("hot_standby", "on")] if target.is_set and _action(target) == "pause" else []
    if archive_mode_off:
        settings.append(("archive_mode", "off"))
    return tuple(settings)


def _target_settings(target: RecoveryTarget) -> Settings:
    """The settings that name a target, without a zone's ambiguity; one, or none."""
    time = None if target.time is None else target.time.astimezone(UTC).isoformat(sep=" ")
    values = {
        "recovery_target_time": time,
        "recovery_target_lsn": None if target.lsn is None else str(target.lsn),
        "recovery_target_xid": None if target.xid is None else str(target.xid),
        "recovery_target_name": target.name,
        "recovery_target": "immediate" if target.immediate else None,
    }
    return tuple((name, value) for name, value in values.items() if value is not None)


def _how_to_stop(target: RecoveryTarget) -> Settings:
    return (
        ("recovery_target_inclusive", "on" if target.inclusive else "off"),
        ("recovery_target_action", _action(target)),
    )


def _action(target: RecoveryTarget) -> Action:
    return target.action or "pause"


def _timeline(target: RecoveryTarget) -> str:
    return target.timeline or "latest"


def rewrite_auto_conf(existing: str, settings: Iterable[tuple[str, str]]) -> str:
    """Add settings to the text of a postgresql.auto.conf; everything else stays byte for byte.

    Earlier lines with the same names, and recovery settings left by an earlier restore, become
    comments that say so; primary_conninfo is left alone unless it is among the settings. Raises
    UsageError for a value that cannot be written.
    """
    added = tuple(settings)
    disabled = _LEFTOVERS | {name for name, _ in added}
    lines = [_disable(line, disabled) for line in existing.split("\n")]
    kept = "\n".join(lines)
    if kept and not kept.endswith("\n"):
        kept += "\n"
    ours = "".join(f"{name} = {quote_setting(value)}\n" for name, value in added)
    return f"{kept}{AUTO_CONF_HEADER}\n{ours}"


def _disable(line: str, names: set[str]) -> str:
    """Comment a line out if it sets one of the names; a setting never spans lines."""
    match = _CONF_NAME.match(line)
    if match is None or match[1].lower() not in names:
        return line
    return AUTO_CONF_NOTE + line


def quote_setting(value: str) -> str:
    """Quote a value for PostgreSQL's configuration files; raises UsageError for a newline in it.

    Both quotes and backslashes are doubled (manual, section 20.1.2, and guc-file.l).
    """
    if "\n" in value or "\0" in value:
        raise UsageError(
            f"a setting's value cannot hold a newline or a NUL: {value!r}",
            hint="Put a command of several lines into a script.",
        )
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def restore_command(
    program: Sequence[str], *, spool: str | None = None, extra_arguments: Iterable[str] = ()
) -> str:
    """The restore_command that runs `program` (words, unquoted) with wal-fetch and the arguments.

    With a `spool`, the shell first looks there for what was prefetched.

    Exit codes 0 (delivered), 74 (proven absent) and 75 (trouble that a standby waits out) pass to
    the server; any other becomes 200, at which it stops instead of promoting (manual, section
    26.3.5 "Recovering Using a Continuous Archive Backup").
    """
    spooling = [] if spool is None else ["--spool-dir", spool]
    words = shlex.join([*program, "wal-fetch", *extra_arguments, *spooling]).replace("%", "%%")
    before = "" if spool is None else restore_prefix(spool)
    return f'{before}{words} "%f" "%p"; rc=$?; case $rc in 0|74|75) exit $rc;; *) exit 200;; esac'


def _check_single(target: RecoveryTarget) -> None:
    given = [
        name.removeprefix("recovery_target").lstrip("_") or "immediate"
        for name, _ in _target_settings(target)
    ]
    if len(given) > 1:
        raise UsageError(
            f"only one recovery target is possible, not {' and '.join(given)}",
            hint="Keep the one that says best where to stop.",
        )
    if not target.inclusive and not {"time", "lsn", "xid"}.intersection(given):
        raise UsageError(
            "only a time, an LSN or a transaction id can be excluded",
            hint="Give one of these as the recovery target, or leave the exclusion out.",
        )


def _check_xid(xid: int | None) -> None:
    if xid is not None and not _FIRST_NORMAL_XID <= xid < _XID_LIMIT:
        raise UsageError(
            f"{xid} is not a transaction id",
            hint="It lies between 3 and 4294967295; take an xid8 modulo 4294967296.",
        )


def _check_name(name: str | None) -> None:
    if name is not None and not 1 <= len(name.encode()) <= _MAX_NAME_BYTES:
        raise UsageError(
            f'"{name}" is not the name of a restore point',
            hint=f"Names that pg_create_restore_point takes have 1 to {_MAX_NAME_BYTES} bytes.",
        )


def _check_timeline(timeline: str | None) -> None:
    if timeline in (None, "latest", "current"):
        return
    if not re.fullmatch(r"[1-9][0-9]{0,9}", timeline or "") or int(timeline or 0) >= 1 << 32:
        raise UsageError(
            f'"{timeline}" is not a timeline',
            hint="Give latest, current or the timeline's number in decimal digits.",
        )


def _check_action(target: RecoveryTarget) -> None:
    if target.action is None:
        return
    if target.action not in _ACTIONS:
        raise UsageError(
            f'"{target.action}" is not a recovery target action',
            hint=f"Give one of {', '.join(_ACTIONS)}.",
        )
    if target.action != "promote" and not target.is_set:
        raise UsageError(
            f"the server cannot {target.action} at a recovery target that is not given",
            hint="Give a recovery target, or leave the action out.",
        )
