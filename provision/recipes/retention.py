"""The schedule by which old backups and the WAL that only they need are removed."""

from __future__ import annotations

from provision.errors import InputError
from provision.layout import Layout, layout_of
from provision.node import Node
from provision.recipes.base_backup import GATES
from provision.recipes.job import Job, job_resources
from provision.resources.base import Resource

_DAY = 86400
_TIMEOUT = 6 * 3600


def retention(node: Node) -> tuple[Resource, ...]:
    """The job that keeps the newest full backups, and those of a window; none if not enabled."""
    wanted = node.attributes.pitr.retention
    if not wanted.enabled:
        return ()
    layout = layout_of(node)
    schedule = node.attributes.pitr.base_backup
    job = Job(
        name="retention",
        title=f"Retention of {node.cluster}",
        schedule=wanted.schedule,
        scheduler=schedule.scheduler,
        spread=0,
        command=_command(layout, wanted.keep_full),
        timeout=_TIMEOUT,
        max_age=2 * _DAY,
        nice=schedule.nice,
        gate=GATES[schedule.run_on],
        after=_window(node, layout),
    )
    return job_resources(node, layout, job, recipe="retention")


def _window(node: Node, layout: Layout) -> int:
    window = node.attributes.pitr.retention.window
    if window is None:
        return 0
    if layout.profile == "wal-e":
        raise InputError(
            f"host {node.name}: pitr.retention.window is set, and delete of WAL-E counts backups",
            hint="Set pitr.retention.keep_full alone, or another pitr.profile.",
        )
    return window.seconds


def _command(layout: Layout, keep: int) -> tuple[str, ...]:
    if layout.profile == "wal-e":
        return layout.command("delete", "--confirm", "retain", str(keep))
    return layout.command("delete", "retain", "FULL", str(keep), "--confirm")
