"""Restore drills: at their times, the newest backup is restored and asked whether it is one."""

from __future__ import annotations

from provision.content import Content
from provision.layout import Layout, layout_of
from provision.node import Node
from provision.recipes.job import Job, job_resources
from provision.resources.base import Origin, Resource
from provision.resources.directory import Directory
from provision.resources.file import File
from provision.schema.recovery import DrillSchedule
from provision.templates import render

_ORIGIN = Origin(recipe="drill")
_DAY = 86400
_TIMEOUT = 12 * 3600


def drill(node: Node) -> tuple[Resource, ...]:
    """Each drill's script and schedule, and their scratch directory; nothing where not enabled."""
    wanted = node.attributes.pitr.drill
    enabled = [each for each in wanted.schedules if each.enabled]
    if not wanted.enabled or not enabled:
        return ()
    layout = layout_of(node)
    directory = wanted.directory or f"{layout.state_directory}/drill"
    scratch = Directory(
        name=directory, owner=layout.user, group=layout.group, mode="0700", origin=_ORIGIN
    )
    scheduled = (each for drill in enabled for each in _scheduled(node, layout, drill, directory))
    return (scratch, *scheduled)


def _scheduled(
    node: Node, layout: Layout, schedule: DrillSchedule, directory: str
) -> tuple[Resource, ...]:
    path = f"{layout.jobs}/restore-{schedule.name}"
    job = Job(
        name=f"drill-{schedule.name}",
        title=f"Restore drill of {node.cluster}, from the {schedule.backup} backup",
        schedule=schedule.schedule,
        scheduler=node.attributes.pitr.base_backup.scheduler,
        spread=0,
        command=(path,),
        timeout=_TIMEOUT + 600,
        max_age=2 * _DAY,
        nice=10,
    )
    script = File(
        name=path,
        content=_script(node, layout, job, schedule.backup, directory),
        mode="0755",
        verify=("sh", "-n"),
        origin=_ORIGIN,
    )
    return (script, *job_resources(node, layout, job, recipe="drill"))


def _script(node: Node, layout: Layout, job: Job, backup: str, directory: str) -> Content:
    wanted = node.attributes.pitr.drill
    return render(
        "drill.sh.j2",
        title=job.title,
        bin=layout.bin_directory,
        scratch=directory,
        port=wanted.port,
        database_user=layout.user,
        oldest=backup == "oldest",
        listing=list(layout.engine("backup-list", "--json")),
        python=f"{layout.prefix}/bin/python",
        fetch=[f"{layout.prefix}/bin/pitr", "backup-fetch", f"{directory}/data"],
        envdir=layout.envdir,
        timeout=_TIMEOUT,
        checks=[each for each in wanted.checks if each.enabled],
    )
