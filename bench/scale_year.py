"""A year of WAL of a busy cluster against the code that lists and deletes, measured.

The server is a stub that computes the keys (tests/support/s3_stub.py), in a process of its own:
processor time and memory are the engine's alone.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from backup_core.archive.fetch import FetchRequest, fetch_wal
from backup_core.repository import layout
from backup_core.repository.identity import claim_repository
from backup_core.repository.wal_archive import WalRange, find_wal, list_wal
from backup_core.restore.preflight import read_archive
from backup_core.storage.base import Storage
from backup_core.verify.continuity import missing_wal
from backup_core.verify.wal import timelines
from bench.scaling import LATENCY, MIB, PAGE, YEAR_WAL
from tests.support.s3_stub import S3Stub, Segments, s3_stub
from tests.support.segments import SYSTEM_IDENTIFIER

SEGMENT_SIZE = 16 * MIB
DAY = YEAR_WAL // SEGMENT_SIZE
DELETED = 100 * PAGE


def measure_year(days: int) -> None:
    """Print what each operation takes on the WAL of so many days."""
    segments = Segments(count=days * DAY, segment_size=SEGMENT_SIZE)
    last = segments.name(segments.count - 1)
    with s3_stub(segments) as stub:
        storage = stub.storage()
        claim_repository(storage, SYSTEM_IDENTIFIER)
        stub.requests()
        with measured(f"find_wal among {segments.count:,}", stub):
            assert find_wal(storage, last)
        with measured("wal-fetch at the end of the archive", stub):
            _prove_absent(storage, segments.name(segments.count))
        with measured("preflight of a restore from a day before the end", stub):
            _preflight(storage, segments)
        with measured("wal-show: all keys to ranges", stub):
            (found,) = timelines(list_wal(storage), {}, SEGMENT_SIZE)
        assert found.segments == segments.count
    with s3_stub(Segments(count=2 * DELETED), latency=LATENCY) as slow:
        storage = slow.storage()
        keys = (info.key for info in list(storage.list(layout.WAL)))
        slow.requests()
        with measured(f"delete {DELETED:,} at {LATENCY} s a request, batch by batch", slow):
            for _ in range(DELETED // PAGE):
                storage.delete(islice(keys, PAGE))
        with measured(f"delete {DELETED:,}, several batches at once", slow):
            assert not any(storage.delete(keys).values())


@contextmanager
def measured(name: str, stub: S3Stub) -> Iterator[None]:
    """Print a line about what is done within."""
    wall, processor, memory = time.perf_counter(), time.process_time(), _peak()
    yield
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    asked = ", ".join(f"{count:,} {name}" for name, count in sorted(stub.requests().items()))
    print(
        f"{name}: {wall:.2f} s, processor {processor:.2f} s, "
        f"memory +{_peak() - memory:.1f} MiB to {_peak():.0f} MiB; {asked}",
        flush=True,
    )


def _prove_absent(storage: Storage, name: str) -> None:
    with TemporaryDirectory() as directory:
        request = FetchRequest(name=name, destination=Path(directory) / name)
        assert fetch_wal(storage, request).key is None


def _preflight(storage: Storage, segments: Segments) -> None:
    """What backup-fetch asks of the WAL without a target."""
    first = segments.count - DAY + 1
    archive = read_archive(storage)
    last = archive.runs_from(SEGMENT_SIZE)(1, first)[-1].last
    span = WalRange(timeline=1, first=first, last=last)
    assert last == segments.count
    assert not missing_wal([span], archive.numbers(SEGMENT_SIZE))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
