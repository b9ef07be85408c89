"""The metrics: what each is called, in which unit, and what the facts say of it (pure).

Names follow Prometheus' rules: base units, `_total` for what only counts up. Moments are stated and
not ages, so that a metric which is not written any more does not look young. Everything that an
alert rule or a panel of the dashboard asks for is here or in the scripts of `provision`'s jobs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from backup_core.monitor.facts import Facts, RepositoryFacts, ServerFacts
from backup_core.repository.drills import DrillRecord

Kind = Literal["gauge", "counter"]
Part = Literal["server", "repository"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric; `labels` are the names of its labels."""

    name: str
    part: Part
    about: str
    kind: Kind = "gauge"
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A value of a metric."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


METRICS: tuple[Metric, ...] = (
    Metric(
        name="pitr_monitor_timestamp_seconds",
        part="server",
        about="When the server was last looked at.",
    ),
    Metric(name="pitr_server_answers", part="server", about="1 if the server answers, else 0."),
    Metric(name="pitr_in_recovery", part="server", about="1 on a standby, else 0."),
    Metric(name="pitr_archiving", part="server", about="0 where archive_mode is off, else 1."),
    Metric(
        name="pitr_wal_last_archived_timestamp_seconds",
        part="server",
        about="When a WAL file was last archived; 0 if never.",
    ),
    Metric(
        name="pitr_wal_last_failed_timestamp_seconds",
        part="server",
        about="When archiving last failed; 0 if never.",
    ),
    Metric(
        name="pitr_wal_archived_total",
        part="server",
        about="WAL files archived since the statistics were reset.",
        kind="counter",
    ),
    Metric(
        name="pitr_wal_failed_total",
        part="server",
        about="Failures to archive since then; what ends above 125 is not counted.",
        kind="counter",
    ),
    Metric(name="pitr_wal_ready_files", part="server", about="WAL files that wait to be archived."),
    Metric(
        name="pitr_wal_ready_oldest_timestamp_seconds",
        part="server",
        about="Since when the oldest of them waits; absent if none does.",
    ),
    Metric(
        name="pitr_wal_push_failing_timestamp_seconds",
        part="server",
        about="Since when pushing WAL fails; 0 while it does not, absent without a spool.",
    ),
    Metric(
        name="pitr_replay_lag_seconds",
        part="server",
        about="How old the last replayed transaction is; 0 on a primary and once caught up.",
    ),
    Metric(
        name="pitr_free_bytes",
        part="server",
        about="Free bytes of the file system of pg_wal or of a repository in a directory.",
        labels=("place",),
    ),
    Metric(
        name="pitr_environment_generation",
        part="server",
        about="Number of the envdir's generation, where provision made it.",
    ),
    Metric(
        name="pitr_repository_timestamp_seconds",
        part="repository",
        about="When the repository was last looked at.",
    ),
    Metric(
        name="pitr_repository_answers",
        part="repository",
        about="1 if the repository answers, else 0.",
    ),
    Metric(name="pitr_encryption", part="repository", about="1 if what is written is encrypted."),
    Metric(name="pitr_backups", part="repository", about="Backups that exist."),
    Metric(
        name="pitr_backups_unreadable",
        part="repository",
        about="Backups whose sentinel cannot be read.",
    ),
    Metric(
        name="pitr_backup_finish_timestamp_seconds",
        part="repository",
        about="When the newest backup ended; 0 without any.",
    ),
    Metric(
        name="pitr_backup_duration_seconds",
        part="repository",
        about="How long the newest backup took.",
    ),
    Metric(name="pitr_backup_stored_bytes", part="repository", about="Its stored size, in bytes."),
    Metric(name="pitr_backup_raw_bytes", part="repository", about="The size of its files."),
    Metric(
        name="pitr_backup_corrupt_pages",
        part="repository",
        about="Pages in it that fail their checksums.",
    ),
    Metric(
        name="pitr_recovery_begin_timestamp_seconds",
        part="repository",
        about="The oldest moment of the window that reaches the newest; 0 without any window.",
    ),
    Metric(
        name="pitr_recovery_end_timestamp_seconds",
        part="repository",
        about="The newest moment that can be recovered; 0 without any window.",
    ),
    Metric(
        name="pitr_recovery_windows",
        part="repository",
        about="Windows; more than one are parted by a gap or a timeline.",
    ),
    Metric(
        name="pitr_backups_unusable",
        part="repository",
        about="Backups that WAL is missing for, or another backup.",
    ),
    Metric(
        name="pitr_wal_stored_timestamp_seconds",
        part="repository",
        about="When the newest segment on the way was stored, by the store's clock.",
    ),
    Metric(
        name="pitr_drill_proved_timestamp_seconds",
        part="repository",
        about="When a drill last proved a restore; 0 if none ever did, so that it can be missed.",
    ),
    Metric(
        name="pitr_drill_timestamp_seconds",
        part="repository",
        about="When the newest drill of this name began.",
        labels=("drill",),
    ),
    Metric(
        name="pitr_drill_success",
        part="repository",
        about="1 if it proved everything, else 0.",
        labels=("drill",),
    ),
    Metric(
        name="pitr_drill_recovery_seconds",
        part="repository",
        about="What a recovery would have taken.",
        labels=("drill",),
    ),
    Metric(
        name="pitr_drill_data_lost_seconds",
        part="repository",
        about="How old the newest archived WAL was when it began.",
        labels=("drill",),
    ),
)


def samples(
    facts: Facts, *, server: bool, repository: bool, encrypts: bool, generation: int | None
) -> Iterator[Sample]:
    """The values of all metrics of the parts that are asked for, as far as they are known."""
    if server:
        yield Sample(name="pitr_monitor_timestamp_seconds", value=facts.now.timestamp())
        yield Sample(name="pitr_server_answers", value=float(facts.server is not None))
        if generation is not None:
            yield Sample(name="pitr_environment_generation", value=generation)
        yield from _of_host(facts)
        if facts.server is not None:
            yield from _of_server(facts.server)
    if repository:
        yield Sample(name="pitr_repository_timestamp_seconds", value=facts.now.timestamp())
        yield Sample(name="pitr_repository_answers", value=float(facts.repository is not None))
        yield Sample(name="pitr_encryption", value=float(encrypts))
        if facts.repository is not None:
            yield from _of_backups(facts.repository)
            yield from _of_windows(facts.repository)
            yield from _of_drills(facts.repository)


def _of_host(facts: Facts) -> Iterator[Sample]:
    if facts.ready is not None:
        yield Sample(name="pitr_wal_ready_files", value=facts.ready.count)
        if facts.ready.oldest is not None:
            oldest = facts.ready.oldest.timestamp()
            yield Sample(name="pitr_wal_ready_oldest_timestamp_seconds", value=oldest)
    if facts.pushing is not None:
        since = _seconds(facts.failing.failing_since if facts.failing else None)
        yield Sample(name="pitr_wal_push_failing_timestamp_seconds", value=since)
    for space in facts.spaces:
        yield Sample(name="pitr_free_bytes", value=space.free, labels={"place": space.place})


def _of_server(server: ServerFacts) -> Iterator[Sample]:
    archiver = server.archiver
    archives = server.settings.get("archive_mode") != "off"
    yield Sample(name="pitr_in_recovery", value=float(server.in_recovery))
    yield Sample(name="pitr_archiving", value=float(archives))
    yield Sample(
        name="pitr_wal_last_archived_timestamp_seconds", value=_seconds(archiver.last_archived)
    )
    yield Sample(
        name="pitr_wal_last_failed_timestamp_seconds", value=_seconds(archiver.last_failed)
    )
    yield Sample(name="pitr_wal_archived_total", value=archiver.archived)
    yield Sample(name="pitr_wal_failed_total", value=archiver.failed)
    lag = 0.0
    if server.in_recovery and server.replayed is not None and not server.caught_up:
        lag = max(0.0, (server.clock - server.replayed).total_seconds())
    yield Sample(name="pitr_replay_lag_seconds", value=lag)


def _of_backups(repository: RepositoryFacts) -> Iterator[Sample]:
    catalog = repository.catalog
    newest = max(catalog.backups, key=lambda backup: backup.finish_time, default=None)
    yield Sample(name="pitr_backups", value=len(catalog.backups))
    yield Sample(name="pitr_backups_unreadable", value=len(catalog.unreadable))
    finished = newest.finish_time if newest else None
    yield Sample(name="pitr_backup_finish_timestamp_seconds", value=_seconds(finished))
    if newest is not None:
        took = (newest.finish_time - newest.start_time).total_seconds()
        yield Sample(name="pitr_backup_duration_seconds", value=took)
        yield Sample(name="pitr_backup_stored_bytes", value=newest.compressed_size)
        yield Sample(name="pitr_backup_raw_bytes", value=newest.uncompressed_size)
        yield Sample(name="pitr_backup_corrupt_pages", value=newest.corrupt_pages)


def _of_windows(repository: RepositoryFacts) -> Iterator[Sample]:
    recovery = repository.recovery
    if recovery is None:
        return
    current = recovery.current
    begin, end = (current.begin_time, current.end_time) if current else (None, None)
    yield Sample(name="pitr_recovery_begin_timestamp_seconds", value=_seconds(begin))
    yield Sample(name="pitr_recovery_end_timestamp_seconds", value=_seconds(end))
    yield Sample(name="pitr_recovery_windows", value=len(recovery.windows))
    yield Sample(name="pitr_backups_unusable", value=len(recovery.unusable))
    if current is not None and current.last_stored is not None:
        stored = current.last_stored.timestamp()
        yield Sample(name="pitr_wal_stored_timestamp_seconds", value=stored)


def _of_drills(repository: RepositoryFacts) -> Iterator[Sample]:
    proved = _seconds(repository.drill_proved)
    yield Sample(name="pitr_drill_proved_timestamp_seconds", value=proved)
    for record in repository.drills:
        yield from _of_drill(record)


def _of_drill(record: DrillRecord) -> Iterator[Sample]:
    labels = {"drill": record.drill}
    values = {
        "pitr_drill_timestamp_seconds": record.started.timestamp(),
        "pitr_drill_success": float(record.succeeded),
        "pitr_drill_recovery_seconds": record.recovery_seconds,
        "pitr_drill_data_lost_seconds": record.data_lost_seconds,
    }
    for name, value in values.items():
        if value is not None:
            yield Sample(name=name, value=value, labels=labels)


def _seconds(moment: datetime | None) -> float:
    return 0.0 if moment is None else moment.timestamp()
