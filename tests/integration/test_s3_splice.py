"""A new beginning for an object that S3 holds, whose rest the server copies within the bucket."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_core.errors import NotFoundError
from backup_core.storage.base import Splicer, Storage
from backup_core.storage.options import S3Options, StoreOptions
from backup_core.storage.registry import open_storage
from tests.support.faults import Drop, at_most, only
from tests.support.proxy import FaultProxy
from tests.support.seaweed import REGION, SeaweedFS, seaweed

MIB = 1 << 20
LARGE = random.Random(7).randbytes(17 * MIB + 3)
HEAD = b"another beginning"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A server of its own."""
    with seaweed(tmp_path_factory.mktemp("seaweed")) as running:
        yield running


def opened(server: SeaweedFS, prefix: str, endpoint: str | None = None) -> Storage:
    """The test's own place in the bucket."""
    s3 = S3Options(
        endpoint=endpoint or server.url,
        region=REGION,
        access_key_id=server.access_key,
        secret_access_key=server.secret_key,
        part_size=5 * MIB,
    )
    return open_storage(f"s3://{server.bucket}/{prefix}", StoreOptions(s3=s3))


def replaced(store: Storage, key: str, start: int) -> bool:
    """Whether the store did it by itself."""
    assert isinstance(store, Splicer)
    return store.replace_head(key, HEAD, start)


@pytest.mark.parametrize("start", [0, 1, 200, 5 * MIB, 7 * MIB])
def test_the_rest_follows_the_new_beginning(server: SeaweedFS, tmp_path: Path, start: int) -> None:
    """Byte for byte, wherever the old beginning ended."""
    store = opened(server, tmp_path.name)
    store.put("large", [LARGE])
    assert replaced(store, "large", start)
    assert b"".join(store.get("large")) == HEAD + LARGE[start:]


def test_the_rest_does_not_leave_the_server(server: SeaweedFS, tmp_path: Path) -> None:
    """Only the least size of a part goes up."""
    opened(server, tmp_path.name).put("large", [LARGE])
    with FaultProxy(server.url) as proxy:
        assert replaced(opened(server, tmp_path.name, proxy.url), "large", 100)
    sent = sum(int(each.headers.get("content-length", 0)) for each in proxy.requests)
    assert 5 * MIB <= sent < 6 * MIB


def test_a_small_object_is_left_to_the_caller(server: SeaweedFS, tmp_path: Path) -> None:
    """Copying within the bucket needs parts of 5 MiB; nothing is done."""
    store = opened(server, tmp_path.name)
    store.put("small", [LARGE[: 8 * MIB]])
    assert not replaced(store, "small", 100)
    assert b"".join(store.get("small")) == LARGE[: 8 * MIB]


def test_a_missing_object_is_named(server: SeaweedFS, tmp_path: Path) -> None:
    """As every verb does."""
    with pytest.raises(NotFoundError, match="absent"):
        replaced(opened(server, tmp_path.name), "absent", 0)


def test_a_lost_answer_is_no_failure(server: SeaweedFS, tmp_path: Path) -> None:
    """The upload was completed, and is unknown to the server when it is asked again."""
    store = opened(server, tmp_path.name)
    store.put("large", [LARGE])
    completing = only(
        lambda request: request.method == "POST" and "uploadId" in request.path, Drop()
    )
    with FaultProxy(server.url, at_most(1, completing)) as proxy:
        assert replaced(opened(server, tmp_path.name, proxy.url), "large", 100)
    assert b"".join(store.get("large")) == HEAD + LARGE[100:]
