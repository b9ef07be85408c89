"""What is measured on the host, and the alert rules and the dashboard with the role's thresholds.

The engine's own command measures, in the environment that archiving has. The server is asked every
minute, the repository less often: it is listed.
"""

from __future__ import annotations

from collections.abc import Iterator

from provision.cron_schedule import parse
from provision.layout import Layout, layout_of
from provision.node import Node
from provision.recipes.alerts import alert_rules
from provision.recipes.dashboard import dashboard
from provision.recipes.job import MAIL_TO
from provision.resources.base import Origin, Resource
from provision.resources.directory import Directory
from provision.resources.file import File
from provision.resources.schedule import CronD
from provision.templates import render

_ORIGIN = Origin(recipe="monitoring")
_SERVER_SECONDS, _REPOSITORY_SECONDS = 50, 3600


def monitoring(node: Node) -> tuple[Resource, ...]:
    """The directory of metrics and what writes them; rules and dashboard where they are wanted."""
    layout = layout_of(node)
    directory = Directory(
        name=node.attributes.pitr.monitoring.textfile_directory,
        owner=layout.user,
        group=layout.group,
        mode="0755",
        origin=_ORIGIN,
    )
    return (directory, *_schedules(node, layout), *_files(node))


def _schedules(node: Node, layout: Layout) -> Iterator[Resource]:
    """A drill host starts its own server, at its own times: there is none to be asked."""
    if {"archiving", "recovery"}.intersection(node.recipes):
        yield _cron(node, layout, "server", "* * * * *", _SERVER_SECONDS)
    if node.attributes.pitr.repository:
        yield _cron(node, layout, "repository", "*/15 * * * *", _REPOSITORY_SECONDS)


def _cron(node: Node, layout: Layout, part: str, schedule: str, seconds: int) -> Resource:
    """One line; it is skipped while the one before still looks, and silent but for trouble."""
    directory = node.attributes.pitr.monitoring.textfile_directory
    lock = f"{layout.state_directory}/monitor-{part}.lock"
    options = ("--only", part, "--textfile", f"{directory}/pitr_{part}.prom")
    engine = layout.engine("metrics", *options, "--log-level", "error")
    content = render(
        "cron.d.j2",
        title=f"Metrics of {node.cluster}: {part}",
        mailto=MAIL_TO,
        schedule=parse(schedule).text,
        user=layout.user,
        command=["flock", "-n", lock, "timeout", str(seconds), *engine],
    )
    return CronD(
        name=f"{layout.profile}-monitor-{part}", content=content, phase="schedule", origin=_ORIGIN
    )


def _files(node: Node) -> Iterator[Resource]:
    wanted = node.attributes.pitr.monitoring
    if wanted.rules_file is not None:
        rules = alert_rules(wanted, replay_lag=_replay_lag(node))
        yield File(name=wanted.rules_file, content=rules, origin=_ORIGIN)
    if wanted.dashboard_file is not None:
        yield File(name=wanted.dashboard_file, content=dashboard(wanted), origin=_ORIGIN)


def _replay_lag(node: Node) -> int:
    """A delayed replica is late by its delay before it is late."""
    recovery, limit = node.attributes.pitr.recovery, node.attributes.pitr.monitoring.replay_lag
    if recovery.mode != "delayed" or recovery.delay is None:
        return limit.seconds
    return recovery.delay.seconds + limit.seconds
