"""A server of ours, empty for each test, and stores in it with chunks of the least size."""

from collections.abc import Iterator
from typing import Any

import pytest

from backup_core.storage.base import Storage
from backup_core.storage.options import GcsOptions, StoreOptions
from backup_core.storage.registry import open_storage
from tests.support.gcs_stub import BUCKET, QUANTUM, GcsStub, gcs_stub

CHUNK = QUANTUM


@pytest.fixture
def stub() -> Iterator[GcsStub]:
    """A server with an empty bucket."""
    with gcs_stub() as running:
        yield running


@pytest.fixture
def store(stub: GcsStub) -> Storage:
    """A repository in its bucket."""
    return store_at(stub.url)


def store_at(url: str, **gcs: Any) -> Storage:
    """The repository, reached at this address."""
    return open_storage(f"gs://{BUCKET}/main", options(url, **gcs))


def options(url: str, *, factor: int = 1, **gcs: Any) -> StoreOptions:
    """How it is reached, with little patience, in chunks of so many times the least size."""
    return StoreOptions(
        gcs=GcsOptions(emulator=url, chunk_size=factor * CHUNK, **gcs),
        retry_timeout=10.0,
        max_retries=4,
    )
