"""Restore drills: at their times, a backup is restored and asked whether it is one.

The engine's own command drills; the roles say which backup, how far, how often, and what is asked.
"""

from __future__ import annotations

from collections.abc import Iterator

from provision.content import Content, SecretPart
from provision.layout import Layout, layout_of
from provision.node import Node
from provision.recipes.job import Job, job_resources
from provision.resources.base import Origin, Resource
from provision.resources.directory import Directory
from provision.resources.file import File
from provision.schema.recovery import DrillSchedule
from provision.templates import render

_ORIGIN = Origin(recipe="drill")
_TIMEOUT = 12 * 3600


def drill(node: Node) -> tuple[Resource, ...]:
    """Each drill's schedule, the checks, and the scratch directory; nothing where not enabled."""
    wanted = node.attributes.pitr.drill
    enabled = scheduled(node)
    if not wanted.enabled or not enabled:
        return ()
    layout = layout_of(node)
    scratch = Directory(
        name=_directory(node, layout),
        owner=layout.user,
        group=layout.group,
        mode="0700",
        origin=_ORIGIN,
    )
    jobs = (each for drill in enabled for each in _job(node, layout, drill))
    return (scratch, *_files(node, layout), *jobs)


def scheduled(node: Node) -> tuple[DrillSchedule, ...]:
    """The drills that run on a host."""
    return tuple(each for each in node.attributes.pitr.drill.schedules if each.enabled)


def job_name(schedule: DrillSchedule) -> str:
    """What a drill's job is called, its script and its log."""
    return f"drill-{schedule.name}"


def _directory(node: Node, layout: Layout) -> str:
    return node.attributes.pitr.drill.directory or f"{layout.state_directory}/drill"


def _checks_file(layout: Layout) -> str:
    return f"{layout.config_directory}/drill-checks.toml"


def _files(node: Node, layout: Layout) -> Iterator[Resource]:
    wanted = node.attributes.pitr.drill
    checks = [each for each in wanted.checks if each.enabled]
    if checks:
        yield File(
            name=_checks_file(layout),
            content=render(
                "drill-checks.toml.j2",
                title=f"What drills of {node.cluster} ask",
                checks=checks,
            ),
            group=layout.group,
            mode="0640",
            origin=_ORIGIN,
        )
    if wanted.signing_key is not None:
        yield File(
            name=layout.drill_key,
            content=Content.of(SecretPart(ref=wanted.signing_key)),
            owner=layout.user,
            group=layout.group,
            mode="0600",
            phase="environment",
            origin=_ORIGIN,
        )


def _job(node: Node, layout: Layout, schedule: DrillSchedule) -> tuple[Resource, ...]:
    job = Job(
        name=job_name(schedule),
        title=f"Restore drill of {node.cluster}, from the {schedule.backup} backup",
        schedule=schedule.schedule,
        scheduler=node.attributes.pitr.base_backup.scheduler,
        spread=0,
        command=_command(node, layout, schedule),
        timeout=3 * _TIMEOUT,
        max_age=node.attributes.pitr.monitoring.drill_age.seconds,
        nice=10,
    )
    return job_resources(node, layout, job, recipe="drill")


def _command(node: Node, layout: Layout, schedule: DrillSchedule) -> tuple[str, ...]:
    words = ["run", _directory(node, layout), "--name", schedule.name]
    words += ["--backup", schedule.backup, "--bin-directory", layout.bin_directory]
    words += ["--user", node.attributes.postgresql.user, "--timeout", f"{_TIMEOUT}s"]
    if schedule.until is not None:
        words += ["--until", schedule.until]
    if any(each.enabled for each in node.attributes.pitr.drill.checks):
        words += ["--checks", _checks_file(layout)]
    return layout.engine("drill", *words)
