"""What is measured on the host, and the alert rules and the dashboard with the role's limits.

The engine's own command measures, in the environment that archiving has. The server is asked every
minute, the repository less often: it is listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from provision.cron_schedule import parse
from provision.layout import Layout, layout_of
from provision.node import Node
from provision.recipes.alert_rules import alert_rules, label_values
from provision.recipes.dashboard import dashboard
from provision.recipes.job import Start, start
from provision.resources.base import Origin, Resource
from provision.resources.directory import Directory
from provision.resources.file import File
from provision.templates import render

_ORIGIN = Origin(recipe="monitoring")


@dataclass(frozen=True, kw_only=True)
class _Look:
    """One look at a part of it all: how often, and how long it may take in seconds."""

    name: str
    part: str
    schedule: str
    timeout: int


_SERVER = _Look(name="monitor", part="server", schedule="* * * * *", timeout=50)
_REPOSITORY = _Look(
    name="monitor-repository", part="repository", schedule="*/15 * * * *", timeout=3600
)


def monitoring(node: Node) -> tuple[Resource, ...]:
    """The scripts that write metrics; rules and a dashboard where places for them are named."""
    layout = layout_of(node)
    directory = Directory(
        name=node.attributes.pitr.monitoring.textfile_directory,
        owner=layout.user,
        group=layout.group,
        mode="0755",
        origin=_ORIGIN,
    )
    looks = [_SERVER, *([_REPOSITORY] if node.attributes.pitr.repository else [])]
    scripts = (each for look in looks for each in _scheduled(node, layout, look))
    return (directory, *scripts, *_files(node))


def _scheduled(node: Node, layout: Layout, look: _Look) -> tuple[Resource, ...]:
    title = f"Metrics of {node.cluster}: {look.part}"
    path = f"{layout.jobs}/{look.name}"
    script = render(
        "monitor.sh.j2",
        title=title,
        lock=f"{layout.state_directory}/{look.name}.lock",
        timeout=look.timeout,
        command=list(_command(node, layout, look)),
    )
    begin = Start(
        name=look.name,
        title=title,
        command=path,
        schedule=parse(look.schedule),
        scheduler=node.attributes.pitr.base_backup.scheduler,
        timeout=look.timeout + 10,
        nice=0,
    )
    file = File(name=path, content=script, mode="0755", verify=("sh", "-n"), origin=_ORIGIN)
    return (file, start(layout, begin, _ORIGIN))


def _command(node: Node, layout: Layout, look: _Look) -> tuple[str, ...]:
    directory = node.attributes.pitr.monitoring.textfile_directory
    labels = (
        word
        for name, value in label_values(node).items()
        for word in ("--label", f"{name}={value}")
    )
    return layout.engine(
        *("metrics", "--only", look.part, "--textfile", f"{directory}/pitr_{look.part}.prom"),
        *labels,
        *("--log-level", "error"),
    )


def _files(node: Node) -> Iterator[Resource]:
    wanted = node.attributes.pitr.monitoring
    if wanted.rules_file is not None:
        rules = render(
            "alert-rules.yml.j2", group=f"pitr {node.name}", rules=list(alert_rules(node))
        )
        yield File(name=wanted.rules_file, content=rules, origin=_ORIGIN)
    if wanted.dashboard_file is not None:
        yield File(name=wanted.dashboard_file, content=dashboard(wanted), origin=_ORIGIN)
