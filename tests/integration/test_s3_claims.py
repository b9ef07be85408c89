"""Writers that stall while they have a claim: cut off for good, or only late.

On SeaweedFS, which honours If-None-Match but for a moment, and behind a network that keeps the
header from it, as a server that has never heard of it.
"""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from backup_core.errors import StorageError
from backup_core.storage.base import Storage
from backup_core.storage.options import S3Options, StoreOptions
from backup_core.storage.registry import open_storage
from backup_core.storage.s3 import claims
from tests.support.faults import Drop, Fault, SeenRequest, StripHeader
from tests.support.proxy import FaultProxy
from tests.support.seaweed import REGION, SeaweedFS

MIB = 1 << 20
SMALL, LARGE = 1 * MIB, 6 * MIB
STRIP = StripHeader(name="if-none-match")
Fails = Callable[[SeenRequest], Fault | None]


class Site:
    """One prefix, which each writer reaches by a network of its own."""

    def __init__(self, server: SeaweedFS, prefix: str, network: Fault | None) -> None:
        self._server = server
        self._prefix = prefix
        self._network = network

    @contextmanager
    def writer(self, fails: Fails = lambda _: None) -> Iterator[Storage]:
        """Another process: it has read the repository's identity, and then its network `fails`."""
        with FaultProxy(self._server.url, lambda _: self._network) as proxy:
            s3 = S3Options(
                endpoint=proxy.url,
                region=REGION,
                access_key_id=self._server.access_key,
                secret_access_key=self._server.secret_key,
                part_size=5 * MIB,
            )
            options = StoreOptions(s3=s3, retry_timeout=0.2)
            store = open_storage(f"s3://{self._server.bucket}/{self._prefix}", options)
            if not list(store.list("identity")):
                store.put("identity", [b"ours"], if_absent=True)
            store.stat("identity")
            proxy.schedule = lambda request: fails(request) or self._network
            yield store

    def uploads(self) -> list[str]:
        """The keys of uploads that were neither completed nor aborted."""
        client = self._server.client()
        found = client.list_multipart_uploads(Bucket=self._server.bucket).get("Uploads", [])
        client.close()
        return [each["Key"] for each in found if each["Key"].startswith(self._prefix)]


@pytest.fixture(params=[None, STRIP], ids=["honoured", "ignored"])
def site(request: pytest.FixtureRequest, server: SeaweedFS, tmp_path: Path) -> Site:
    """A prefix on a server that honours If-None-Match, or does not."""
    return Site(server, tmp_path.name, request.param)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second is long."""
    monkeypatch.setattr(claims, "PASSED_AFTER", timedelta(seconds=1))
    monkeypatch.setattr(claims, "FENCED_AFTER", timedelta(seconds=1))


def is_completion(request: SeenRequest) -> bool:
    """Whether the request makes an object of an upload."""
    return request.method == "POST" and "uploadId=" in request.path


def content(store: Storage) -> bytes:
    """What stands under the key at last; no claim is left."""
    assert list(store.list("pitr/claims/")) == []
    return b"".join(store.get("key"))


def test_a_writer_that_was_cut_off_holds_nobody_up(site: Site) -> None:
    """His network fails for good when he is about to complete; another takes his turn."""
    cut = threading.Event()

    def fails(request: SeenRequest) -> Fault | None:
        if is_completion(request):
            cut.set()
        return Drop(after_request_bytes=0) if cut.is_set() else None

    data = os.urandom(LARGE)
    with site.writer(fails) as cut_off, site.writer() as other:
        with pytest.raises(StorageError, match="no connection"):
            cut_off.put("key", [bytes(LARGE)], if_absent=True)
        assert len(list(other.list("pitr/claims/"))) == 1
        other.put("key", [data], if_absent=True)
        assert content(other) == data


def test_a_writer_that_is_late_overwrites_nothing(site: Site) -> None:
    """His completion arrives when another, who thought him dead, has taken his turn."""
    late_writer_overwrites_nothing(site, LARGE)
    assert site.uploads() == []


def test_a_late_writer_of_a_small_object_overwrites_nothing(
    server: SeaweedFS, tmp_path: Path
) -> None:
    """A segment is one request elsewhere; here it is an upload, which can be ended."""
    late_writer_overwrites_nothing(Site(server, tmp_path.name, STRIP), SMALL)


def late_writer_overwrites_nothing(site: Site, size: int) -> None:
    """Hold one writer's completion back until another has created the object."""
    sent, arrives = threading.Event(), threading.Event()

    def fails(request: SeenRequest) -> None:
        if is_completion(request):
            sent.set()
            arrives.wait()

    data = os.urandom(size)
    with site.writer(fails) as late, site.writer() as other, ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(late.put, "key", [bytes(size)], if_absent=True)
        sent.wait()
        other.put("key", [data], if_absent=True)
        arrives.set()
        assert isinstance(outcome.exception(), StorageError)
        assert content(other) == data
