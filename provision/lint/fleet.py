"""Rules between hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from provision import pgsettings
from provision.lint.model import Finding
from provision.lint.single import schedules
from provision.node import Node
from provision.values import Duration

# A standby must not have less of these than its primary (manual, section 27.4.3).
_LIMITS = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)
_SOME_MOMENT = datetime(2028, 1, 1, tzinfo=UTC)
_SOME_RUNS = 14
_WRITERS = {"archiving", "base_backup"}


def shared_prefix(nodes: Sequence[Node]) -> Iterator[Finding]:
    """Two clusters that write to one repository."""
    writers: dict[str, dict[str, list[str]]] = {}
    for node in nodes:
        url = (node.attributes.pitr.repository or "").rstrip("/")
        if url and _WRITERS.intersection(node.recipes):
            writers.setdefault(url, {}).setdefault(node.cluster, []).append(node.name)
    for url, clusters in writers.items():
        if len(clusters) > 1:
            yield Finding(
                rule="shared-prefix",
                severity="error",
                hosts=tuple(name for names in clusters.values() for name in names),
                message=f"clusters {' and '.join(sorted(clusters))} write to {url}",
                hint="Give each cluster a prefix of its own; all hosts of a cluster share it.",
            )


def standby_limits(nodes: Sequence[Node]) -> Iterator[Finding]:
    """A standby with a lower limit than its primary's, which does not start."""
    for primary, standby in _pairs(nodes):
        for name in _LIMITS:
            ours, theirs = _limit(standby, name), _limit(primary, name)
            if ours < theirs:
                yield Finding(
                    rule="standby-limits",
                    severity="error",
                    hosts=(standby.name, primary.name),
                    message=f"{name} is {ours:g} on {standby.name} and {theirs:g} on its primary "
                    f"{primary.name}",
                    hint="A standby with less does not start; raise it on the standby first.",
                )


def one_version(nodes: Sequence[Node]) -> Iterator[Finding]:
    """A standby of another major version, which cannot read its primary's WAL."""
    for primary, standby in _pairs(nodes):
        versions = [str(node.attributes.postgresql.version) for node in (primary, standby)]
        if len(set(versions)) > 1:
            yield Finding(
                rule="one-version",
                severity="error",
                hosts=(standby.name, primary.name),
                message=f"{primary.name} runs PostgreSQL {versions[0]}, {standby.name} "
                f"{versions[1]}",
                hint="All hosts of a cluster run the same major version.",
            )


def two_primaries(nodes: Sequence[Node]) -> Iterator[Finding]:
    """Two hosts of a cluster that both archive as primaries."""
    for cluster, members in _clusters(nodes).items():
        primaries = [node.name for node in members if _is_primary(node)]
        if len(primaries) > 1:
            yield Finding(
                rule="two-primaries",
                severity="error",
                hosts=tuple(primaries),
                message=f"cluster {cluster} has {len(primaries)} primaries",
                hint="Give all but one a recovery mode, or clusters of their own.",
            )


def retention_and_delay(nodes: Sequence[Node]) -> Iterator[Finding]:
    """Retention that removes WAL which a delayed replica has still to fetch."""
    for members in _clusters(nodes).values():
        kept = [
            node
            for node in members
            if "retention" in node.recipes and node.attributes.pitr.retention.enabled
        ]
        for late in members:
            delay = late.attributes.pitr.recovery.delay
            if late.attributes.pitr.recovery.mode != "delayed" or delay is None:
                continue
            for node in kept:
                reach = _kept_for(node)
                if reach <= delay:
                    yield Finding(
                        rule="retention-delay",
                        severity="error",
                        hosts=(node.name, late.name),
                        message=f"{node.name} keeps WAL for {reach}, and {late.name} fetches it "
                        f"{delay} later",
                        hint="Make pitr.retention.window longer than the delay, or keep more "
                        "backups.",
                    )


def _kept_for(node: Node) -> Duration:
    """How old WAL is at least when it is deleted: as the oldest kept backup, or as the window.

    Right after a backup, the oldest of n is n - 1 intervals old.
    """
    retention, schedule = node.attributes.pitr.retention, node.attributes.pitr.base_backup.schedule
    before = retention.keep_full - 1
    runs = schedule.next_runs(_SOME_MOMENT, before + _SOME_RUNS)
    ages = [late - early for early, late in zip(runs, runs[before:], strict=False)]
    window = 0 if retention.window is None else retention.window.seconds
    return Duration(seconds=max(window, int(min(ages).total_seconds())))


def unknown_primary(nodes: Sequence[Node]) -> Iterator[Finding]:
    """A streaming replica of a host that is of another cluster."""
    clusters = {node.name: node.cluster for node in nodes}
    for node in nodes:
        recovery = node.attributes.pitr.recovery
        if "recovery" not in node.recipes or recovery.mode != "streaming":
            continue
        followed = recovery.primary.host
        if followed in clusters and clusters[followed] != node.cluster:
            yield Finding(
                rule="foreign-primary",
                severity="error",
                hosts=(node.name, followed),
                message=f"{node.name} of cluster {node.cluster} follows {followed} of cluster "
                f"{clusters[followed]}",
                hint="A standby follows a server of its own cluster.",
            )


def backups_at_once(nodes: Sequence[Node]) -> Iterator[Finding]:
    """Hosts of a cluster whose backups begin in the same minute, where each would take one."""
    for members in _clusters(nodes).values():
        takers = [
            node
            for node in members
            if "base_backup" in node.recipes
            and node.attributes.pitr.base_backup.enabled
            and node.attributes.pitr.base_backup.run_on != "primary"
            and not node.attributes.pitr.base_backup.spread.seconds
        ]
        for first, second in pairwise(takers):
            times = dict(schedules(first)), dict(schedules(second))
            if times[0]["base backup"].text == times[1]["base backup"].text:
                yield Finding(
                    rule="backups-at-once",
                    severity="warning",
                    hosts=(first.name, second.name),
                    message="base backups of one cluster begin on both at the same minute",
                    hint="Set pitr.base_backup.spread, or take them on one host.",
                )


def _clusters(nodes: Sequence[Node]) -> Mapping[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for node in nodes:
        if _WRITERS.intersection(node.recipes) or "recovery" in node.recipes:
            found.setdefault(node.cluster, []).append(node)
    return found


def _pairs(nodes: Sequence[Node]) -> Iterator[tuple[Node, Node]]:
    """Each standby with its cluster's primary."""
    for members in _clusters(nodes).values():
        for primary in filter(_is_primary, members):
            for node in members:
                if not _is_primary(node):
                    yield primary, node


def _is_primary(node: Node) -> bool:
    archives = "archiving" in node.recipes and node.attributes.pitr.archive.enabled
    return archives and node.attributes.pitr.recovery.mode == "none"


def _limit(node: Node, name: str) -> float:
    setting = pgsettings.lookup(name, node.attributes.postgresql.version.major)
    value = node.attributes.postgresql.settings.get(name)
    text = setting.default if value is None else pgsettings.check(setting, value)
    return float(pgsettings.parsed(setting, text))


RULES = (
    shared_prefix,
    two_primaries,
    one_version,
    standby_limits,
    unknown_primary,
    retention_and_delay,
    backups_at_once,
)
