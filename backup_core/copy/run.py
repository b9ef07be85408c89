"""Carrying out a copy: WAL and its marks first, then each backup, its sentinel at the very end.

Nothing is kept about how far a copy came. What is in the target is seen by the next plan, compared
and passed over, so an interrupted copy is continued by giving the same command again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from backup_core.copy.check import Seen, bare, digest_of, is_same
from backup_core.copy.items import CopyItem, CopyPlan, Kind, conflict
from backup_core.errors import AlreadyExistsError, CorruptError
from backup_core.repository.identity import claim_repository
from backup_core.repository.lock import backup_lock
from backup_core.storage.base import Storage
from backup_core.stream.parallel import Advance, run_all


@dataclass(frozen=True, kw_only=True)
class CopyOptions:
    """How a plan is carried out; `verify` reads back all that the target has, old and new."""

    workers: int
    verify: bool = False


@dataclass(frozen=True, kw_only=True)
class CopyResult:
    """How many objects were copied, with their size in bytes, and how many were there already."""

    copied: int
    copied_size: int
    present: int


def carry_out(
    source: Storage,
    target: Storage,
    plan: CopyPlan,
    options: CopyOptions,
    *,
    advance: Advance = lambda _: None,
    step: Callable[[str], None] = lambda _: None,
) -> CopyResult:
    """Copy as planned, under the target's backup lock; returns once the last sentinel is durable.

    Raises LockHeldError, ClusterMismatchError, CorruptError for an object that is not what it
    should be, RefusedError for one that the target holds with other content, and StorageError.
    """
    claim_repository(target, plan.system_identifier, plan.segment_size)
    with backup_lock(target) as check_lock:
        copier = _Copier(source, target, plan.system_identifier, verify=options.verify)

        def together(items: Sequence[CopyItem]) -> list[int]:
            return run_all(
                copier.bring, items, workers=options.workers, advance=advance, watch=check_lock
            )

        step("copy WAL")
        sizes = together(plan.wal_marks) + together(plan.wal)
        for item in plan.backups:
            step(f"copy {item.backup.name}")
            is_whole = item.sentinel.present is not None
            sizes += together([_with_marks(object_, keep=is_whole) for object_ in item.objects])
            check_lock()
            sizes.append(copier.bring(item.sentinel, advance))
    present = sum(size < 0 for size in sizes)
    return CopyResult(
        copied=len(sizes) - present,
        copied_size=sum(size for size in sizes if size >= 0),
        present=present,
    )


def _with_marks(item: CopyItem, *, keep: bool) -> CopyItem:
    """A whole backup in the target keeps its own marks; those of an unfinished one are replaced."""
    return item if keep or item.kind is not Kind.MARKS else replace(item, present=None)


class _Copier:
    """Brings single objects over; one for all workers."""

    def __init__(
        self, source: Storage, target: Storage, system_identifier: int, *, verify: bool
    ) -> None:
        self._source = source
        self._target = target
        self._system_identifier = system_identifier
        self._verify = verify

    def bring(self, item: CopyItem, advance: Advance) -> int:
        """Copy an object and return its size, or -1 if the target has it with the same content."""
        if item.present is not None:
            self._check_present(item)
            advance(0)
            return -1
        chunks = bare(self._source).get(item.key)
        seen = Seen(self._source, item, chunks, self._system_identifier)
        try:
            bare(self._target).put(
                item.key,
                _reported(seen, advance),
                if_absent=item.kind is not Kind.MARKS,
                size_hint=item.size,
            )
        except AlreadyExistsError:
            self._check_present(replace(item, present=item.key))
            return -1
        self._check_written(item, seen.sha256)
        return item.size

    def _check_present(self, item: CopyItem) -> None:
        if item.kind is Kind.MARKS:
            return
        if not is_same(self._source, self._target, item, thorough=self._verify):
            raise conflict(item, self._target.url)

    def _check_written(self, item: CopyItem, sha256: str) -> None:
        size = self._target.stat(item.key).size
        if size != item.size:
            raise CorruptError(
                f"{item.key} has {size} bytes in {self._target.url}, {item.size} were written"
            )
        if self._verify and digest_of(bare(self._target), item.key) != sha256:
            raise CorruptError(f"{item.key} reads back from {self._target.url} with other content")


def _reported(seen: Seen, advance: Advance) -> Iterator[bytes]:
    for chunk in seen:
        advance(len(chunk))
        yield chunk
