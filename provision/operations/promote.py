"""A delayed replica becomes a primary, with nothing replayed beyond a chosen position.

pg_promote() is not it: a server that is promoted first replays all WAL that it can get, without its
delay, and with it the mistake that the delay was for (xlogrecovery.c, recoveryApplyDelay). So the
position becomes a recovery target, and the server is restarted to stop at it and promote.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from provision.agent import call
from provision.errors import RefusedError, UsageError
from provision.operations.place import Place
from provision.operations.plan import Plan
from provision.operations.replay import position, serve
from provision.operations.sight import FIRST_WITH_WAL_NAMES, Server, Sight, check_hold, replaying
from provision.quoting import pg_conf

SECONDS = 6 * 3600.0


def plan_promote(place: Place, sight: Sight, who: str, until: datetime | None = None) -> Plan:
    """Promote after the last transaction before `until`; None is where replay stands now.

    Raises RefusedError for a host that is no delayed replica, not in recovery or not paused, for a
    moment that is replayed already, and for another's hold; UsageError for a moment without its
    offset.
    """
    if place.mode != "delayed":
        raise RefusedError(
            f"{place.called} is not a delayed replica: its recovery is {place.mode}",
            hint="A streaming replica is promoted by whatever decides about failovers.",
        )
    server = replaying(place, sight)
    check_hold(place, sight, who)
    if not server.paused:
        raise RefusedError(
            f"{place.host} goes on replaying: where it would be promoted is not known",
            hint=f"Pause it first: fab pause-replay {place.host}",
        )
    _check_moment(place, server, until)
    name, value, inclusive = _target(place, server, until)
    warnings = ["a new timeline begins; the present primary is not told, and must not go on"]
    if place.archives:
        warnings.append(f"it will archive to {place.repository}")
    return Plan(
        host=place.host,
        title="promote the delayed replica",
        facts=(*position(place, sight, server), ("promoted at", f"{name} = {value}")),
        warnings=tuple(warnings),
        steps=(
            f"set {name}, recovery_target_action = promote, and no delay",
            "restart the server: it replays up to there and becomes a primary",
        ),
        afterwards=(
            "change the host's role in the inventory: by its roles it is a delayed replica still",
            "take a base backup: the backups so far are of the timeline before",
        ),
        confirm=True,
        calls=tuple(_calls(place, {name: value, "recovery_target_inclusive": inclusive})),
        seconds=SECONDS,
    )


def _check_moment(place: Place, server: Server, until: datetime | None) -> None:
    if until is None:
        return
    if until.tzinfo is None:
        raise UsageError(
            f'the time "{until}" has no offset from UTC', hint=f'Write "{until}+00:00" for UTC.'
        )
    if server.replayed_at is not None and until <= server.replayed_at:
        raise RefusedError(
            f"{place.host} has replayed {until} already: it is at {server.replayed_at}",
            hint="Restore from the repository to that moment: fab restore --target-time ...",
        )


def _target(place: Place, server: Server, until: datetime | None) -> tuple[str, str, str]:
    """Return the setting, its value, and whether what stands exactly there is replayed."""
    if until is not None:
        return "recovery_target_time", until.isoformat(sep=" "), "on"
    if place.layout.major < FIRST_WITH_WAL_NAMES:
        raise RefusedError(
            f"PostgreSQL {place.node.attributes.postgresql.version} cannot stop at a position",
            hint="Give a moment with --until.",
        )
    if not server.replayed_lsn:
        raise RefusedError(f"{place.host} has replayed nothing yet")
    # the position is the end of the last record: the next one begins there and is left out
    return "recovery_target_lsn", server.replayed_lsn, "off"


def _calls(place: Place, target: dict[str, str]) -> Iterator[str]:
    layout = place.layout
    settings = {**target, "recovery_target_action": "promote", "recovery_min_apply_delay": "0"}
    yield serve(place)
    yield call("lock")
    if layout.has_signal_files:
        for name, value in settings.items():
            yield call("ask", f"alter system set {name} = {pg_conf(value).text}")
            yield "changed=yes"
    else:
        path = f"{layout.data_directory}/recovery.conf"
        for name, value in settings.items():
            line = f"{name} = {pg_conf(value).text}"
            yield call("setting", layout.user, layout.group, path, line)
            yield "changed=yes"
    yield call("try", *place.control("restart"))
    promoted = call("wait_for", f"{SECONDS - 600:.0f}", "select not pg_is_in_recovery()")
    yield f"{promoted} || fail 'the server has not reached the position yet; its log says more'"
    if layout.has_signal_files:
        for name in settings:
            yield call("ask", f"alter system reset {name}")
    timeline = "select timeline_id from pg_control_checkpoint()"
    yield call("ask", "checkpoint")
    yield call("ask", timeline)
    yield 'note "it is a primary, on timeline $answer"'
