"""A year of WAL is listed once: each page of it is a request, and costs."""

from collections import Counter
from collections.abc import Iterator

from backup_core.postgres.wal import segment_name
from backup_core.repository import layout
from backup_core.repository.identity import claim_repository
from backup_core.retention.policy import plan_retention
from backup_core.retention.request import Retain
from backup_core.retention.survey import read_holdings
from backup_core.storage.base import ObjectInfo
from backup_core.storage.memory import MemoryStorage
from tests.support.archives import SEGMENT, backup_at
from tests.support.backups import NOON, store
from tests.support.segments import SYSTEM_IDENTIFIER

SEGMENTS = 20_000


class Counting(MemoryStorage):
    """Counts listings by what they ask for."""

    def __init__(self) -> None:
        super().__init__(lambda: NOON)
        self.listed: Counter[str] = Counter()

    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> Iterator[ObjectInfo]:
        """As any store does."""
        self.listed[prefix] += 1
        return super().list(prefix, delimiter=delimiter, start_after=start_after)


def test_a_plan_lists_the_wal_once() -> None:
    """And reads nothing of it."""
    storage = Counting()
    claim_repository(storage, SYSTEM_IDENTIFIER, SEGMENT)
    for number in range(1, SEGMENTS):
        storage.put(layout.wal(segment_name(1, number, SEGMENT), "zst"), [b"x"])
    for number in range(2, SEGMENTS, SEGMENTS // 20):
        store(storage, backup_at(1, number * SEGMENT + 40, 100))
    storage.listed.clear()
    plan = plan_retention(Retain(count=3), read_holdings(storage, now=NOON))
    assert len(plan.backups) == 17
    assert sum(run.count for run in plan.wal_ranges) == len(plan.wal)
    assert storage.listed == {layout.WAL: 1, layout.BACKUPS: 2, layout.MARKS: 1}
