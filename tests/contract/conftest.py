"""One fixture a store; servers run once a test process, and each test has a prefix of its own.

The faulty stores are the same real servers behind a network that harms some of the requests in one
way; a store keeps its promises there too, only later.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from backup_core.storage.base import Storage
from backup_core.storage.file import FileStorage
from backup_core.storage.memory import MemoryStorage
from backup_core.storage.options import GcsOptions, S3Options, StoreOptions
from backup_core.storage.registry import open_storage
from tests.support.fakegcs import FakeGCS, fake_gcs
from tests.support.faults import (
    Answer,
    Corrupt,
    Delay,
    Drop,
    Schedule,
    StripHeader,
    Truncate,
    always,
    often,
)
from tests.support.gcs_stub import BUCKET as STUB_BUCKET
from tests.support.gcs_stub import QUANTUM, gcs_stub
from tests.support.proxy import FaultProxy
from tests.support.seaweed import REGION, SeaweedFS, seaweed

MIB = 1 << 20
FAULTS: dict[str, Schedule] = {
    "slow_down": often(0.15, Answer(status=503, body=b"<Error><Code>SlowDown</Code></Error>")),
    "throttle": often(0.15, Answer(status=429, read_body=False)),
    "error": often(0.15, Answer(status=500, body=b"<Error><Code>InternalError</Code></Error>")),
    "cut_request": often(0.15, Drop(after_request_bytes=10)),
    "lost_answer": often(0.15, Drop()),
    "cut_answer": often(0.15, Drop(after_response_bytes=5)),
    "short_answer": often(0.15, Truncate(after_response_bytes=5)),
    "flipped_request": often(0.15, Corrupt(request_offset=3)),
    "delay": often(0.15, Delay(seconds=0.05)),
}
_numbers = count()


@pytest.fixture
def memory_store() -> Storage:
    """Objects in memory."""
    return MemoryStorage()


@pytest.fixture
def file_store(tmp_path: Path) -> Storage:
    """Objects in a directory."""
    return FileStorage(tmp_path)


@pytest.fixture
def s3_store(seaweed_server: SeaweedFS) -> Storage:
    """Objects in SeaweedFS, in parts of the least size that S3 allows."""
    return s3_at(seaweed_server, seaweed_server.url)


@pytest.fixture
def s3_unconditional_store(seaweed_server: SeaweedFS) -> Iterator[Storage]:
    """The same without If-None-Match, which is found out when the first small object is made."""
    with behind(seaweed_server, always(StripHeader(name="if-none-match"))) as store:
        store.put("probe", [b""], if_absent=True)
        store.delete(["probe"])
        yield store


@pytest.fixture
def gcs_store(gcs_server: FakeGCS) -> Storage:
    """Objects in fake-gcs-server, in single requests: it lets resumable uploads overwrite."""
    return gcs_at(gcs_server.url, gcs_server.bucket, 16 * MIB)


@pytest.fixture
def gcs_resumable_store() -> Iterator[Storage]:
    """Objects in a server of ours that answers as documented, in chunks of the least size."""
    with gcs_stub() as server:
        yield gcs_at(server.url, STUB_BUCKET, QUANTUM)


@pytest.fixture(scope="session")
def seaweed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """An S3 server for all tests of the process."""
    with seaweed(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeGCS]:
    """A GCS server for all tests of the process."""
    with fake_gcs(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@contextmanager
def behind(server: SeaweedFS, schedule: Schedule) -> Iterator[Storage]:
    """A store whose requests pass through a proxy with this schedule."""
    with FaultProxy(server.url, schedule) as proxy:
        yield s3_at(server, proxy.url)


def s3_at(server: SeaweedFS, endpoint: str) -> Storage:
    """A fresh prefix of the server's bucket, reached at an endpoint."""
    s3 = S3Options(
        endpoint=endpoint,
        region=REGION,
        access_key_id=server.access_key,
        secret_access_key=server.secret_key,
        part_size=5 * MIB,
    )
    return open_storage(f"s3://{server.bucket}/contract-{next(_numbers)}", StoreOptions(s3=s3))


def gcs_at(url: str, bucket: str, chunk_size: int) -> Storage:
    """A fresh prefix of a bucket in an emulator."""
    gcs = GcsOptions(emulator=url, chunk_size=chunk_size)
    return open_storage(f"gs://{bucket}/contract-{next(_numbers)}", StoreOptions(gcs=gcs))
