"""What a repository costs in requests, time and money: arithmetic only.

Request counts are those of the code, operation by operation; tests hold them against a server that
counts. Rates, latencies and prices are assumptions, which docs/scale.md states.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40
GB, TB = 10**9, 10**12
DAYS = 30  # a month
PAGE = 1000  # keys in a page of a listing, and in a batch to delete
PART_SIZE = 20 * MIB  # s3_max_part_size
PARTITION = GIB  # tar_size_threshold
PROBED = 64 << 10  # bytes of an object that is small enough to be created twice
LEASE = 150  # seconds between two renewals of the backup lock
DELETIONS = 4  # batches of deletions on their way at once

LATENCY = 0.1  # seconds from a request to its answer
START = 0.05  # seconds for the start of a process
COMPRESSION = 3.0  # zstd level 3 on tables and WAL of mixed content
SPAN = (
    64 * MIB
)  # of a large backup that a worker of backup-fetch reads at a time, before compression
BACKUP_RATE, RESTORE_RATE = 60 * MIB, 90 * MIB  # bytes a second and processor (RESULTS.md, mixed)
PUSH_RATE, FETCH_RATE = 140 * MIB, 200 * MIB  # of one segment, less the start of its process
YEAR_WAL = 3 * TIB // 2  # bytes a day


@dataclass(frozen=True, kw_only=True)
class Requests:
    """Requests by what they are priced as: POST counts as PUT, HEAD as GET."""

    put: float = 0
    list: float = 0
    get: float = 0
    delete: float = 0

    def __add__(self, other: Requests) -> Requests:
        pairs = zip(astuple(self), astuple(other), strict=True)
        put, list_, get, delete = (one + two for one, two in pairs)
        return Requests(put=put, list=list_, get=get, delete=delete)

    def __mul__(self, times: float) -> Requests:
        put, list_, get, delete = (count * times for count in astuple(self))
        return Requests(put=put, list=list_, get=get, delete=delete)


# Requests of one operation


def pages(keys: float) -> int:
    """Requests to list so many keys; an empty listing is one too."""
    return max(1, math.ceil(keys / PAGE))


def object_put(size: float, part_size: int = PART_SIZE) -> Requests:
    """Create an object: one PUT, or a look for it (HEAD, GET) and a multipart upload."""
    if size <= part_size:
        return Requests(put=1)
    return Requests(put=math.ceil(size / part_size) + 2, get=2)


def wal_push(stored: float, part_size: int = PART_SIZE) -> Requests:
    """The identity is read, the name looked up under every codec, the segment created.

    The first small object of a process is created twice, to see that the server refuses it.
    """
    probe = Requests(put=1 if stored <= PROBED else 0)
    return Requests(get=1, list=1) + object_put(stored, part_size) + probe


def wal_fetch() -> Requests:
    """The name is looked up, the segment and the identity are read."""
    return Requests(list=1, get=2)


def wal_fetch_absent() -> Requests:
    """The first segment past the end of timeline 1, with the proof that it is the end."""
    return Requests(list=3, get=1)


def backup_list(backups: int) -> Requests:
    """A folder and a sentinel each; sentinel, metadata and corrupt pages are read."""
    return Requests(list=pages(2 * backups), get=3 * backups)


def backup_push(
    parts: Sequence[float], *, backups: int, segments: int = 1, seconds: float = 0, polls: int = 2
) -> Requests:
    """Partitions of these stored sizes; `polls` are looks for the WAL before and after it."""
    lock = Requests(list=2, put=2, delete=1) + Requests(put=1, delete=1) * (seconds // LEASE)
    small = object_put(0) * 8  # pg_control, label, five documents, sentinel
    taken = Requests(get=1) + backup_list(backups)
    wal = Requests(list=pages(segments) + polls - 1)
    alike = Counter(parts).items()
    return sum((object_put(size) * count for size, count in alike), lock + taken + wal + small)


def backup_fetch(
    parts: int, *, spans: int, backups: int, segments: int = 1, timelines: int = 1
) -> Requests:
    """Up to the server's start: catalog, identity, the WAL from the backup on, documents, parts.

    Partitions are read in `spans`; the other reads are as many as were counted. WAL is fetched by
    the server, segment by segment.
    """
    wal = Requests(list=timelines + 1 + pages(segments))
    documents = Requests(list=pages(parts + 2), get=8)
    return backup_list(backups) + wal + documents + Requests(get=spans + 2)


def spans_of(parts: Sequence[float]) -> int:
    """In how many spans partitions of these stored sizes are read, of a large backup."""
    return sum(math.ceil(size * COMPRESSION / SPAN) for size in parts)


def wal_show(segments: float, timelines: int = 1) -> Requests:
    """The timelines are looked for, one header is read, then every key is listed."""
    return Requests(list=timelines + 2 + pages(segments), get=1)


def deletion(keys: float) -> Requests:
    """What is deleted is listed before."""
    return Requests(list=pages(keys), delete=math.ceil(keys / PAGE))


# Money


@dataclass(frozen=True, kw_only=True)
class Prices:
    """US dollars: a GiB and month in steps (up to GiB, price), 1,000 requests, a GiB of egress."""

    name: str
    storage: Sequence[tuple[float, float]]
    put: float
    get: float
    egress: float

    def stored(self, size: float) -> float:
        """The price of a month of so many bytes."""
        total, before = 0.0, 0.0
        for limit, price in self.storage:
            step = max(0.0, min(size / GIB, limit) - before)
            total, before = total + step * price, limit
        return total

    def asked(self, requests: Requests) -> float:
        """The price of requests; deleting is free."""
        return ((requests.put + requests.list) * self.put + requests.get * self.get) / 1000


S3 = Prices(
    name="S3",
    storage=((50 << 10, 0.023), (500 << 10, 0.022), (math.inf, 0.021)),
    put=0.005,
    get=0.0004,
    egress=0.09,
)
GCS = Prices(name="GCS", storage=((math.inf, 0.020),), put=0.005, get=0.0004, egress=0.12)


# Clusters


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Equal clusters; `wal` in bytes a day, `every` and `keep` in days."""

    name: str
    clusters: int
    data: float
    wal: float
    every: int = 1
    keep: int = 14
    segment_size: int = 16 * MIB
    part_size: int = PART_SIZE

    @property
    def segments(self) -> float:
        """Segments of one cluster a day."""
        return self.wal / self.segment_size

    @property
    def backups(self) -> int:
        """Backups kept of one cluster."""
        return math.ceil(self.keep / self.every)

    @property
    def parts(self) -> list[float]:
        """Stored sizes of a backup's partitions."""
        count = math.ceil(self.data / PARTITION)
        return [self.data / COMPRESSION / count] * count

    @property
    def stored(self) -> float:
        """Bytes stored of all clusters."""
        one = self.backups * self.data + self.keep * self.wal
        return self.clusters * one / COMPRESSION

    def month(self) -> Requests:
        """All clusters: archiving, backups, deleting as much, a listing of backups a day.

        And once a month a test: the newest backup restored, with the WAL of one day.
        """
        taken = DAYS / self.every
        segments = self.segments * DAYS
        size = self.segment_size / COMPRESSION
        pushed = backup_push(self.parts, backups=self.backups, segments=1)
        return (
            wal_push(size, self.part_size) * segments
            + pushed * taken
            + deletion(segments + taken * len(self.parts))
            + backup_list(self.backups) * DAYS
            + backup_fetch(
                len(self.parts),
                spans=spans_of(self.parts),
                backups=self.backups,
                segments=int(self.segments),
            )
            + wal_fetch() * self.segments
        ) * self.clusters


TEN = Fleet(name="10 clusters", clusters=10, data=500 * GB, wal=50 * GB, keep=30)
THOUSAND = Fleet(name="1,000 clusters", clusters=1000, data=100 * GB, wal=10 * GB)
LARGE = Fleet(name="100 TB, 16 MB segments", clusters=1, data=100 * TB, wal=YEAR_WAL, every=7)
LARGE_64 = Fleet(
    name="100 TB, 64 MB segments",
    clusters=1,
    data=100 * TB,
    wal=YEAR_WAL,
    every=7,
    segment_size=64 * MIB,
    part_size=128 * MIB,
)


# Time, in seconds


def backup_time(data: float, network: float, processors: int) -> float:
    """The slower of processors and network; `network` in bytes a second."""
    return max(data / (BACKUP_RATE * processors), data / COMPRESSION / network)


def restore_time(data: float, network: float, processors: int) -> float:
    """As above, for the base backup without its WAL."""
    return max(data / (RESTORE_RATE * processors), data / COMPRESSION / network)


def fetch_time(wal: float, segment_size: int, network: float) -> float:
    """WAL fetched by the server, one segment after the other, each by a process of its own."""
    one = START + 3 * LATENCY + segment_size / COMPRESSION / network + segment_size / FETCH_RATE
    return wal / segment_size * one


def push_time(segment_size: int, network: float) -> float:
    """One segment archived, from the start of its process to its end."""
    size = segment_size / COMPRESSION
    return START + 3 * LATENCY + size / network + segment_size / PUSH_RATE


def upload_memory(workers: int, concurrency: int, part_size: int) -> int:
    """Bytes that uploads hold at most: a part being filled for each worker, and those in flight."""
    return (workers + concurrency) * part_size
