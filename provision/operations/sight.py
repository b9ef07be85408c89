"""What is on a host that an operation is about: one look, one round trip, nothing changed."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from provision.agent import call
from provision.errors import RefusedError, UnreachableError
from provision.journal import HOLD, PENDING, in_force, parse_hold
from provision.operations.place import Place
from provision.operations.plan import script_of
from provision.recipes.settings import RECOVERY
from provision.state import Hold
from provision.transport import Session

SECONDS = 90.0
DataKind = Literal["absent", "empty", "directory", "mount", "link", "other"]

FIRST_WITH_WAL_NAMES = 10
_TIME = """'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'"""
_SQL = """
select current_setting('server_version_num'), pg_is_in_recovery(),
    case when pg_is_in_recovery() then pg_is_{wal}_replay_paused() else false end,
    coalesce(pg_last_{wal}_replay_{lsn}()::text, ''),
    coalesce(pg_last_{wal}_receive_{lsn}()::text, ''),
    coalesce(to_char(pg_last_xact_replay_timestamp() at time zone 'UTC', {time}), ''),
    {target},
    current_setting('archive_mode'),
    coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false),
    coalesce(to_char(last_archived_time at time zone 'UTC', {time}), ''),
    (select count(*) from pg_ls_dir('pg_{wal}/archive_status') as f where f like '%.ready'),
    (select coalesce(string_agg(name, ' '), '') from pg_settings where pending_restart)
from pg_stat_archiver
"""
_TARGETS = ("", "_time", "_lsn", "_xid", "_name")


@dataclass(frozen=True, kw_only=True)
class Server:
    """What a running server says; times are UTC, `target` is set where a restore ends there."""

    version: int
    in_recovery: bool
    paused: bool
    replayed_lsn: str
    received_lsn: str
    replayed_at: datetime | None
    target: str
    archive_mode: str
    archiving_fails: bool
    archived_at: datetime | None
    waiting_segments: int
    pending_restart: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What was found on a host, at `clock` by its own clock.

    `process` tells whether a server runs in the data directory; `server` is None unless it answers.
    `state` is pg_controldata's. Sizes are bytes; `size` is None where it was not measured.
    """

    clock: datetime
    tooled: bool = False
    configured: bool = False
    recovery_settings: bool = False
    process: bool = False
    server: Server | None = None
    data: DataKind = "absent"
    version: str = ""
    state: str = ""
    free: int = 0
    size: int | None = None
    tablespaces: tuple[str, ...] = ()
    hold: Hold | None = None
    hold_text: str = ""
    interrupted: bool = False

    @property
    def running_primary(self) -> bool:
        """Whether a server runs here that is not known to be a standby."""
        if self.server is not None:
            return not self.server.in_recovery
        return self.process and "recovery" not in self.state


def see(session: Session, place: Place, *, measure: bool = False) -> Sight:
    """Look at a host; raises UnreachableError if the answer is cut."""
    answer = session.run_as_root(script_of(look_calls(place, measure=measure)), timeout=SECONDS)
    return parse_sight(answer.stdout.decode("utf-8", "replace"))


def run_program(
    session: Session, place: Place, argv: Sequence[str], *, seconds: float
) -> tuple[int, str]:
    """Run one of the engine's commands that only read, as the server's user."""
    calls = [call("program", place.layout.user, f"{seconds:.0f}", *argv)]
    answer = session.run_as_root(script_of(calls), timeout=seconds + 30)
    facts = _facts(answer.stdout.decode("utf-8", "replace"))
    return int(_last(facts, "status")), b64decode(_last(facts, "output")).decode("utf-8", "replace")


def check_hold(place: Place, sight: Sight, who: str) -> None:
    """Raise RefusedError if somebody else holds the host."""
    hold = sight.hold
    if hold is not None and hold.who != who:
        raise RefusedError(
            f"{place.host} is on hold{f' until {hold.until}' if hold.until else ''}, "
            f"by {hold.who}: {hold.why}",
            hint=f"Talk to {hold.who}; 'provision hosts release {place.host}' ends it.",
        )


def running(place: Place, sight: Sight) -> Server:
    """Return the server; raises RefusedError if it does not answer."""
    if sight.server is None:
        what = "runs and does not answer" if sight.process else "is not running"
        raise RefusedError(
            f"the server of {place.host} {what}",
            hint="A server that recovers answers as soon as it is consistent; its log says more.",
        )
    return sight.server


def replaying(place: Place, sight: Sight) -> Server:
    """Return the server; raises RefusedError if it is not one that replays WAL."""
    server = running(place, sight)
    if not server.in_recovery:
        raise RefusedError(
            f"{place.called} is not in recovery: it is a primary, and replays nothing",
            hint="Name a replica; 'provision hosts list' has the roles.",
        )
    return server


def look_calls(place: Place, *, measure: bool) -> tuple[str, ...]:
    """Return the lines of shell that look."""
    layout = place.layout
    calls = [
        call("serve", layout.user, layout.psql, layout.sockets, str(layout.port)),
        'say clock "$(date -u +%Y-%m-%dT%H:%M:%S+00:00)"',
        call("present", "program", f"{layout.prefix}/bin/pitr"),
        call("present", "environment", layout.envdir),
        call("present", "configured", f"{layout.config_files}/postgresql.conf"),
        call("present", "recovery_settings", f"{layout.config_files}/conf.d/{RECOVERY}"),
        call("text_of", "hold", HOLD),
        call("present", "interrupted", PENDING),
        call("data", layout.bin_directory, layout.data_directory),
    ]
    if measure:
        calls.append(call("measure", layout.data_directory))
    return (*calls, call("server", look_sql(layout.major)))


def look_sql(major: int) -> str:
    """Return the question to a server of this version; 10 renamed what was called xlog."""
    new = major >= FIRST_WITH_WAL_NAMES
    targets = [f"current_setting('recovery_target{each}')" for each in _TARGETS]
    return _SQL.format(
        wal="wal" if new else "xlog",
        lsn="lsn" if new else "location",
        time=_TIME,
        target=f"concat({', '.join(targets)})" if major >= 12 else "''",
    )


def parse_sight(answer: str) -> Sight:
    """Read the answer; raises UnreachableError if it is cut."""
    facts = _facts(answer)
    hold_text = b64decode(_last(facts, "hold")).decode("utf-8", "replace")
    hold = parse_hold(hold_text)
    clock = datetime.fromisoformat(_last(facts, "clock"))
    size = _last(facts, "size")
    return Sight(
        clock=clock,
        tooled="program" in facts and "environment" in facts,
        configured="configured" in facts,
        recovery_settings="recovery_settings" in facts,
        process="process" in facts,
        server=_server(_last(facts, "server")),
        data=_data_kind(_last(facts, "data")),
        version=_last(facts, "version"),
        state=_last(facts, "state"),
        free=int(_last(facts, "free") or 0),
        size=int(size) if size else None,
        tablespaces=tuple(facts.get("tablespace", ())),
        hold=hold if in_force(hold, clock) else None,
        hold_text=hold_text,
        interrupted="interrupted" in facts,
    )


def _facts(answer: str) -> Mapping[str, list[str]]:
    lines = answer.splitlines()
    if not lines or not lines[-1].startswith("done"):
        raise UnreachableError(
            "the answer to the question what is on the host is cut",
            hint="Try again; if it stays so, look at the disk and the memory of the host.",
        )
    found: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition("\t")
        found.setdefault(name, []).append(value)
    return found


def _last(facts: Mapping[str, list[str]], name: str) -> str:
    return facts.get(name, [""])[-1]


def _data_kind(word: str) -> DataKind:
    kinds: tuple[DataKind, ...] = ("absent", "empty", "directory", "mount", "link")
    return next((kind for kind in kinds if kind == word), "other")


def _server(line: str) -> Server | None:
    if not line:
        return None
    fields = line.split("\t")
    version, in_recovery, paused, replayed, received, replayed_at, target = fields[:7]
    mode, fails, archived_at, waiting, pending = fields[7:]
    return Server(
        version=int(version),
        in_recovery=in_recovery == "t",
        paused=paused == "t",
        replayed_lsn=replayed,
        received_lsn=received,
        replayed_at=_time(replayed_at),
        target=target,
        archive_mode=mode,
        archiving_fails=fails == "t",
        archived_at=_time(archived_at),
        waiting_segments=int(waiting),
        pending_restart=tuple(pending.split()),
    )


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
