"""What a listing of the WAL tells beside its ranges: when their ends came, and how much came when.

It is noted while the listing passes by, because nobody keeps a year of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from backup_core.postgres.wal import WalKind
from backup_core.report.model import Growth
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalObject

_HOUR = timedelta(hours=1)
_STEPS = (_HOUR, timedelta(days=1), timedelta(days=7), timedelta(days=28))
_MOST_POINTS = 400
_EPOCH = datetime(2001, 1, 1, tzinfo=UTC)  # a Monday
_END_OF_TIME = 9000  # what a wrong clock may tell, and no arithmetic reaches
Place = tuple[int, int]
"""A segment by its timeline and its number."""


class Listing:
    """Notes on the segments that pass by; sizes in bytes, as stored."""

    def __init__(self, segment_size: int) -> None:
        self._segment_size = segment_size
        self._first: Place = (-1, -1)
        self._last: Place = (-1, -1)
        self.stored: dict[Place, datetime] = {}
        """When the first and the last segment of each run were stored."""
        self.by_hour: defaultdict[datetime, int] = defaultdict(int)

    def noting(self, objects: Iterable[WalObject]) -> Iterator[WalObject]:
        """Pass the objects on."""
        for item in objects:
            if item.wal.kind is WalKind.SEGMENT and item.modified is not None:
                self._note(item, item.modified.astimezone(UTC))
            yield item

    def _note(self, item: WalObject, modified: datetime) -> None:
        place = (item.wal.timeline, item.wal.segment_number(self._segment_size))
        timeline, last = self._last
        if timeline == place[0] and last <= place[1] <= last + 1:
            if self._last != self._first:
                del self.stored[self._last]
        else:
            self._first = place
        self._last = place
        self.stored[place] = modified
        self.by_hour[modified.replace(minute=0, second=0, microsecond=0)] += item.size


def growth(backups: Sequence[Backup], wal_by_hour: Mapping[datetime, int]) -> tuple[Growth, ...]:
    """What is stored, added up over time: by the hour, the day or more, as there are many."""
    came = [(time, 0, size) for time, size in wal_by_hour.items()]
    came += [
        (item.finish_time.astimezone(UTC), item.compressed_size, 0)
        for item in backups
        if item.finish_time.year < _END_OF_TIME
    ]
    if not came:
        return ()
    first, last = min(came)[0], max(came)[0]
    step = next((each for each in _STEPS if (last - first) / each <= _MOST_POINTS), _STEPS[-1])
    sums: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
    for time, in_backups, in_wal in came:
        bin_ = sums[(time - _EPOCH) // step]
        bin_[0] += in_backups
        bin_[1] += in_wal
    points = []
    total = [0, 0]
    for number in sorted(sums):
        total = [one + more for one, more in zip(total, sums[number], strict=True)]
        until = _EPOCH + (number + 1) * step
        points.append(Growth(until=until, backups=total[0], wal=total[1]))
    return tuple(points)
