"""Carrying a plan out: what goes, goes in an order in which every interruption is harmless."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backup_core.retention.policy import RetentionPlan
from backup_core.storage.base import Storage


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How many objects went, and which did not, with the reason."""

    removed: int
    failed: dict[str, str]


def apply_retention(
    storage: Storage, plan: RetentionPlan, *, check: Callable[[], None] = lambda: None
) -> Outcome:
    """Remove what the plan names: each sentinel before its backup's objects, WAL last.

    `check` is called between the steps and raises if the lock was lost. A backup whose sentinel
    cannot be removed still exists, so its objects stay, and all WAL does.
    """
    failed: dict[str, str] = {}
    removed = 0

    def remove(keys: Sequence[str]) -> bool:
        nonlocal removed
        check()
        outcome = storage.delete(keys)
        errors = {key: reason for key, reason in outcome.items() if reason is not None}
        failed.update(errors)
        removed += len(outcome) - len(errors)
        return not errors

    gone = [item for item in plan.backups if item.sentinel is None or remove([item.sentinel])]
    for backup in gone:
        remove([info.key for info in backup.objects])
    if len(gone) == len(plan.backups):
        remove([info.key for info in plan.marks])
        remove([info.key for info in plan.wal])
    return Outcome(removed=removed, failed=failed)
