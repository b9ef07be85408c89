"""What can be recovered, with the times at which it ends.

The last segments of each window are read, because only the transactions in them say up to when they
lead; one that turns out to be damaged counts as missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from backup_core.errors import CorruptError, MissingKeyError, NotFoundError
from backup_core.postgres.records import transaction_ends
from backup_core.postgres.wal import (
    parse_segment_header,
    parse_wal_name,
    segment_name,
)
from backup_core.repository.sealed import UnknownContentError
from backup_core.repository.wal_archive import (
    WalObject,
    WalRange,
    find_wal,
    read_wal,
)
from backup_core.storage.base import Storage
from backup_core.verify.facts import read_facts
from backup_core.verify.window import Facts, Recovery, RecoveryWindow, recovery

_READERS = 4
_LOOK_BACK = 8  # segments without a transaction's end, such as those of a server that is idle
_MOST_DAMAGED = 16


@dataclass(frozen=True, kw_only=True)
class Damaged:
    """A segment that is there and cannot be used, and why."""

    name: str
    reason: str


def read_recovery(
    storage: Storage, facts: Facts | None = None
) -> tuple[Recovery, tuple[Damaged, ...]]:
    """Find what can be recovered, with the times, and the damaged segments that were met.

    A caller that has the facts already gives them. Raises StorageError, CorruptError for a history
    file that cannot be understood, and MissingKeyError where two clusters' WAL cannot be told apart
    without the key.
    """
    facts = facts or read_facts(storage)
    damaged: list[Damaged] = []
    while True:
        found = recovery(facts)
        with ThreadPoolExecutor(_READERS, thread_name_prefix="windows") as pool:
            ends = list(pool.map(partial(dated, storage, facts.segment_size), found.windows))
        broken = {end.name: end for end in ends if isinstance(end, Damaged)}
        if not broken:
            windows = tuple(end for end in ends if isinstance(end, RecoveryWindow))
            return replace(found, windows=windows), tuple(damaged)
        damaged += broken.values()
        if len(damaged) > _MOST_DAMAGED:
            raise CorruptError(
                f"{len(damaged)} WAL segments cannot be read; the last, {damaged[-1].name}, for "
                f"this: {damaged[-1].reason}",
                hint="If they are encrypted by libsodium, set its key; otherwise the store lost "
                "more than a report can walk around.",
            )
        facts = _without(facts, broken)


def dated(storage: Storage, segment_size: int, window: RecoveryWindow) -> RecoveryWindow | Damaged:
    """The window with the time at which it ends, or the segment that cuts it short."""
    newest = window.backups[-1]
    stored = None
    try:
        for name in _last_names(window, segment_size):
            found = find_wal(storage, name)
            if found is None:
                return Damaged(name=name, reason="it was removed meanwhile")
            stored = stored or found.modified
            time = _last_end(storage, found, window)
            if time is not None and time > newest.finish_time:
                return replace(window, end_time=time, end_source="wal", last_stored=stored)
    except (CorruptError, NotFoundError, UnknownContentError) as error:
        return Damaged(name=name, reason=error.message)
    except MissingKeyError:
        return replace(
            window,
            end_time=stored or newest.finish_time,
            end_source="stored" if stored else "backup",
            last_stored=stored,
        )
    return replace(window, end_time=newest.finish_time, end_source="backup", last_stored=stored)


def _last_names(window: RecoveryWindow, segment_size: int) -> Iterator[str]:
    """The last segments on the timeline on which the window ends, back to its newest backup."""
    wal = parse_wal_name(window.last_segment)
    last = wal.segment_number(segment_size)
    first = max(window.backups[-1].finish_lsn // segment_size, last - _LOOK_BACK)
    for number in range(last, first - 1, -1):
        yield segment_name(wal.timeline, number, segment_size)


def _last_end(storage: Storage, found: WalObject, window: RecoveryWindow) -> datetime | None:
    data = b"".join(read_wal(storage, found))
    header = parse_segment_header(data, name=found.key)
    ends = [time for lsn, time in transaction_ends(data, header) if lsn < window.end_lsn]
    return max(ends, default=None)


def _without(facts: Facts, names: Iterable[str]) -> Facts:
    """The facts as if these segments were not there."""
    numbers = {
        (wal.timeline, wal.segment_number(facts.segment_size)) for wal in map(parse_wal_name, names)
    }

    def cut(run: WalRange) -> Iterator[WalRange]:
        first = run.first
        for number in sorted(
            n for t, n in numbers if t == run.timeline and run.first <= n <= run.last
        ):
            if number > first:
                yield replace(run, first=first, last=number - 1)
            first = number + 1
        if first <= run.last:
            yield replace(run, first=first)

    return replace(
        facts,
        wal=tuple(
            replace(cluster, runs=tuple(part for run in cluster.runs for part in cut(run)))
            for cluster in facts.wal
        ),
    )
