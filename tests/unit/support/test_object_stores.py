"""The object stores that tests run against: real servers that start, keep, forget and refuse."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from google.cloud import storage

from tests.support.certificates import make_certificate
from tests.support.fakegcs import FakeGCS, fake_gcs
from tests.support.faults import Drop, at_most, only
from tests.support.programs import free_ports
from tests.support.proxy import FaultProxy
from tests.support.seaweed import SeaweedFS, seaweed
from tests.support.seaweed_identities import KEEPER, READER, Identity

REPOSITORY = Path(__file__).parents[3]
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A server that the tests of this module share."""
    with seaweed(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def gcs(tmp_path: Path) -> Iterator[FakeGCS]:
    """An emulator of the test's own."""
    with fake_gcs(tmp_path) as server:
        yield server


def _put(server: SeaweedFS, key: str, body: bytes = b"content", **kwargs: Any) -> None:
    server.client(**kwargs).put_object(Bucket=server.bucket, Key=key, Body=body)


def _get(server: SeaweedFS, key: str, **kwargs: Any) -> bytes:
    answer = server.client(**kwargs).get_object(Bucket=server.bucket, Key=key)
    content: bytes = answer["Body"].read()
    return content


def _bucket(server: FakeGCS, url: str | None = None) -> Any:
    client = storage.Client(
        project="test",
        client_options={"api_endpoint": url or server.url},
        use_auth_w_custom_endpoint=False,
    )
    return client.bucket(server.bucket)


# --- SeaweedFS ---


def test_an_object_comes_back_from_seaweedfs(s3: SeaweedFS) -> None:
    """Another implementation's client stores and reads it."""
    _put(s3, "a/b", b"x" * MEBIBYTE)
    assert _get(s3, "a/b") == b"x" * MEBIBYTE


def test_a_new_bucket_is_empty(tmp_path: Path) -> None:
    """Nothing is left of what the start itself has tried."""
    with seaweed(tmp_path) as server:
        listing = server.client().list_objects_v2(Bucket=server.bucket)
    assert listing["KeyCount"] == 0


def test_objects_survive_a_kill(tmp_path: Path) -> None:
    """After SIGKILL nothing answers; after the restart the same address has the same objects."""
    with seaweed(tmp_path) as server:
        _put(server, "kept")
        server.kill()
        with pytest.raises(EndpointConnectionError):
            _get(server, "kept")
        server.restart()
        assert _get(server, "kept") == b"content"
        _put(server, "later")


def test_seaweedfs_speaks_tls(tmp_path: Path) -> None:
    """Who trusts the test's authority is served."""
    with seaweed(tmp_path, tls=make_certificate(tmp_path / "tls")) as server:
        assert server.url.startswith("https://")
        assert server.environ["WALG_S3_CA_CERT_FILE"] == str(tmp_path / "tls" / "ca.pem")
        _put(server, "secret")
        assert _get(server, "secret") == b"content"


def test_a_full_store_refuses_and_keeps(tmp_path: Path) -> None:
    """Puts past the capacity fail, and what was stored before stays readable."""
    with seaweed(tmp_path, capacity_mb=4) as server:
        for number in range(4):
            _put(server, f"part-{number}", os.urandom(MEBIBYTE))
        with pytest.raises(ClientError, match="InternalError"):
            _put(server, "one-too-many", os.urandom(MEBIBYTE))
        assert len(_get(server, "part-0")) == MEBIBYTE


@pytest.mark.parametrize(
    ("identity", "forbidden"), [(READER, {"put", "delete"}), (KEEPER, {"delete"})]
)
def test_identities_may_do_what_their_names_say(
    s3: SeaweedFS, identity: Identity, forbidden: set[str]
) -> None:
    """A reader cannot put; a keeper puts but cannot delete."""
    _put(s3, "shared")
    client, where = s3.client(identity), {"Bucket": s3.bucket, "Key": "shared"}
    calls = {
        "get": lambda: client.get_object(**where),
        "list": lambda: client.list_objects_v2(Bucket=s3.bucket),
        "put": lambda: client.put_object(**where, Body=b"again"),
        "delete": lambda: client.delete_object(**where),
    }
    assert {name for name, call in calls.items() if _denied(call)} == forbidden


def _denied(call: Any) -> bool:
    try:
        call()
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "AccessDenied")
    return False


def test_buckets_do_not_come_and_go_by_accident(s3: SeaweedFS) -> None:
    """A put into a bucket that does not exist fails, and so does deleting one with objects."""
    _put(s3, "object")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.client().put_object(Bucket="unknown", Key="a", Body=b"")
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        s3.client().delete_bucket(Bucket=s3.bucket)


def test_signatures_for_the_proxy_are_accepted(s3: SeaweedFS) -> None:
    """The client signs the proxy's address, and the server sees that very Host."""
    with FaultProxy(s3.url) as proxy:
        _put(s3, "through-proxy", b"x" * MEBIBYTE, url=proxy.url)
        assert _get(s3, "through-proxy", url=proxy.url) == b"x" * MEBIBYTE
        assert proxy.requests[0].headers["host"] == f"127.0.0.1:{proxy.port}"


def test_a_lost_answer_of_a_real_store(s3: SeaweedFS) -> None:
    """The put fails for the client and has happened for the server."""
    schedule = at_most(1, only(lambda request: request.method == "PUT", Drop()))
    with FaultProxy(s3.url, schedule) as proxy:
        with pytest.raises(Exception, match="Connection"):
            _put(s3, "in-doubt", url=proxy.url)
        assert _get(s3, "in-doubt", url=proxy.url) == b"content"


# --- fake-gcs-server ---


def test_an_object_comes_back_from_the_gcs_emulator(gcs: FakeGCS) -> None:
    """Google's own client stores and reads it."""
    blob = _bucket(gcs).blob("a/b")
    blob.upload_from_string(b"content")
    assert blob.download_as_bytes() == b"content"


def test_resumable_uploads_stay_on_the_proxy(tmp_path: Path) -> None:
    """The address of an upload session leads back through what stands in front."""
    content = os.urandom(12 * MEBIBYTE)
    (port,) = free_ports(1)
    with (
        fake_gcs(tmp_path, external_url=f"http://127.0.0.1:{port}") as server,
        FaultProxy(server.url, port=port) as proxy,
    ):
        blob = _bucket(server, proxy.url).blob("big", chunk_size=4 * MEBIBYTE)
        blob.upload_from_string(content)
        assert blob.download_as_bytes() == content
        assert [request.method for request in proxy.requests].count("PUT") == 3


def test_the_gcs_emulator_is_where_its_environment_says(gcs: FakeGCS) -> None:
    """STORAGE_EMULATOR_HOST is the address, and the bucket is there."""
    url = f"{gcs.environ['STORAGE_EMULATOR_HOST']}/storage/v1/b/{gcs.bucket}"
    with urllib.request.urlopen(url, timeout=5) as answer:
        assert json.load(answer)["name"] == gcs.bucket


# --- both ---


@pytest.mark.parametrize("name", ["seaweed", "fake_gcs"])
def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path, name: str) -> None:
    """Even when that process is killed, nothing of the server stays behind."""
    module = {"seaweed": "seaweed", "fake_gcs": "fakegcs"}[name]
    script = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from tests.support.{module} import {name}
        from tests.support.processes import descendants
        with {name}(Path({str(tmp_path)!r})):
            print(*descendants(os.getpid()), flush=True)
            signal.pause()
    """)
    starter = subprocess.Popen(
        [sys.executable, "-c", script], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    with starter.stdout:
        pids = [int(word) for word in starter.stdout.readline().split()]
    assert len(pids) >= 2
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    _wait_until_gone(pids)


def _wait_until_gone(pids: list[int], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(Path(f"/proc/{pid}").exists() for pid in pids):
        time.sleep(0.02)
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
