"""Rules about one host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

from provision.cron_schedule import CronSchedule
from provision.lint.model import Finding
from provision.node import Node

_COMMANDS = ("archive_command", "restore_command", "archive_cleanup_command")
_DANGERS = (
    (re.compile(r"&>"), "&> runs the command in the background and reports success"),
    (re.compile(r"\|\|\s*(true|:|exit 0)\b"), "a failure is turned into success"),
    (re.compile(r"(?<![\w/-])(/usr)?/bin/true\b"), "WAL is thrown away as if it were archived"),
    (re.compile(r"(?<![\w-])/tmp/"), "anybody on the host can put files into /tmp"),
)


def dangerous_commands(node: Node) -> Iterator[Finding]:
    """A command of the role's own that loses WAL."""
    for name in _COMMANDS:
        command = str(node.attributes.postgresql.settings.get(name, ""))
        for pattern, why in _DANGERS:
            if pattern.search(command):
                yield Finding(
                    rule="dangerous-command",
                    severity="error",
                    hosts=(node.name,),
                    message=f"{name} is {command!r}: {why}",
                    hint="Leave it out of postgresql.settings; provision writes a safe one.",
                )


def no_repository(node: Node) -> Iterator[Finding]:
    """A host that archives or recovers, to and from nowhere."""
    needs = {"archiving", "base_backup", "drill"}.intersection(node.recipes)
    if needs and not node.attributes.pitr.repository:
        yield Finding(
            rule="no-repository",
            severity="error",
            hosts=(node.name,),
            message=f"recipe {min(needs)} needs a repository, and none is set",
            hint="Set pitr.repository, in the environment for instance.",
        )


def drill_that_archives(node: Node) -> Iterator[Finding]:
    """A drill host that would write into the repository: WAL, backups, or deletions."""
    pitr = node.attributes.pitr
    writes = {
        "archiving": pitr.archive.enabled,
        "base_backup": pitr.base_backup.enabled,
        "retention": pitr.retention.enabled,
    }
    found = [recipe for recipe, enabled in writes.items() if enabled and recipe in node.recipes]
    if "drill" in node.recipes and pitr.drill.enabled and found:
        yield Finding(
            rule="drill-archives",
            severity="error",
            hosts=(node.name,),
            message=f"a drill host has recipe {', '.join(found)}: what it restores could reach "
            "the repository",
            hint=f"Leave recipe[pitr::{found[0]}] out of its run list.",
        )


def archiving_without_backups(node: Node) -> Iterator[Finding]:
    """WAL alone restores nothing."""
    archives = "archiving" in node.recipes and node.attributes.pitr.archive.enabled
    primary = node.attributes.pitr.recovery.mode == "none"
    backups = "base_backup" in node.recipes and node.attributes.pitr.base_backup.enabled
    if archives and primary and not backups:
        yield Finding(
            rule="no-base-backup",
            severity="warning",
            hosts=(node.name,),
            message="a primary archives WAL and takes no base backups",
            hint="Add recipe[pitr::base_backup], or take them on a replica.",
        )


def clock_changes(node: Node) -> Iterator[Finding]:
    """Times that summer time skips or repeats."""
    for what, schedule in schedules(node):
        if schedule.in_clock_change:
            yield Finding(
                rule="clock-change",
                severity="warning",
                hosts=(node.name,),
                message=f"{what} at {schedule.text!r}: between 1 and 3 a change of clocks skips or"
                " repeats it",
                hint="Choose another hour, unless the host's clock is UTC.",
            )


def colliding_times(node: Node) -> Iterator[Finding]:
    """Two jobs of a host that begin in the same minute, every time or some time."""
    for (what, schedule), (other, later) in combinations(schedules(node), 2):
        if schedule.meets(later):
            yield Finding(
                rule="same-time",
                severity="warning",
                hosts=(node.name,),
                message=f"{what} at {schedule.text!r} and {other} at {later.text!r} begin in the "
                "same minute",
                hint="Move one of them.",
            )


def schedules(node: Node) -> Iterator[tuple[str, CronSchedule]]:
    """What runs on a host by the clock."""
    pitr = node.attributes.pitr
    if "base_backup" in node.recipes and pitr.base_backup.enabled:
        yield "base backup", pitr.base_backup.schedule
    if "retention" in node.recipes and pitr.retention.enabled:
        yield "retention", pitr.retention.schedule
    if "drill" in node.recipes and pitr.drill.enabled:
        for drill in pitr.drill.schedules:
            if drill.enabled:
                yield f"drill {drill.name}", drill.schedule


RULES = (
    dangerous_commands,
    no_repository,
    drill_that_archives,
    archiving_without_backups,
    clock_changes,
    colliding_times,
)
