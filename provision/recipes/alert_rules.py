"""The alert rules of one host, with the limits of its roles.

Every metric that is written on a host has the host's name as a label, and every rule asks for that
label, so that the rules of a replica that is eight hours late by design and those of one that must
not be can stand side by side in one Prometheus. Only what a host does is watched on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from provision.node import Node
from provision.quoting import metric_label

_SILENT = 600
_UNSEEN = 7200  # seconds without a look at the repository


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A condition in PromQL that has to hold for `minutes` before somebody is told."""

    name: str
    expression: str
    minutes: int
    severity: str
    summary: str


def label_values(node: Node) -> dict[str, str]:
    """The labels of a host's metrics."""
    return {"cluster": node.cluster, "host": node.name}


def labels(node: Node, **more: str) -> str:
    """The labels of a host's metrics, as they stand between braces."""
    found = label_values(node) | more
    return ",".join(f"{name}={metric_label(value).text}" for name, value in found.items())


def alert_rules(node: Node) -> tuple[Rule, ...]:
    """Return the rules for what the host does."""
    return tuple(_rules(node))


def _rules(node: Node) -> Iterator[Rule]:
    yield _silence(node)
    yield _failed_job(node)
    yield _late_job(node)
    if {"archiving", "recovery"}.intersection(node.recipes):
        yield _server(node)
    if "archiving" in node.recipes and node.attributes.pitr.archive.enabled:
        yield from _archiving(node)
    if "base_backup" in node.recipes and node.attributes.pitr.base_backup.enabled:
        yield _base_backup(node)
    if "recovery" in node.recipes and node.attributes.pitr.recovery.mode != "none":
        yield _replay(node)
    if node.attributes.pitr.repository:
        yield from _repository(node)


def _silence(node: Node) -> Rule:
    stamp = _metric(node, "monitor_timestamp_seconds")
    return Rule(
        name="PitrMonitoringIsSilent",
        expression=f"time() - {stamp} > {_SILENT} or absent({stamp})",
        minutes=5,
        severity="page",
        summary=f"nothing is known of {node.name} for {_SILENT} seconds",
    )


def _server(node: Node) -> Rule:
    return Rule(
        name="PitrServerDoesNotAnswer",
        expression=f"{_metric(node, 'server_answers')} == 0",
        minutes=5,
        severity="page",
        summary=f"PostgreSQL on {node.name} does not answer",
    )


def _failed_job(node: Node) -> Rule:
    return Rule(
        name="PitrJobFailed",
        expression=f"{_metric(node, 'job_failed')} == 1",
        minutes=5,
        severity="ticket",
        summary=f"a scheduled job failed on {node.name}",
    )


def _late_job(node: Node) -> Rule:
    """Jobs whose limit is not the role's to set: it follows from how often they run."""
    success = _metric(node, "job_success_timestamp_seconds", 'resource!="base-backup"')
    return Rule(
        name="PitrJobIsLate",
        expression=f"time() - {success} > {_metric(node, 'job_max_age_seconds')}",
        minutes=15,
        severity="ticket",
        summary=f"a scheduled job of {node.name} has not ended well for too long",
    )


def _archiving(node: Node) -> Iterator[Rule]:
    """A server at rest archives nothing and is not late: something has to wait, too."""
    limits = node.attributes.pitr.monitoring
    ready, primary = _metric(node, "wal_ready_files"), f"{_metric(node, 'in_recovery')} == 0"
    archived = _metric(node, "wal_last_archived_timestamp_seconds")
    yield Rule(
        name="PitrArchivingIsLate",
        expression=f"time() - {archived} > {limits.wal_age.seconds} and {ready} > 0 and {primary}",
        minutes=5,
        severity="page",
        summary=f"{node.name} has archived no WAL segment for {limits.wal_age}",
    )
    yield Rule(
        name="PitrWalPilesUp",
        expression=f"{ready} > {limits.pending_wal}",
        minutes=5,
        severity="page",
        summary=f"more than {limits.pending_wal} WAL segments wait on {node.name}",
    )
    yield Rule(
        name="PitrArchivingIsOff",
        expression=f"{_metric(node, 'archiving')} == 0 and {primary}",
        minutes=5,
        severity="page",
        summary=f"archive_mode is off on {node.name}, which archives by its roles",
    )


def _base_backup(node: Node) -> Rule:
    """After a failover the old primary's last success grows old and is nobody's trouble."""
    limit, wanted = node.attributes.pitr.monitoring.backup_age, node.attributes.pitr.base_backup
    success = _metric(node, "job_success_timestamp_seconds", 'resource="base-backup"')
    expression = f"time() - {success} > {limit.seconds}"
    if wanted.run_on != "any":
        recovering = int(wanted.run_on == "standby")
        expression += f" and on (host) {_metric(node, 'in_recovery')} == {recovering}"
    return Rule(
        name="PitrBaseBackupIsLate",
        expression=expression,
        minutes=15,
        severity="page",
        summary=f"the last base backup of {node.name} is older than {limit}",
    )


def _replay(node: Node) -> Rule:
    """A delayed replica is late by its delay before it is late."""
    recovery, limit = node.attributes.pitr.recovery, node.attributes.pitr.monitoring.replay_lag
    delayed = recovery.mode == "delayed" and recovery.delay is not None
    seconds = limit.seconds + (recovery.delay.seconds if delayed and recovery.delay else 0)
    lag, standby = _metric(node, "replay_lag_seconds"), f"{_metric(node, 'in_recovery')} == 1"
    return Rule(
        name="PitrReplayIsLate",
        expression=f"{lag} > {seconds} and {standby}",
        minutes=15,
        severity="ticket",
        summary=f"replay on {node.name} is more than {seconds} seconds behind",
    )


def _repository(node: Node) -> Iterator[Rule]:
    """What the repository says of itself, wherever it is looked at from."""
    stamp = _metric(node, "repository_timestamp_seconds")
    unusable = f"{_metric(node, 'backups_unreadable')} + {_metric(node, 'backups_unusable')}"
    limits = node.attributes.pitr.monitoring
    yield Rule(
        name="PitrRepositoryDoesNotAnswer",
        expression=f"{_metric(node, 'repository_answers')} == 0 or time() - {stamp} > {_UNSEEN}",
        minutes=30,
        severity="page",
        summary=f"the repository does not answer {node.name}",
    )
    yield Rule(
        name="PitrNothingCanBeRecovered",
        expression=f"{_metric(node, 'recovery_windows')} == 0",
        minutes=30,
        severity="page",
        summary=f"no moment of {node.cluster} can be recovered",
    )
    yield Rule(
        name="PitrBackupIsUnusable",
        expression=f"{unusable} > 0 or {_metric(node, 'backup_corrupt_pages')} > 0",
        minutes=60,
        severity="ticket",
        summary=f"a backup of {node.cluster} cannot be read, lacks WAL, or has corrupt pages",
    )
    yield Rule(
        name="PitrDrillFailed",
        expression=f"{_metric(node, 'drill_success')} == 0",
        minutes=5,
        severity="ticket",
        summary=f"the last restore drill of {node.cluster} failed",
    )
    yield Rule(
        name="PitrDrillIsMissing",
        expression=f"time() - {_metric(node, 'drill_proved_timestamp_seconds')} > "
        f"{limits.drill_age.seconds}",
        minutes=60,
        severity="ticket",
        summary=f"no restore of {node.cluster} was proved for {limits.drill_age}, or ever",
    )


def _metric(node: Node, name: str, *matchers: str) -> str:
    host = f"host={metric_label(node.name).text}"
    return f"pitr_{name}{{{','.join((host, *matchers))}}}"
