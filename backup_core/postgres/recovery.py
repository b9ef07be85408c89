"""How a restored server is told where to stop, for each major version (pure).

9.6 to 11 read recovery.conf; from 12 on the same names are settings, a signal file starts recovery,
and a leftover recovery.conf keeps the server from starting (manual, section 19.5.5 and 19.5.6).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from backup_core.errors import UsageError
from backup_core.postgres.lsn import Lsn

_SIGNAL_FILES_SINCE = 12
_STALE = re.compile(
    r"recovery_target\w*|restore_command|recovery_end_command|archive_cleanup_command"
    r"|recovery_min_apply_delay|promote_trigger_file",
    re.IGNORECASE,
)
_SETTING = re.compile(r"\s*([A-Za-z_][\w.$]*)")
_HEADER = "# Recovery, set up by pitr backup-fetch"
_COMMENT = "# before pitr backup-fetch: "


@dataclass(frozen=True, kw_only=True)
class RecoveryTarget:
    """Where recovery stops: at most one of time (timezone-aware), lsn, xid, name and immediate.

    `timeline` is "latest", "current" or a number; `action` is pause, promote or shutdown.
    """

    time: datetime | None = None
    lsn: Lsn | None = None
    xid: int | None = None
    name: str | None = None
    immediate: bool = False
    inclusive: bool = True
    timeline: str | None = None
    action: str | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.time, self.lsn, self.xid, self.name) if value is not None]
        if len(given) + self.immediate > 1:
            raise UsageError(
                "there can be only one recovery target",
                hint="Choose one of --target-time, --target-lsn, --target-xid, --target-name and "
                "--target immediate.",
            )
        if self.xid is not None and not 3 <= self.xid < 1 << 32:
            raise UsageError(
                f"{self.xid} cannot be a transaction id",
                hint="It is a number from 3 to 4294967295, as pg_waldump and xmin show it.",
            )
        if self.name is not None and not 0 < len(self.name.encode()) < 64:
            raise UsageError("the name of a restore point has 1 to 63 bytes")
        if self.timeline not in (None, "latest", "current") and not self._is_number():
            raise UsageError(
                f'"{self.timeline}" is not a timeline', hint="Give latest, current or a number."
            )

    @property
    def is_set(self) -> bool:
        """Tell whether recovery is to stop before the end of the WAL."""
        values = (self.time, self.lsn, self.xid, self.name)
        return self.immediate or any(value is not None for value in values)

    def _is_number(self) -> bool:
        return self.timeline is not None and self.timeline.isdecimal() and int(self.timeline) > 0


@dataclass(frozen=True, kw_only=True)
class RecoveryConfig:
    """The file that starts recovery and the settings that go with it.

    Settings stand in that file if it is recovery.conf, in postgresql.auto.conf otherwise.
    """

    signal: str
    settings: tuple[tuple[str, str], ...]


def recovery_files(
    major: int,
    *,
    target: RecoveryTarget,
    restore_command: str,
    standby: bool,
    archive_mode_off: bool,
    primary_conninfo: str | None = None,
) -> RecoveryConfig:
    """Decide file and settings for a major version (9 stands for 9.6).

    Raises UsageError for what that version cannot do.
    """
    old = major < _SIGNAL_FILES_SINCE
    if old and archive_mode_off:
        raise UsageError(
            "before version 12, archive_mode cannot be set by a restore",
            hint="Set archive_mode = off in postgresql.conf before starting the server.",
        )
    settings = [("restore_command", restore_command), *_target_settings(target, emptied=not old)]
    settings.append(("recovery_target_timeline", _timeline(target, old=old)))
    if target.action is not None:
        settings.append(("recovery_target_action", target.action))
    if primary_conninfo is not None:
        settings.append(("primary_conninfo", primary_conninfo))
    if old:
        settings.append(("standby_mode", "on" if standby else "off"))
        named = tuple((name, value) for name, value in settings if value)
        return RecoveryConfig(signal="recovery.conf", settings=named)
    if archive_mode_off:
        settings.append(("archive_mode", "off"))
    if target.action in (None, "pause") and target.is_set:
        settings.append(("hot_standby", "on"))
    signal = "standby.signal" if standby else "recovery.signal"
    return RecoveryConfig(signal=signal, settings=tuple(settings))


def _target_settings(target: RecoveryTarget, *, emptied: bool) -> list[tuple[str, str]]:
    """All targets but the chosen one are emptied: one left in postgresql.conf would be a second."""
    values = {
        "recovery_target": "immediate" if target.immediate else "",
        "recovery_target_time": target.time.isoformat(sep=" ") if target.time else "",
        "recovery_target_lsn": "" if target.lsn is None else str(target.lsn),
        "recovery_target_xid": "" if target.xid is None else str(target.xid),
        "recovery_target_name": target.name or "",
    }
    inclusive = ("recovery_target_inclusive", "on" if target.inclusive else "off")
    chosen = [(name, value) for name, value in values.items() if value]
    unset = [(name, value) for name, value in values.items() if not value] if emptied else []
    return [*unset, *chosen, inclusive]


def _timeline(target: RecoveryTarget, *, old: bool) -> str:
    """Before 12, "current" is the default and has no name."""
    timeline = target.timeline or "latest"
    return "" if old and timeline == "current" else timeline


def restore_command(program: Sequence[str], *, extra_arguments: Sequence[str] = ()) -> str:
    """The restore_command that runs our wal-fetch.

    Of its exit codes only 0 (delivered), 74 (proved absent) and 75 (a standby tries again) reach
    the server; any other, a missing program's included, becomes 200, which stops recovery instead
    of promoting.
    """
    words = [*program, "wal-fetch", *extra_arguments]
    quoted = " ".join(shlex.quote(word).replace("%", "%%") for word in words)
    return f'{quoted} "%f" "%p"; rc=$?; case $rc in 0|74|75) exit $rc;; *) exit 200;; esac'


def quote_setting(value: str) -> str:
    """A value as postgresql.conf and recovery.conf read it (guc-file.l); raises UsageError."""
    if "\n" in value or "\r" in value or "\0" in value:
        raise UsageError(f"a setting cannot hold a line break: {value!r}")
    doubled = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"


def rewrite_auto_conf(existing: str, settings: Sequence[tuple[str, str]]) -> str:
    """Append settings to a postgresql.auto.conf, commenting out what would speak against them.

    That is each earlier line for one of them, and every recovery setting of an earlier restore.
    Everything else stays byte for byte.
    """
    names = {name.lower() for name, _ in settings}
    lines = [_kept(line, names) for line in existing.splitlines(keepends=True)]
    if lines and not lines[-1].endswith("\n"):
        lines.append("\n")
    ours = [f"{name} = {quote_setting(value)}\n" for name, value in settings]
    return "".join([*lines, f"{_HEADER}\n", *ours])


def _kept(line: str, names: set[str]) -> str:
    match = _SETTING.match(line)
    if match is None:
        return line
    name = match[1].lower()
    if name in names or _STALE.fullmatch(name):
        return _COMMENT + line
    return line
