"""What is measured on the host, and the alert rules with the role's thresholds."""

from __future__ import annotations

from provision.cron_schedule import parse
from provision.layout import Layout, layout_of
from provision.node import Node
from provision.recipes.job import MAIL_TO
from provision.resources.base import Origin, Resource
from provision.resources.directory import Directory
from provision.resources.file import File
from provision.resources.schedule import CronD
from provision.templates import render

_ORIGIN = Origin(recipe="monitoring")
_FIRST_WITH_STATUS_DIRECTORY = 12


def monitoring(node: Node) -> tuple[Resource, ...]:
    """The script that writes metrics every minute; alert rules where a place for them is named."""
    wanted = node.attributes.pitr.monitoring
    layout = layout_of(node)
    path = f"{layout.jobs}/monitor"
    script = render(
        "monitor.sh.j2",
        title=f"Metrics of {node.cluster}",
        sockets=layout.sockets,
        port=layout.port,
        database_user=layout.user,
        psql=layout.psql,
        metrics=wanted.textfile_directory,
        envdir=layout.envdir,
        ready_files=layout.major >= _FIRST_WITH_STATUS_DIRECTORY,
    )
    directory = Directory(
        name=wanted.textfile_directory,
        owner=layout.user,
        group=layout.group,
        mode="0755",
        origin=_ORIGIN,
    )
    file = File(name=path, content=script, mode="0755", verify=("sh", "-n"), origin=_ORIGIN)
    return (directory, file, _cron(node, layout, path), *_rules(node))


def _cron(node: Node, layout: Layout, path: str) -> Resource:
    content = render(
        "cron.d.j2",
        title=f"Metrics of {node.cluster}",
        mailto=MAIL_TO,
        schedule=parse("* * * * *").text,
        user=layout.user,
        command=[path],
    )
    return CronD(
        name=f"{layout.profile}-monitor", content=content, phase="schedule", origin=_ORIGIN
    )


def _rules(node: Node) -> tuple[Resource, ...]:
    wanted = node.attributes.pitr.monitoring
    if wanted.rules_file is None:
        return ()
    content = render(
        "alert-rules.yml.j2",
        wal_age=wanted.wal_age.seconds,
        ready_files=wanted.pending_wal,
        backup_age=wanted.backup_age.seconds,
        replay_lag=_replay_lag(node),
    )
    return (File(name=wanted.rules_file, content=content, origin=_ORIGIN),)


def _replay_lag(node: Node) -> int:
    """A delayed replica is late by its delay before it is late."""
    recovery, limit = node.attributes.pitr.recovery, node.attributes.pitr.monitoring.replay_lag
    if recovery.mode != "delayed" or recovery.delay is None:
        return limit.seconds
    return recovery.delay.seconds + limit.seconds
