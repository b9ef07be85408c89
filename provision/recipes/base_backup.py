"""The schedule of base backups.

Every host of a cluster may have it: the script asks its server whether it is the one to do it, so a
failover needs no change.
"""

from __future__ import annotations

from provision.layout import layout_of
from provision.node import Node
from provision.recipes.job import Job, job_resources
from provision.resources.base import Resource

GATES = {"primary": "f", "standby": "t", "any": ""}


def base_backup(node: Node) -> tuple[Resource, ...]:
    """The job that takes base backups; nothing where it is not enabled."""
    wanted = node.attributes.pitr.base_backup
    if not wanted.enabled:
        return ()
    layout = layout_of(node)
    job = Job(
        name="base-backup",
        title=f"Base backup of {node.cluster}",
        schedule=wanted.schedule,
        scheduler=wanted.scheduler,
        spread=wanted.spread.seconds // 60,
        command=layout.command("backup-push", *wanted.flags, layout.data_directory),
        timeout=wanted.timeout.seconds,
        max_age=node.attributes.pitr.monitoring.backup_age.seconds,
        nice=wanted.nice,
        gate=GATES[wanted.run_on],
    )
    return job_resources(node, layout, job, recipe="base_backup")
