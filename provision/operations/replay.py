"""Pausing and resuming a replica's replay, so that a mistake on the primary does not arrive."""

from __future__ import annotations

from provision.agent import call
from provision.operations.place import Place
from provision.operations.plan import Plan
from provision.operations.sight import (
    FIRST_WITH_WAL_NAMES,
    Server,
    Sight,
    check_hold,
    replaying,
)

_SECONDS = 60


def plan_pause(place: Place, sight: Sight, who: str) -> Plan:
    """Stop replaying WAL; raises RefusedError for a primary and for another's hold."""
    server = replaying(place, sight)
    check_hold(place, sight, who)
    return Plan(
        host=place.host,
        title="pause replay",
        facts=position(place, sight, server),
        steps=() if server.paused else ("pause the replay of WAL",),
        afterwards=(
            f"keep others away: provision hosts hold {place.host} --why ...",
            "a restart of the server would resume replay",
        ),
        calls=() if server.paused else _calls(place, "pause", "true"),
    )


def plan_resume(place: Place, sight: Sight, who: str) -> Plan:
    """Go on replaying; raises RefusedError for a primary and for another's hold.

    A restore that is paused at its target ends there by resuming, so that has to be confirmed.
    """
    server = replaying(place, sight)
    check_hold(place, sight, who)
    warnings: tuple[str, ...] = ()
    if server.target:
        warnings = (f"it is a restore to {server.target}: there, resuming opens it for writes",)
    return Plan(
        host=place.host,
        title="resume replay",
        facts=position(place, sight, server),
        warnings=warnings,
        steps=("resume the replay of WAL",) if server.paused else (),
        confirm=bool(warnings) and server.paused,
        calls=_calls(place, "resume", "false") if server.paused else (),
    )


def position(place: Place, sight: Sight, server: Server) -> tuple[tuple[str, str], ...]:
    """Return where a replica is, for people."""
    at = "none yet" if server.replayed_at is None else f"{server.replayed_at:%Y-%m-%d %H:%M:%S%z}"
    delay = place.node.attributes.pitr.recovery.delay
    behind = (("delay", str(delay)),) if place.mode == "delayed" and delay else ()
    return (
        ("roles", ", ".join(place.roles)),
        ("replayed to", server.replayed_lsn),
        ("last transaction", at),
        ("clock", f"{sight.clock:%Y-%m-%d %H:%M:%S%z}"),
        *behind,
        ("replay", "paused" if server.paused else "goes on"),
    )


def serve(place: Place) -> str:
    """Return the line of shell that says which server is spoken of."""
    layout = place.layout
    return call("serve", layout.user, layout.psql, layout.sockets, str(layout.port))


def _calls(place: Place, verb: str, paused: str) -> tuple[str, ...]:
    wal = "wal" if place.layout.major >= FIRST_WITH_WAL_NAMES else "xlog"
    last = f"pg_last_{wal}_replay_{'lsn' if wal == 'wal' else 'location'}()"
    state = (
        f"select case when pg_is_in_recovery() then pg_is_{wal}_replay_paused() = {paused}"
        f" else {'false' if paused == 'true' else 'true'} end"
    )
    return (
        serve(place),
        call("ask", f"select pg_{wal}_replay_{verb}()"),
        f"{call('wait_for', str(_SECONDS), state)} || fail 'the server does not {verb} replay'",
        call("ask", f"select coalesce({last}::text, 'the end of recovery')"),
        f'note "replay is {"paused" if paused == "true" else "going on"} at $answer"',
    )
