"""Whether a host does what its roles promise: archiving, following, backups that are young enough.

The limits are those that the alerts are made of, so that a check and a page never disagree.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from provision.operations.place import Place
from provision.operations.sight import Server, Sight, run_program, see
from provision.transport import Session
from provision.values import Duration

SECONDS = 60.0
_WRONG_LISTING = 6
Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at, and how it is."""

    level: Level
    text: str


@dataclass(frozen=True, kw_only=True)
class Backups:
    """What the repository holds: when the newest backup ended, how many, how many are damaged.

    `problem` says why it could not be listed.
    """

    newest: datetime | None = None
    count: int = 0
    damaged: int = 0
    problem: str = ""


def check(session: Session, place: Place) -> tuple[Finding, ...]:
    """Look at a host and its repository."""
    sight = see(session, place)
    backups = list_backups(session, place) if sight.tooled and place.repository else None
    return tuple(findings(place, sight, backups))


def list_backups(session: Session, place: Place) -> Backups:
    """Ask the engine for the backups, with the host's own environment."""
    words = place.layout.engine("backup-list", "--json")
    status, output = run_program(session, place, words, seconds=SECONDS)
    return parse_backups(status, output)


def parse_backups(status: int, output: str) -> Backups:
    """Read what backup-list --json prints, log lines before it included."""
    start = output.find("{\n")
    try:
        document, _ = json.JSONDecoder().raw_decode(output[start:]) if start >= 0 else ({}, 0)
        finished = [datetime.fromisoformat(each["finish_time"]) for each in document["backups"]]
        damaged = len(document["unreadable"])
    except (KeyError, TypeError, ValueError):
        last = (output.strip().splitlines() or [f"exit code {status}"])[-1]
        return Backups(problem=last)
    if status not in (0, _WRONG_LISTING):
        return Backups(problem=f"exit code {status}")
    return Backups(newest=max(finished, default=None), count=len(finished), damaged=damaged)


def findings(place: Place, sight: Sight, backups: Backups | None) -> Iterator[Finding]:
    """Judge what was found; pure."""
    if sight.interrupted:
        yield _problem("an apply was interrupted; the next one takes it back")
    if sight.hold is not None:
        until = f" until {sight.hold.until}" if sight.hold.until else ""
        yield _note(f"on hold{until}, by {sight.hold.who}: {sight.hold.why}")
    if not sight.tooled:
        yield _problem("the engine or its environment is missing: nothing was applied here")
    yield from _server(place, sight)
    if backups is not None:
        yield from _backups(place, sight, backups)


def _server(place: Place, sight: Sight) -> Iterator[Finding]:
    if not place.has_server:
        yield _ok("no server is expected to run here")
        return
    server = sight.server
    if server is None:
        what = "runs and does not answer" if sight.process else "is not running"
        yield _problem(f"the server {what}")
        return
    expected = place.mode != "none"
    if server.in_recovery != expected:
        found = "in recovery" if server.in_recovery else "a primary"
        yield _problem(f"the server is {found}, and its roles say {place.mode}")
    if server.pending_restart:
        yield _note(f"waits for a restart: {', '.join(server.pending_restart)}")
    yield from (_replay if server.in_recovery else _archiving)(place, sight, server)


def _archiving(place: Place, sight: Sight, server: Server) -> Iterator[Finding]:
    limits = place.node.attributes.pitr.monitoring
    if not place.archives:
        return
    if server.archive_mode == "off":
        yield _problem("the server does not archive: archive_mode is off")
        return
    if server.archiving_fails:
        yield _problem("archiving fails: the last attempt was not the last success")
    if server.waiting_segments > limits.pending_wal:
        yield _problem(f"{server.waiting_segments} segments wait to be archived")
    if server.archived_at is None:
        yield _note("nothing has been archived yet")
        return
    age = _age(sight.clock, server.archived_at)
    text = f"archived {age} ago, {server.waiting_segments} segments wait"
    late = age.seconds > limits.wal_age.seconds and server.waiting_segments > 0
    yield _problem(text) if late else _ok(text)


def _replay(place: Place, sight: Sight, server: Server) -> Iterator[Finding]:
    wanted = place.node.attributes.pitr
    if server.paused:
        yield _note(f"replay is paused at {server.replayed_lsn}; a restart would resume it")
    if server.received_lsn and server.received_lsn == server.replayed_lsn:
        yield _ok("has replayed all that it received")
        return
    if server.replayed_at is None:
        yield _note(f"at {server.replayed_lsn}, no transaction replayed since its start")
        return
    behind = _age(sight.clock, server.replayed_at)
    delay = wanted.recovery.delay if place.mode == "delayed" else None
    limit = wanted.monitoring.replay_lag.seconds + (delay.seconds if delay else 0)
    kept = f", {delay} of it by intent" if delay else ""
    text = f"the last transaction that it replayed is {behind} old{kept}"
    yield _problem(text) if behind.seconds > limit else _ok(text)


def _backups(place: Place, sight: Sight, backups: Backups) -> Iterator[Finding]:
    if backups.problem:
        yield _problem(f"the repository cannot be listed: {backups.problem}")
        return
    if backups.damaged:
        yield _problem(f"{backups.damaged} backups in the repository cannot be read")
    if backups.newest is None:
        yield _problem(f"{place.repository} holds no backup")
        return
    age = _age(sight.clock, backups.newest)
    text = f"{backups.count} backups, the newest {age} old"
    limit = place.node.attributes.pitr.monitoring.backup_age
    yield _problem(text) if age.seconds > limit.seconds else _ok(text)


def has_problems(found: Sequence[Finding]) -> bool:
    """Whether anything is wrong."""
    return any(each.level == "problem" for each in found)


def _age(now: datetime, then: datetime) -> Duration:
    """How long ago, in the largest unit that leaves at least two of it."""
    seconds = max(0, int((now - then).total_seconds()))
    unit = next((u for u in (86_400, 3_600, 60) if seconds >= 2 * u), 1)
    return Duration(seconds=seconds - seconds % unit)


def _ok(text: str) -> Finding:
    return Finding(level="ok", text=text)


def _note(text: str) -> Finding:
    return Finding(level="note", text=text)


def _problem(text: str) -> Finding:
    return Finding(level="problem", text=text)
