"""Another data directory for a host, from the repository; the old one stays beside it.

The backup is restored beside the data directory while the server runs on, and takes its place in
two renames. A restore that fails in its hours of copying has changed nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from provision.agent import call
from provision.errors import RefusedError, UsageError
from provision.operations.place import Place
from provision.operations.plan import DAY, Plan
from provision.operations.sight import Sight, check_hold, run_program
from provision.transport import Session

SECONDS = 2 * DAY
PREVIEW_SECONDS = 600.0
_FITTING = "absent", "empty", "directory"
_WARNING = re.compile(r'^\S+Z WARNING [^"]*msg="([^"]*)"')
_LOG = re.compile(r"^\S+Z (DEBUG|INFO|WARNING|ERROR) ")
_NO_CONFIGURATION = "the backup holds no postgresql.conf"  # Debian keeps it elsewhere, as we do


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is restored: a backup by name ("" for the newest), up to a target, or all WAL.

    With `start` the server is started afterwards.
    """

    backup: str = ""
    target_time: str = ""
    target_lsn: str = ""
    target_name: str = ""
    target_action: str = ""
    start: bool = False

    @property
    def has_target(self) -> bool:
        """Whether recovery ends before the end of the WAL."""
        return bool(self.target_time or self.target_lsn or self.target_name)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The engine's own plan of a restore, and what it warns of."""

    text: str
    warnings: tuple[str, ...] = ()


def check_place(place: Place, sight: Sight, wanted: Wanted, who: str) -> None:
    """Raise RefusedError where nothing may be restored, before anything long is begun."""
    _check_wanted(wanted)
    if sight.running_primary:
        raise RefusedError(
            f"{place.called} runs a primary: nothing is restored over it",
            hint="If it is the one that is to be replaced, stop it yourself first.",
        )
    check_hold(place, sight, who)
    if not sight.tooled:
        raise RefusedError(
            f"{place.host} has no engine, or no environment for it",
            hint=f"Run 'provision apply --host {place.host}' first.",
        )
    _check_directory(place, sight)
    if wanted.start:
        _check_start(place, sight, wanted)


def preview(session: Session, place: Place, wanted: Wanted, at: datetime) -> Preview:
    """Ask the engine for its plan: sizes, space and the time; raises RefusedError with its reason.

    It is asked for the directory that the backup is restored to, which is not there yet.
    """
    words = _fetch_words(place, wanted, new_directory(place, at))
    status, output = run_program(session, place, [*words, "--dry-run"], seconds=PREVIEW_SECONDS)
    lines = [line for line in output.splitlines() if line.strip()]
    if status != 0:
        reason = next((line for line in lines if "error: " in line), f"exit code {status}")
        hint = next((line.partition("hint: ")[2] for line in lines if "hint: " in line), None)
        raise RefusedError(
            f"{place.host} cannot be restored: {reason.partition('error: ')[2] or reason}",
            hint=hint,
        )
    return Preview(
        text="\n".join(line for line in lines if not _is_log(line) and "(--dry-run)" not in line),
        warnings=tuple(found[1] for line in lines if (found := _WARNING.search(line))),
    )


def plan_restore(place: Place, sight: Sight, wanted: Wanted, shown: Preview, at: datetime) -> Plan:
    """Return the plan; `shown` is the engine's. `check_place` has to have passed."""
    layout = place.layout
    old = f"{layout.data_directory}.before-{_stamp(at)}"
    return Plan(
        host=place.host,
        title="restore the data directory",
        facts=(*_facts(place, sight, shown.text), ("log", _log(place, at))),
        warnings=tuple(_warnings(place, sight, wanted, shown)),
        steps=tuple(_steps(place, sight, wanted, old, at)),
        afterwards=tuple(_afterwards(place, sight, wanted, old)),
        confirm=True,
        calls=tuple(_calls(place, wanted, old, at)),
        seconds=SECONDS,
    )


def new_directory(place: Place, at: datetime) -> str:
    """Return where the backup is restored to before it takes its place."""
    return f"{place.layout.data_directory}.restoring-{_stamp(at)}"


# --- refusing ---


def _check_wanted(wanted: Wanted) -> None:
    targets = [wanted.target_time, wanted.target_lsn, wanted.target_name]
    if sum(map(bool, targets)) > 1:
        raise UsageError("a restore has one target", hint="Give a time, an LSN or a name.")
    if wanted.target_action and not wanted.has_target:
        raise UsageError("an action needs a target", hint="Give --target-time, too.")


def _check_directory(place: Place, sight: Sight) -> None:
    path = place.layout.data_directory
    if sight.data not in _FITTING:
        what = {"mount": "a mount point", "link": "a symbolic link"}.get(sight.data, "no directory")
        raise RefusedError(
            f"{place.host}: {path} is {what}, and cannot be renamed",
            hint="Restore by hand into it, with pitr backup-fetch, or let the file system be "
            "mounted one directory higher.",
        )
    if sight.tablespaces:
        raise RefusedError(
            f"{place.host}: {path} has tablespaces elsewhere: {', '.join(sight.tablespaces)}",
            hint="Restore by hand, with pitr backup-fetch --tablespace-mapping.",
        )
    if sight.process and sight.server is None:
        raise RefusedError(
            f"{place.host}: a server runs in {path} and does not answer",
            hint="Stop it, or wait until it is consistent.",
        )


def _check_start(place: Place, sight: Sight, wanted: Wanted) -> None:
    if not sight.configured:
        raise RefusedError(
            f"{place.host} has no configuration in {place.layout.config_files}",
            hint="Without --start the data directory alone is restored.",
        )
    if not _follows(place, wanted):
        return
    if not (place.layout.has_signal_files and sight.recovery_settings):
        raise RefusedError(
            f"{place.host} has no recovery settings yet, and would not start as a replica",
            hint="Restore without --start, run 'provision apply', and start the server then.",
        )


# --- deciding ---


def _follows(place: Place, wanted: Wanted) -> bool:
    """Whether the restored server becomes the replica that the roles describe."""
    return place.mode != "none" and not wanted.has_target


def _fetch_words(place: Place, wanted: Wanted, directory: str) -> list[str]:
    options = {
        "--target-time": wanted.target_time,
        "--target-lsn": wanted.target_lsn,
        "--target-name": wanted.target_name,
        "--target-action": wanted.target_action,
    }
    words = [directory, *([wanted.backup] if wanted.backup else [])]
    words += [word for name, value in options.items() if value for word in (name, value)]
    if _follows(place, wanted):
        words.append("--no-recovery-config")
    elif not place.archives:
        words.append("--archive-mode-off")
    return list(place.layout.engine("backup-fetch", *words))


def _facts(place: Place, sight: Sight, shown: str) -> Iterator[tuple[str, str]]:
    yield "roles", ", ".join(place.roles)
    yield "server", "runs, in recovery" if sight.process else "does not run"
    path = place.layout.data_directory
    if sight.data == "directory":
        size = "" if sight.size is None else f", {_human(sight.size)}"
        yield "now", f"{path}: PostgreSQL {sight.version}, {sight.state}{size}"
    else:
        yield "now", f"{path}: {sight.data}"
    yield "plan", shown


def _warnings(place: Place, sight: Sight, wanted: Wanted, shown: Preview) -> Iterator[str]:
    for warning in shown.warnings:
        if not (sight.configured and warning.startswith(_NO_CONFIGURATION)):
            yield warning
    if sight.data == "directory" and "recovery" not in sight.state:
        yield "the old data directory is a primary's: its pg_wal may hold WAL that nobody archived"
    if place.mode != "none" and wanted.has_target:
        yield (
            "by its roles the host is a replica: hold it ('provision hosts hold'), or the next "
            "apply makes it one again"
        )


def _steps(place: Place, sight: Sight, wanted: Wanted, old: str, at: datetime) -> Iterator[str]:
    path = place.layout.data_directory
    yield f"restore into {new_directory(place, at)}, as {place.layout.user}"
    if sight.process:
        yield f"stop the server: {' '.join(place.control('stop'))}"
    if sight.data == "directory":
        yield f"move {path} to {old}"
    yield f"move what was restored to {path}"
    if wanted.start:
        if _follows(place, wanted):
            yield "place standby.signal"
        yield f"start the server: {' '.join(place.control('start'))}"


def _afterwards(place: Place, sight: Sight, wanted: Wanted, old: str) -> Iterator[str]:
    if not wanted.start:
        if _follows(place, wanted):
            yield f"'provision apply --host {place.host}' makes it a standby"
        yield f"start the server: {' '.join(place.control('start'))}"
    if sight.data == "directory":
        yield f"remove {old} when nothing in it is missed"


def _calls(place: Place, wanted: Wanted, old: str, at: datetime) -> Iterator[str]:
    layout, new = place.layout, new_directory(place, at)
    path, bin_directory = layout.data_directory, layout.bin_directory
    owner = (layout.user, layout.group)
    log = _log(place, at)
    yield call("serve", layout.user, layout.psql, layout.sockets, str(layout.port))
    yield call("fetch", *owner, new, log, *_fetch_words(place, wanted, new))
    yield from _additions(place, wanted, new)
    yield call("lock")
    yield call("stop", bin_directory, path, *place.control("stop"))
    yield call("replace", path, old)
    yield call("note", f"restored {path}; the log is {log}")
    if wanted.start:
        yield call("start", bin_directory, path, *place.control("start"))


def _additions(place: Place, wanted: Wanted, new: str) -> Iterator[str]:
    """What the engine does not write: it does not know the roles."""
    owner = (place.layout.user, place.layout.group)
    if _follows(place, wanted) and wanted.start:
        yield call(
            "try",
            "install",
            "-o",
            owner[0],
            "-g",
            owner[1],
            "-m",
            "0600",
            "/dev/null",
            f"{new}/standby.signal",
        )
    if place.mode == "delayed" and wanted.has_target and place.layout.has_signal_files:
        # the delay stands in the host's own settings, and would be waited for
        line = "recovery_min_apply_delay = '0'"
        yield call("setting", *owner, f"{new}/postgresql.auto.conf", line)


def _is_log(line: str) -> bool:
    return _LOG.match(line) is not None


def _log(place: Place, at: datetime) -> str:
    return f"{place.layout.log_directory}/restore-{_stamp(at)}.log"


def _stamp(at: datetime) -> str:
    return f"{at:%Y%m%dT%H%M%SZ}"


def _human(size: int) -> str:
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    power = min(max(size.bit_length() - 1, 0) // 10, len(units) - 1)
    return f"{size / (1 << (10 * power)):.3g} {units[power]}"
