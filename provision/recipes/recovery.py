"""How a host recovers: as a primary not at all, by streaming, from the archive, or later than all.

Until 11 the settings stand in recovery.conf, since 12 among all others, beside an empty
standby.signal (manual, sections 20.5.4 and O.1). That file is put only into a data directory that
is a standby's or was just restored: in a primary's it would end the primary with its next start.
"""

from __future__ import annotations

from collections.abc import Iterator

from provision.content import Content, SecretPart
from provision.errors import InputError
from provision.layout import Layout, layout_of
from provision.node import Node
from provision.quoting import conninfo, sh
from provision.recipes.settings import (
    RECOVERY,
    Value,
    server_setting,
    settings_pairs,
    settings_path,
    settings_resources,
)
from provision.resources.base import Guard, Origin, Resource
from provision.resources.file import AbsentFile, File
from provision.resources.server import PgSettings
from provision.schema.recovery import Target
from provision.templates import render

_ORIGIN = Origin(recipe="recovery", attribute="pitr.recovery.mode")
_FIRST_TIMELINE_BY_DEFAULT = 12


def recovery(node: Node) -> tuple[Resource, ...]:
    """The recovery settings of a replica; for a primary, that there are none."""
    layout = layout_of(node)
    if node.attributes.pitr.recovery.mode == "none":
        return (
            AbsentFile(
                name=_conf_path(node, layout),
                phase="server",
                notifies=("postgresql_reload",),
                guards=() if layout.has_signal_files else (_is_no_standbys(layout),),
                origin=_ORIGIN,
            ),
        )
    values = tuple(_values(node, layout))
    password = _password_file(node, layout)
    if layout.has_signal_files:
        settings = settings_resources(
            node, layout, file=RECOVERY, title="Recovery", values=values, recipe="recovery"
        )
        return (*password, *settings, _signal(layout))
    return (*password, _recovery_conf(node, layout, values))


def _values(node: Node, layout: Layout) -> Iterator[tuple[str, Value]]:
    wanted = node.attributes.pitr.recovery
    if not layout.has_signal_files:
        yield "standby_mode", "on"
    yield "restore_command", layout.restore_command()
    if wanted.mode == "streaming":
        yield "primary_conninfo", _conninfo(node, layout)
        if wanted.slot:
            yield "primary_slot_name", wanted.slot
    if layout.has_signal_files or wanted.timeline != "current":  # until 11 that has no name
        yield "recovery_target_timeline", wanted.timeline
    yield from _target(wanted.target)
    if wanted.mode == "delayed":
        yield "recovery_min_apply_delay", _delay(node)
    if layout.has_signal_files:
        yield "hot_standby", "on"


def _target(target: Target) -> Iterator[tuple[str, Value]]:
    """Where recovery ends, if not at the end of the WAL; attributes hold at most one target."""
    given = {
        "recovery_target_time": target.time,
        "recovery_target_lsn": target.lsn,
        "recovery_target_xid": target.xid,
        "recovery_target_name": target.name,
        "recovery_target": "immediate" if target.immediate else None,
    }
    found = [(name, value) for name, value in given.items() if value is not None]
    yield from found
    if found:
        yield "recovery_target_inclusive", target.inclusive
        yield "recovery_target_action", target.action


def _delay(node: Node) -> str:
    delay = node.attributes.pitr.recovery.delay
    if delay is None:
        raise InputError(
            f"host {node.name}: pitr.recovery.mode is delayed, but pitr.recovery.delay is not set",
            hint="Say how far it stays behind, such as 8h.",
        )
    return str(delay)


def _conninfo(node: Node, layout: Layout) -> str:
    primary = node.attributes.pitr.recovery.primary
    if not primary.host:
        raise InputError(
            f"host {node.name}: pitr.recovery.mode is streaming, but pitr.recovery.primary.host is"
            " not set",
            hint="Name the host that it follows, or let it recover from the archive.",
        )
    words: dict[str, str | int] = {"host": primary.host, "port": primary.port, "user": primary.user}
    if primary.password is not None:
        words["passfile"] = _passfile(layout)
    words["sslmode"] = primary.sslmode
    words["application_name"] = node.name
    return conninfo(**words).text


def _password_file(node: Node, layout: Layout) -> tuple[Resource, ...]:
    """Libpq reads the password from a file of the server's user that nobody else may read."""
    wanted = node.attributes.pitr.recovery
    if wanted.mode != "streaming" or wanted.primary.password is None:
        return ()
    content = render(
        "pgpass.j2",
        host=wanted.primary.host,
        port=wanted.primary.port,
        user=wanted.primary.user,
        password=SecretPart(ref=wanted.primary.password),
    )
    return (
        File(
            name=_passfile(layout),
            content=content,
            owner=layout.user,
            group=layout.group,
            mode="0600",
            phase="environment",
            origin=_ORIGIN,
        ),
    )


def _signal(layout: Layout) -> Resource:
    return File(
        name=f"{layout.data_directory}/standby.signal",
        content=Content.of(),
        owner=layout.user,
        group=layout.group,
        mode="0600",
        phase="server",
        notifies=("postgresql_restart",),
        guards=(_is_a_standbys(layout),),
        origin=_ORIGIN,
    )


def _recovery_conf(node: Node, layout: Layout, values: tuple[tuple[str, Value], ...]) -> Resource:
    settings = tuple(server_setting(name, value, layout.major) for name, value in values)
    return PgSettings(
        name=_conf_path(node, layout),
        settings=settings,
        content=render("postgresql.conf.j2", title="Recovery", settings=settings_pairs(settings)),
        owner=layout.user,
        group=layout.group,
        mode="0600",
        phase="server",
        notifies=("postgresql_restart",),
        guards=(_is_a_standbys(layout),),
        origin=_ORIGIN,
    )


def _is_a_standbys(layout: Layout) -> Guard:
    return Guard(
        argv=_ask_state(layout),
        reason="the data directory is empty or a primary's: restore a base backup into it first",
    )


def _is_no_standbys(layout: Layout) -> Guard:
    """A standby without its recovery.conf starts as a second primary."""
    return Guard(
        argv=_ask_state(layout),
        reason="the data directory is a standby's: promote it, or give the host a recovery mode",
        expect=False,
    )


def _ask_state(layout: Layout) -> tuple[str, ...]:
    """Whether it was restored and not started yet, or is stopped or running in recovery."""
    data = sh(layout.data_directory).text
    control = sh(f"{layout.bin_directory}/pg_controldata").text
    states = "in archive recovery|shut down in recovery"
    script = (
        f"[ -e {data}/PG_VERSION ] || exit 1; [ -e {data}/backup_label ] && exit 0; "
        f"LC_ALL=C {control} {data} | grep -Eq '^Database cluster state: +({states})$'"
    )
    return ("sh", "-c", script)


def _conf_path(node: Node, layout: Layout) -> str:
    if layout.has_signal_files:
        return settings_path(node, layout, RECOVERY)
    return f"{layout.data_directory}/recovery.conf"


def _passfile(layout: Layout) -> str:
    return f"{layout.config_directory}/pgpass"
