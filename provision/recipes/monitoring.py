"""What is measured on the host, and the alert rules with the role's limits."""

from __future__ import annotations

from provision.cron_schedule import parse
from provision.layout import layout_of
from provision.node import Node
from provision.recipes.alert_rules import alert_rules, labels
from provision.recipes.job import Start, start
from provision.resources.base import Origin, Resource
from provision.resources.directory import Directory
from provision.resources.file import File
from provision.templates import render

_ORIGIN = Origin(recipe="monitoring")
_TIMEOUT = 60


def monitoring(node: Node) -> tuple[Resource, ...]:
    """The script that writes metrics every minute; alert rules where a place for them is named."""
    wanted = node.attributes.pitr.monitoring
    layout = layout_of(node)
    title = f"Metrics of {node.cluster}"
    path = f"{layout.jobs}/monitor"
    script = render(
        "monitor.sh.j2",
        title=title,
        sockets=layout.sockets,
        port=layout.port,
        database_user=layout.user,
        psql=layout.psql,
        labels=labels(node),
        metrics=wanted.textfile_directory,
        envdir=layout.envdir,
    )
    directory = Directory(
        name=wanted.textfile_directory,
        owner=layout.user,
        group=layout.group,
        mode="0755",
        origin=_ORIGIN,
    )
    begin = Start(
        name="monitor",
        title=title,
        command=path,
        schedule=parse("* * * * *"),
        scheduler=node.attributes.pitr.base_backup.scheduler,
        timeout=_TIMEOUT,
        nice=0,
    )
    file = File(name=path, content=script, mode="0755", verify=("sh", "-n"), origin=_ORIGIN)
    return (directory, file, start(layout, begin, _ORIGIN), *_rules(node))


def _rules(node: Node) -> tuple[Resource, ...]:
    wanted = node.attributes.pitr.monitoring
    if wanted.rules_file is None:
        return ()
    content = render("alert-rules.yml.j2", group=f"pitr {node.name}", rules=list(alert_rules(node)))
    return (File(name=wanted.rules_file, content=content, origin=_ORIGIN),)
