"""What the facts mean: one finding for each thing that an on-call person would look at (pure).

The limits are those that the alerts are made of, and have defaults that fit a cluster which is
backed up once a day: a limit that nobody set must not mean that nothing is ever late.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from backup_core.monitor.facts import Facts, RepositoryFacts, ServerFacts
from backup_core.verify.promise import Promise
from backup_core.verify.promise import judge as judge_promise

Level = Literal["ok", "note", "warning", "critical"]
LEVELS: tuple[Level, ...] = ("ok", "note", "warning", "critical")

_UNCOUNTED = 180.0  # seconds in which the archiver has tried and given up more than once
_CLOCK_WARNING, _CLOCK_CRITICAL = 30.0, 300.0
_WORKER_LOG = "push-ahead.log in the spool has the worker's own words."
_OURS = ("wal-push", "archive-walg")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """From when on something is late, much, or little; ages in seconds."""

    wal_age: float = 900.0
    backup_age: float = 108000.0
    ready_files: int = 2000
    free_percent: float = 10.0
    drill_age: float = 172800.0
    promise: Promise = field(default_factory=Promise)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at, how it is, and what to do about it."""

    name: str
    level: Level
    text: str
    hint: str | None = None


def judge(facts: Facts, limits: Limits) -> tuple[Finding, ...]:
    """Return the findings in the order in which somebody would look."""
    return tuple(_findings(facts, limits))


def worst(findings: tuple[Finding, ...]) -> Level:
    """The worst level among the findings; a note is well."""
    found = max((LEVELS.index(each.level) for each in findings), default=0)
    return "ok" if LEVELS[found] == "note" else LEVELS[found]


def _findings(facts: Facts, limits: Limits) -> Iterator[Finding]:
    yield from _troubles(facts)
    if facts.server is not None:
        yield _server(facts.server)
        yield from _settings(facts.server)
        yield from _archiver(facts, facts.server, limits)
    yield from _ready(facts, limits)
    yield from _switch(facts)
    if facts.repository is not None:
        yield _repository(facts, facts.repository)
    yield from _store(facts)
    if facts.encrypted is not None:
        yield _ok("encryption", facts.encrypted)
    yield from _clock(facts)
    yield from _space(facts, limits)
    if facts.repository is not None:
        yield from _backups(facts.repository, facts.now, limits)
        yield from _windows(facts.repository, facts.now, limits)
        yield from _drills(facts.repository, facts.now, limits)


def _troubles(facts: Facts) -> Iterator[Finding]:
    for name, trouble in facts.troubles.items():
        yield _critical(name, trouble.message, trouble.hint)


# --- the server ---


def _server(server: ServerFacts) -> Finding:
    role = "standby" if server.in_recovery else "primary"
    number = server.version
    shown = f"{number // 10000}.{number % 10000}" if number >= 100000 else f"9.6.{number % 100}"
    return _ok("server", f"PostgreSQL {shown}, {role}")


def _settings(server: ServerFacts) -> Iterator[Finding]:
    found = list(_wrong_settings(server))
    yield from found
    if not found:
        what = "a standby's" if server.in_recovery else "archiving is set up"
        yield _ok("settings", what)


def _wrong_settings(server: ServerFacts) -> Iterator[Finding]:
    values = server.settings
    if server.pending_restart:
        names = ", ".join(server.pending_restart)
        yield _warning("settings", f"wait for a restart: {names}", "Restart the server.")
    if values.get("full_page_writes") == "off":
        yield _warning(
            "settings", "full_page_writes is off", "A crash may tear pages; set it to on."
        )
    if server.in_recovery:
        return
    if values.get("archive_mode") == "off":
        hint = "Set archive_mode = on and archive_command = 'pitr wal-push %p', and restart."
        yield _critical("settings", "archive_mode is off: nothing is archived", hint)
        return
    command, library = values.get("archive_command", ""), values.get("archive_library", "")
    if not command and not library:
        hint = "Set archive_command = 'pitr wal-push %p' and reload the configuration."
        yield _critical("settings", "archive_command is empty: WAL piles up", hint)
    elif command and not library and not any(word in command for word in _OURS):
        hint = "It should run pitr wal-push %p; what reports success without archiving loses WAL."
        yield _warning("settings", f"archive_command does not push WAL: {command[:80]}", hint)
    if values.get("archive_timeout") == "0":
        hint = "Set it to 60s: without it a quiet hour is archived an hour late."
        yield _warning("settings", "archive_timeout is 0", hint)


def _archiver(facts: Facts, server: ServerFacts, limits: Limits) -> Iterator[Finding]:
    archiver, ready = server.archiver, facts.ready
    if server.in_recovery or server.settings.get("archive_mode") == "off":
        return
    waiting = ready.count if ready else 0
    last = archiver.last_archived
    age = _age(server.clock, last)
    failed_since = archiver.last_failed is not None and (
        last is None or archiver.last_failed > last
    )
    log = "The server's log has archive_command's own words."
    pushing = facts.failing
    why = f": {pushing.message}" if pushing else ""
    if failed_since:
        since = _ago(server.clock, archiver.last_failed)
        text = f"fails: {archiver.last_failed_file} {since}, {archiver.failed} times"
        yield _critical("archiver", text + why, log)
    elif ready and _is_uncounted(facts, server):
        yield _critical(
            "archiver",
            f"{waiting} files wait and no failure is counted: archive_command is killed, or ends "
            "above 125",
            f"{log} A program that is missing ends with 127, which pg_stat_archiver leaves out.",
        )
    elif archiver.runs is False:
        yield _warning("archiver", "no archiver process runs", log)
    elif age is not None and age > limits.wal_age and waiting:
        text = f"archived nothing for {_span(age)}, {waiting} wait"
        yield _critical("archiver", text + why, log)
    elif pushing is not None:
        text = f"pushing {pushing.file} fails, first {_ago(facts.now, pushing.failing_since)}"
        yield _warning("archiver", text + why, _WORKER_LOG)
    elif last is None:
        yield _note("archiver", "has archived nothing yet")
    else:
        yield _ok("archiver", f"archived {_ago(server.clock, last)}, {waiting} files wait")


def _is_uncounted(facts: Facts, server: ServerFacts) -> bool:
    """Files have waited for minutes, and since they came nothing was archived and none failed."""
    oldest = facts.ready.oldest if facts.ready else None
    if oldest is None or (server.clock - oldest).total_seconds() < _UNCOUNTED:
        return False
    archiver = server.archiver
    return not any(
        time and time > oldest for time in (archiver.last_archived, archiver.last_failed)
    )


def _ready(facts: Facts, limits: Limits) -> Iterator[Finding]:
    if facts.ready is None:
        return
    count = facts.ready.count
    text = f"{count} WAL files wait to be archived"
    hint = "pg_wal grows until the disk is full, and then the server stops: see archiver."
    if count > limits.ready_files:
        yield _critical("ready", text, hint)
    elif count > limits.ready_files / 2:
        yield _warning("ready", text, hint)
    else:
        yield _ok("ready", text)


def _switch(facts: Facts) -> Iterator[Finding]:
    if facts.switched is not None:
        took = f"{facts.switched.seconds:.1f} s"
        yield _ok("switch", f"{facts.switched.segment} was in the repository after {took}")
    elif "switch" in facts.skipped:
        yield _note("switch", f"no segment was followed: {facts.skipped['switch']}")


# --- the store and the host ---


def _repository(facts: Facts, repository: RepositoryFacts) -> Finding:
    found, server = repository.system_identifier, facts.server
    if found is not None and server is not None and found != server.system_identifier:
        return _critical(
            "repository",
            f"{repository.url} belongs to the cluster {found}, the server is "
            f"{server.system_identifier}",
            "Every cluster needs a prefix of its own; check pitr config, PGHOST and PGPORT.",
        )
    return _ok("repository", f"{repository.url} answers")


def _store(facts: Facts) -> Iterator[Finding]:
    if facts.trial is None:
        return
    for verb, trouble in facts.trial.failed.items():
        text, hint = f"{verb}: {trouble.message}", trouble.hint
        make = _warning if verb == "delete" else _critical
        yield make("store", text, hint)
    if not facts.trial.failed:
        yield _ok("store", f"{', '.join(facts.trial.tried)} work")


def _clock(facts: Facts) -> Iterator[Finding]:
    offsets = {}
    if facts.trial is not None and facts.trial.clock is not None:
        offsets["the store"] = facts.trial.clock
    if facts.server is not None:
        offsets["the server"] = facts.server.clock_offset
    for whose, offset in offsets.items():
        text = f"{whose} is {abs(offset):.0f} s {'ahead' if offset > 0 else 'behind'}"
        hint = "Recovery targets, retention and signed requests go by the clock: run NTP."
        if abs(offset) > _CLOCK_CRITICAL:
            yield _critical("clock", text, hint)
        elif abs(offset) > _CLOCK_WARNING:
            yield _warning("clock", text, hint)
    if offsets and all(abs(each) <= _CLOCK_WARNING for each in offsets.values()):
        yield _ok("clock", f"agrees with {' and '.join(offsets)}")


def _space(facts: Facts, limits: Limits) -> Iterator[Finding]:
    for space in facts.spaces:
        text = f"{space.place}: {space.percent:.0f} % free in {space.path}"
        hint = "A full pg_wal stops the server, a full repository stops archiving: make room."
        if space.percent < limits.free_percent:
            yield _critical("space", text, hint)
        elif space.percent < 2 * limits.free_percent:
            yield _warning("space", text, hint)
        else:
            yield _ok("space", text)


# --- what can be recovered ---


def _backups(repository: RepositoryFacts, now: datetime, limits: Limits) -> Iterator[Finding]:
    catalog = repository.catalog
    hint = "Run pitr backup-push, and look at why the schedule did not."
    if not catalog.backups:
        yield _critical("backup", "there is no backup", hint)
        return
    newest = max(catalog.backups, key=lambda backup: backup.finish_time)
    age = _age(now, newest.finish_time) or 0.0
    count = len(catalog.backups)
    text = f"{count} backup{'s' if count > 1 else ''}, the newest {_span(age)} old"
    yield _critical("backup", text, hint) if age > limits.backup_age else _ok("backup", text)
    if catalog.unreadable:
        names = ", ".join(broken.name for broken in catalog.unreadable)
        yield _warning("backup", f"cannot be read: {names}", "pitr backup-list says why.")
    if newest.corrupt_pages:
        text = f"{newest.name} holds {newest.corrupt_pages} corrupt pages"
        yield _warning("backup", text, "Keep the older backups; look for failing storage.")


def _windows(repository: RepositoryFacts, now: datetime, limits: Limits) -> Iterator[Finding]:
    recovery = repository.recovery
    if recovery is None:
        return
    for item in repository.damaged:
        hint = "Push it again from a server that has it; else take a backup now."
        yield _critical("windows", f"damaged WAL: {item.name}: {item.reason}", hint)
    breaches = judge_promise(recovery, limits.promise, now)
    for breach in breaches:
        hint = "pitr windows shows what can be recovered, and what is in the way."
        yield _critical("windows", breach.message, hint)
    newest = max(repository.catalog.backups, key=lambda each: each.finish_time, default=None)
    for unusable in recovery.unusable:
        make = _critical if newest and unusable.name == newest.name else _warning
        yield make("windows", f"{unusable.name} cannot be used: {unusable.reason}")
    current = recovery.current
    if current is None:
        yield _critical("windows", "nothing can be recovered", "Take a backup: pitr backup-push.")
    elif not breaches and not repository.damaged:
        since = _ago(now, current.begin_time)
        end = f", up to {_ago(now, current.end_time)}" if current.end_time else ""
        yield _ok("windows", f"any moment since {since}{end}")


def _drills(repository: RepositoryFacts, now: datetime, limits: Limits) -> Iterator[Finding]:
    hint = "Run pitr drill run DIRECTORY; the role restore_drill does it by the clock."
    if not repository.drills:
        yield _note("drill", "no restore was ever proved here", hint)
        return
    failed = [record for record in repository.drills if not record.succeeded]
    for record in failed:
        text = f"{record.drill} failed {_ago(now, record.started)} in {record.failed_phase}"
        yield _critical("drill", f"{text}: {record.error}", "pitr drill show latest tells more.")
    proved = repository.drill_proved
    age = _age(now, proved)
    if age is None or age > limits.drill_age:
        last = "never" if proved is None else _ago(now, proved)
        yield _warning("drill", f"the last restore that was proved: {last}", hint)
    elif not failed:
        yield _ok("drill", f"a restore was proved {_ago(now, proved)}")


# --- words ---


def _age(now: datetime, then: datetime | None) -> float | None:
    return None if then is None else (now - then).total_seconds()


def _ago(now: datetime, then: datetime | None) -> str:
    age = _age(now, then)
    return "at no time" if age is None else f"{_span(age)} ago"


def _span(seconds: float) -> str:
    if seconds < 600:
        return f"{max(0, round(seconds))} s"
    length = timedelta(seconds=round(seconds))
    if length < timedelta(days=2):
        return f"{length.total_seconds() / 3600:.1f} h"
    return f"{length.days} d"


def _ok(name: str, text: str) -> Finding:
    return Finding(name=name, level="ok", text=text)


def _note(name: str, text: str, hint: str | None = None) -> Finding:
    return Finding(name=name, level="note", text=text, hint=hint)


def _warning(name: str, text: str, hint: str | None = None) -> Finding:
    return Finding(name=name, level="warning", text=text, hint=hint)


def _critical(name: str, text: str, hint: str | None = None) -> Finding:
    return Finding(name=name, level="critical", text=text, hint=hint)
