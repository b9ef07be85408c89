"""A restore's plan, printed."""

from __future__ import annotations

from datetime import timedelta

from backup_core.cli.backup_list import lsn_range
from backup_core.cli.output import duration, moment, size
from backup_core.postgres.recovery import RecoveryConfig
from backup_core.postgres.wal import segment_name
from backup_core.repository.wal_archive import WalRange
from backup_core.restore.prepare import RestorePlan

_SHOWN = 20


def print_plan(planned: RestorePlan, recovery: RecoveryConfig | None, *, workers: int) -> None:
    """Print what would be done, and about how long the copying takes."""
    backup = planned.backup
    lines = [
        f"backup      {backup.name}",
        f"            taken {moment(backup.start_time)} to {moment(backup.finish_time)}",
        f"            WAL {lsn_range(backup, ' to ')}, timeline {backup.timeline}",
        *(f"made on     {each.name}" for each in planned.chain[1:]),
        f"timeline    {planned.timeline}",
        *_destinations(planned),
        *_existing(planned),
        f"to fetch    {size(planned.stored_size)} in {_parts(planned)} partitions",
        f"            about {_estimate(planned, workers)} with {workers} workers",
        *_wal(planned),
        *_recovery(recovery),
        "nothing was written (--dry-run)",
    ]
    print("\n".join(lines))


def _destinations(planned: RestorePlan) -> list[str]:
    names = ["restore to", *(f"tablespace {item.oid}" for item in planned.tablespaces)]
    return [
        f"{name:<11} {item.path}: {size(item.needed)} needed, {size(item.free)} free"
        for name, item in zip(names, planned.destinations, strict=True)
    ]


def _existing(planned: RestorePlan) -> list[str]:
    """What is there already: how much stays, and what goes, so that it can be looked at."""
    existing, removed = planned.existing, planned.existing.removed
    if not (existing.kept or existing.replaced or removed):
        return []
    shown = [f"            {path}" for path in removed[:_SHOWN]]
    if len(removed) > _SHOWN:
        shown.append(f"            ... and {len(removed) - _SHOWN} more")
    return [
        f"to keep     {len(existing.kept)} files, {size(existing.kept_size)}",
        f"to replace  {len(existing.replaced)} files",
        f"to remove   {len(removed)} files and directories",
        *shown,
    ]


def _parts(planned: RestorePlan) -> int:
    return sum(map(len, planned.parts))


def _estimate(planned: RestorePlan, workers: int) -> str:
    if not planned.rate:
        return "an unknown time"
    usable = max(1, min(workers, _parts(planned)))
    to_write = planned.restored_size - planned.existing.kept_size
    return duration(timedelta(seconds=to_write / planned.rate / usable + 1))


def _wal(planned: RestorePlan) -> list[str]:
    return [
        *(f"WAL         {_span(span, planned.segment_size)}" for span in planned.wal),
        *(f"MISSING WAL {_span(span, planned.segment_size)}" for span in planned.missing_wal),
    ]


def _span(span: WalRange, segment_size: int) -> str:
    first = segment_name(span.timeline, span.first, segment_size)
    last = segment_name(span.timeline, span.last, segment_size)
    return f"{first} to {last}: {span.count} segments"


def _recovery(recovery: RecoveryConfig | None) -> list[str]:
    if recovery is None:
        return ["recovery    left to you (--no-recovery-config)"]
    settings = (*recovery.settings, *recovery.server_settings)
    return [
        f"recovery    {recovery.signal}",
        *(f"            {name} = {value}" for name, value in settings if value),
    ]
