"""How long a plan of retention takes over 100,000 WAL objects (python -m bench.retention)."""

import statistics
import sys
import time

from backup_core.postgres.wal import segment_name
from backup_core.repository import layout
from backup_core.repository.identity import claim_repository
from backup_core.retention.policy import plan_retention
from backup_core.retention.request import Retain
from backup_core.retention.survey import read_holdings
from backup_core.storage.memory import MemoryStorage
from tests.support.archives import SEGMENT, backup_at
from tests.support.backups import NOON, store
from tests.support.segments import SYSTEM_IDENTIFIER

ROUNDS = 5


def main(count: int) -> None:
    """Print the median of a few rounds, listing included, from memory."""
    storage = MemoryStorage()
    claim_repository(storage, SYSTEM_IDENTIFIER, SEGMENT)
    for number in range(1, count + 1):
        storage.put(layout.wal(segment_name(1, number, SEGMENT), "zst"), [b"x"])
    for number in range(2, count, max(1, count // 30)):
        store(storage, backup_at(1, number * SEGMENT + 40, 100))
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        plan = plan_retention(Retain(count=7), read_holdings(storage, now=NOON))
        times.append(time.perf_counter() - began)
    print(f"{count} WAL objects, {len(plan.wal)} to go: {statistics.median(times):.2f} s (median)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
