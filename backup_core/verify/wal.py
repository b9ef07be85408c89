"""Timelines, ranges and gaps of the archived WAL (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from backup_core.postgres.lsn import Lsn
from backup_core.postgres.timeline import TimelineHistory
from backup_core.postgres.wal import WalKind
from backup_core.repository.wal_archive import WalObject, WalRange, ranges


@dataclass(frozen=True, kw_only=True)
class TimelineWal:
    """The WAL of one timeline; `size` is the stored size in bytes.

    `parent` and `begin` come from its history file and are None where that is not archived.
    """

    timeline: int
    parent: int | None
    begin: Lsn | None
    ranges: tuple[WalRange, ...]
    size: int
    newest: datetime | None

    @property
    def segments(self) -> int:
        """How many segments are archived."""
        return sum(found.count for found in self.ranges)

    @property
    def gaps(self) -> tuple[WalRange, ...]:
        """The segments missing between the ranges."""
        return tuple(
            WalRange(timeline=self.timeline, first=one.last + 1, last=two.first - 1)
            for one, two in zip(self.ranges, self.ranges[1:], strict=False)
        )


def timelines(
    objects: Iterable[WalObject], histories: Mapping[int, TimelineHistory], segment_size: int
) -> tuple[TimelineWal, ...]:
    """Describe each timeline that has WAL or a history file, in their order.

    The objects are seen once and not kept, so a listing can be passed on as it comes.
    """
    totals: dict[int, _Total] = {}
    runs = ranges(_counted(objects, totals), segment_size)
    return tuple(
        _timeline(number, totals.get(number, _Total()), histories.get(number), runs)
        for number in sorted({*totals, *histories})
    )


@dataclass(kw_only=True)
class _Total:
    size: int = 0
    newest: datetime | None = None


def _counted(objects: Iterable[WalObject], totals: dict[int, _Total]) -> Iterator[WalObject]:
    for item in objects:
        total = totals.setdefault(item.wal.timeline, _Total())
        if item.wal.kind is WalKind.SEGMENT:
            total.size += item.size
            if item.modified and (total.newest is None or item.modified > total.newest):
                total.newest = item.modified
        yield item


def _timeline(
    number: int, total: _Total, history: TimelineHistory | None, runs: Sequence[WalRange]
) -> TimelineWal:
    switch = history.switches[-1] if history and history.switches else None
    return TimelineWal(
        timeline=number,
        parent=switch.timeline if switch else None,
        begin=history.begin if history else None,
        ranges=tuple(run for run in runs if run.timeline == number),
        size=total.size,
        newest=total.newest,
    )
