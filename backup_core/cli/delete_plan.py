"""The plan of a removal as text and as JSON: every backup with the reason, every run of WAL."""

from __future__ import annotations

from backup_core.cli.output import moment, size, table
from backup_core.postgres.wal import segment_name
from backup_core.repository.wal_archive import WalRange
from backup_core.retention.policy import RetentionPlan, Verdict

_SHOWN = 20


def print_plan(plan: RetentionPlan, *, confirmed: bool) -> None:
    """Print what stays and what goes."""
    if plan.verdicts:
        heads = ["", "name", "finished", "stored", "why"]
        for line in table(heads, [_row(verdict) for verdict in plan.verdicts], right=[3]):
            print(line)
    for run in plan.wal_ranges[:_SHOWN]:
        first, last = _names(run, plan.segment_size)
        print(f"remove WAL {first} to {last}: {run.count} segments")
    if len(plan.wal_ranges) > _SHOWN:
        print(f"remove WAL of {len(plan.wal_ranges) - _SHOWN} more runs")
    objects = sum(len(item.objects) + (item.sentinel is not None) for item in plan.backups)
    print(
        f"{'removing' if confirmed else 'to be removed:'} {len(plan.backups)} backups "
        f"({objects} objects), {len(plan.wal)} WAL files, {size(plan.size)}"
    )
    if not confirmed:
        print("nothing was removed; --confirm carries this out")


def _row(verdict: Verdict) -> list[str]:
    return [
        "keep" if verdict.keep else "REMOVE",
        verdict.name,
        moment(verdict.finish_time) if verdict.finish_time else "-",
        size(verdict.size),
        verdict.reason,
    ]


def document(plan: RetentionPlan, *, confirmed: bool) -> dict[str, object]:
    """What --json prints (docs/json.md)."""
    return {
        "version": 1,
        "confirmed": confirmed,
        "backups": [
            {
                "name": verdict.name,
                "keep": verdict.keep,
                "reason": verdict.reason,
                "finish_time": verdict.finish_time.isoformat() if verdict.finish_time else None,
                "stored_size": verdict.size,
            }
            for verdict in plan.verdicts
        ],
        "wal": [
            {"first": names[0], "last": names[1], "segments": run.count}
            for run in plan.wal_ranges
            for names in [_names(run, plan.segment_size)]
        ],
        "wal_files": len(plan.wal),
        "freed_size": plan.size,
    }


def _names(run: WalRange, segment_size: int) -> tuple[str, str]:
    return (
        segment_name(run.timeline, run.first, segment_size),
        segment_name(run.timeline, run.last, segment_size),
    )
