"""What S3 can do and refuse: on a real server where it can, on one of the test's own elsewhere.

No command and no PostgreSQL: the store alone, with options as the settings make them.
"""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from backup_core.errors import NotFoundError, PitrError, StorageError
from backup_core.storage.base import Storage
from backup_core.storage.options import S3Options, StoreOptions
from backup_core.storage.registry import open_storage
from backup_core.storage.s3 import client as s3_client
from backup_core.storage.s3 import errors as s3_errors
from tests.support.certificates import Certificate, make_certificate
from tests.support.faults import Answer, Drop, Schedule, SeenRequest, at_most, only
from tests.support.proxy import FaultProxy
from tests.support.scripted import Asked, replying, serving
from tests.support.seaweed import REGION, SeaweedFS, seaweed
from tests.support.seaweed_identities import KEEPER, READER

MIB = 1 << 20
PART = 5 * MIB
CUSTOMER_KEY = bytes(range(32))
OPERATIONS: dict[str, Callable[[Storage], object]] = {
    "put": lambda store: store.put("new", [b"data"]),
    "create": lambda store: store.put("created", [b"data"], if_absent=True),
    "put-parts": lambda store: store.put("large", [bytes(2 * PART)]),
    "get": lambda store: b"".join(store.get("key")),
    "stat": lambda store: store.stat("key"),
    "list": lambda store: list(store.list()),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A server without TLS."""
    with seaweed(tmp_path_factory.mktemp("seaweed")) as running:
        yield running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """What the server with TLS shows."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def tls_server(
    tmp_path_factory: pytest.TempPathFactory, certificate: Certificate
) -> Iterator[SeaweedFS]:
    """A server with TLS."""
    with seaweed(tmp_path_factory.mktemp("seaweed"), tls=certificate) as running:
        yield running


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """The test's own place in the bucket."""
    return tmp_path.name


def options(server: SeaweedFS, **changes: Any) -> S3Options:
    """Options that lead to a server as the one who may do everything, changed."""
    usual = S3Options(
        endpoint=server.url,
        region=REGION,
        access_key_id=server.access_key,
        secret_access_key=server.secret_key,
        part_size=PART,
    )
    return replace(usual, **changes)


def opened(
    s3: S3Options, prefix: str, *, bucket: str = "backups", retry_timeout: float = 20.0
) -> Storage:
    """The repository."""
    stored = StoreOptions(s3=s3, retry_timeout=retry_timeout)
    return open_storage(f"s3://{bucket}/{prefix}", stored)


def contents(store: Storage, key: str) -> bytes:
    """The whole object."""
    return b"".join(store.get(key))


def head(server: SeaweedFS, key: str, **more: Any) -> dict[str, Any]:
    """What another client is told of an object."""
    client = server.client()
    try:
        said: dict[str, Any] = client.head_object(Bucket=server.bucket, Key=key, **more)
        return said
    finally:
        client.close()


def open_uploads(server: SeaweedFS, prefix: str) -> list[str]:
    """The keys of uploads that were neither completed nor aborted."""
    client = server.client()
    uploads = client.list_multipart_uploads(Bucket=server.bucket).get("Uploads", [])
    client.close()
    return [each["Key"] for each in uploads if each["Key"].startswith(prefix)]


def refusal(operation: Callable[[], object]) -> PitrError:
    """The error that an operation ends with."""
    with pytest.raises(PitrError) as raised:
        operation()
    return raised.value


class TestIdentities:
    def test_a_reader_reads_and_cannot_write(self, server: SeaweedFS, prefix: str) -> None:
        """The permission that is missing is in the hint."""
        opened(options(server), prefix).put("key", [b"data"])
        keys = {"access_key_id": READER.access_key, "secret_access_key": READER.secret_key}
        store = opened(options(server, **keys), prefix)
        assert contents(store, "key") == b"data"
        assert [info.key for info in store.list()] == ["key"]
        for name in ("put", "create", "put-parts"):
            error = refusal(lambda name=name: OPERATIONS[name](store))  # type: ignore[misc]
            assert "AccessDenied" in error.message
            assert "s3:PutObject" in (error.hint or "")

    def test_a_keeper_writes_and_cannot_delete(self, server: SeaweedFS, prefix: str) -> None:
        """Each key is reported with the reason, and each object stays."""
        keys = {"access_key_id": KEEPER.access_key, "secret_access_key": KEEPER.secret_key}
        store = opened(options(server, **keys), prefix)
        store.put("one", [b"1"], if_absent=True)
        store.put("two", [bytes(2 * PART)])
        outcome = store.delete(["one", "two"])
        assert all("AccessDenied" in (reason or "") for reason in outcome.values())
        assert [info.key for info in store.list()] == ["one", "two"]

    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"secret_access_key": "wrong"}, "secret access key does not belong"),
            ({"access_key_id": "wrong"}, "does not know the access key"),
        ],
        ids=["secret", "key"],
    )
    def test_a_wrong_key_is_said_whatever_is_asked(
        self, server: SeaweedFS, prefix: str, operation: str, change: dict[str, str], words: str
    ) -> None:
        """It is never taken for an absent object or an empty repository."""
        store = opened(options(server, **change), prefix)
        error = refusal(lambda: OPERATIONS[operation](store))
        assert isinstance(error, StorageError)
        assert words in error.message

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_a_missing_bucket_is_said_whatever_is_asked(
        self, server: SeaweedFS, prefix: str, operation: str
    ) -> None:
        """It is never taken for an absent object or an empty repository."""
        store = opened(options(server), prefix, bucket="no-such-bucket")
        error = refusal(lambda: OPERATIONS[operation](store))
        assert isinstance(error, StorageError)
        assert error.message.endswith("does not exist")

    @pytest.mark.parametrize(
        ("skew", "word"), [(timedelta(hours=1), "ahead"), (-timedelta(hours=1), "behind")]
    )
    def test_a_wrong_clock_is_said(
        self,
        server: SeaweedFS,
        prefix: str,
        monkeypatch: pytest.MonkeyPatch,
        skew: timedelta,
        word: str,
    ) -> None:
        """By how much, from the server's own date."""

        class Skewed(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> "Skewed":
                real = datetime.now(UTC) + skew
                return cls.fromtimestamp(real.timestamp(), tz)

        monkeypatch.setattr(s3_client, "datetime", Skewed)
        monkeypatch.setattr(s3_errors, "datetime", Skewed)
        error = refusal(lambda: opened(options(server), prefix).put("key", [b"data"]))
        assert f"s {word}" in error.message
        assert "NTP" in (error.hint or "")


class TestTls:
    def test_a_trusted_server_is_used_by_many_threads(
        self, tls_server: SeaweedFS, certificate: Certificate, prefix: str
    ) -> None:
        """Small and large objects come back whole."""
        store = opened(options(tls_server, ca_cert_file=certificate.ca_file), prefix)
        data = {f"key{n}": os.urandom(PART * 2 if n == 0 else 1000) for n in range(16)}
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: store.put(key, [data[key]], if_absent=True), data))
            assert list(pool.map(lambda key: contents(store, key), data)) == list(data.values())

    def test_another_authority_is_refused_at_once(
        self, tls_server: SeaweedFS, tmp_path: Path, prefix: str
    ) -> None:
        """Nothing is sent to whom it is not meant for."""
        stranger = make_certificate(tmp_path / "stranger")
        store = opened(options(tls_server, ca_cert_file=stranger.ca_file), prefix)
        error = refusal(lambda: store.put("key", [b"data"]))
        assert "is not trusted" in error.message
        assert "tried" not in error.message

    def test_a_customer_s_key_is_needed_to_read(
        self, tls_server: SeaweedFS, certificate: Certificate, prefix: str
    ) -> None:
        """Neither another key nor none opens what one key has closed, small or large."""
        usual = options(tls_server, ca_cert_file=certificate.ca_file)
        store = opened(replace(usual, sse_c=CUSTOMER_KEY), prefix)
        data = {"small": b"data", "large": os.urandom(2 * PART + 17)}
        for key, content in data.items():
            store.put(key, [content], if_absent=True)
            assert contents(store, key) == content
            assert b"".join(store.get(key, start=3)) == content[3:]
            assert store.stat(key).size == len(content)
            for other in (None, bytes(32)):
                stranger = opened(replace(usual, sse_c=other), prefix)
                assert isinstance(refusal(lambda: contents(stranger, key)), StorageError)  # noqa: B023


class TestFeatures:
    def test_server_side_encryption_is_asked_for(self, server: SeaweedFS, prefix: str) -> None:
        """Of small and of large objects, and nothing more is needed to read them."""
        store = opened(options(server, sse="AES256"), prefix)
        for key, content in {"small": b"data", "large": os.urandom(2 * PART)}.items():
            store.put(key, [content])
            assert head(server, f"{prefix}/{key}")["ServerSideEncryption"] == "AES256"
            assert contents(store, key) == content

    def test_a_storage_class_is_asked_for(self, server: SeaweedFS, prefix: str) -> None:
        """Of small and of large objects."""
        store = opened(options(server, storage_class="STANDARD_IA"), prefix)
        for key, content in {"small": b"data", "large": bytes(2 * PART)}.items():
            store.put(key, [content])
            assert head(server, f"{prefix}/{key}")["StorageClass"] == "STANDARD_IA"

    @pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
    def test_objects_are_locked_for_the_retention_period(
        self, server: SeaweedFS, prefix: str, mode: str
    ) -> None:
        """The server keeps each version until then, whoever asks."""
        bucket = f"locked-{mode.lower()}"
        client = server.client()
        client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
        s3 = options(server, retention_period=3600.0, retention_mode=mode)
        store = opened(s3, prefix, bucket=bucket)
        before = datetime.now(UTC)
        for key, content in {"small": b"data", "large": bytes(2 * PART)}.items():
            store.put(key, [content])
            where = {"Bucket": bucket, "Key": f"{prefix}/{key}"}
            retention = client.get_object_retention(**where)["Retention"]
            assert retention["Mode"] == mode
            until = retention["RetainUntilDate"] - before
            assert timedelta(minutes=59) < until < timedelta(minutes=61)
            version = client.head_object(**where)["VersionId"]
            with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
                client.delete_object(**where, VersionId=version)
        client.close()

    def test_additional_headers_are_sent_with_every_request(
        self, server: SeaweedFS, prefix: str
    ) -> None:
        """Signed where they are S3's."""
        headers = {"x-amz-meta-team": "databases", "X-Trace": "on"}
        with FaultProxy(server.url) as network:
            store = opened(options(server, endpoint=network.url, headers=headers), prefix)
            store.put("key", [b"data"])
            store.put("large", [bytes(2 * PART)])
            assert contents(store, "key") == b"data"
            assert len(list(store.list())) == 2
            assert {each.headers.get("x-trace") for each in network.requests} == {"on"}
        for key in ("key", "large"):
            assert head(server, f"{prefix}/{key}")["Metadata"]["team"] == "databases"

    @pytest.mark.parametrize("delimiter", [None, "/"])
    def test_both_versions_of_listing_say_the_same(
        self, server: SeaweedFS, prefix: str, delimiter: str | None
    ) -> None:
        """The first is for servers that do not know the second."""
        store = opened(options(server), prefix)
        for key in ("a-b", "a/b", "a/b-c/d", "a0", "a b", "a+b", "a%b", "é"):
            store.put(key, [key.encode()])
        old = opened(options(server, list_version=1), prefix)
        for after in (None, "a-b", "a/b", "a0"):
            second = list(store.list(delimiter=delimiter, start_after=after))
            assert second == list(old.list(delimiter=delimiter, start_after=after))
            assert second


class TestUploads:
    def test_a_large_object_has_one_checksum(self, server: SeaweedFS, prefix: str) -> None:
        """Parts of it are checked on their way, and all of it when it is put together."""
        data = os.urandom(3 * PART + 1)
        with FaultProxy(server.url) as network:
            store = opened(options(server, endpoint=network.url), prefix)
            store.put("large", iter([data[:100], data[100:]]))
            seen = network.requests
        assert contents(store_of(server, prefix), "large") == data
        parts = [each for each in seen if each.method == "PUT"]
        (completion,) = (each for each in seen if "POST" in each.method and "uploadId" in each.path)
        assert len(parts) == 4
        assert all(each.headers.get("x-amz-checksum-crc32c") for each in parts)
        assert completion.headers["x-amz-checksum-type"] == "FULL_OBJECT"
        assert completion.headers["x-amz-mp-object-size"] == str(len(data))

    def test_a_customer_s_key_is_shown_at_every_step(self, server: SeaweedFS, prefix: str) -> None:
        """S3 wants it also where parts with checksums are put together."""
        with FaultProxy(server.url) as network:
            s3 = options(server, endpoint=network.url, sse_c=CUSTOMER_KEY)
            opened(s3, prefix).put("large", [bytes(2 * PART)])
            seen = network.requests
        name = "x-amz-server-side-encryption-customer-algorithm"
        assert [each.headers.get(name) for each in seen] == ["AES256"] * 4

    def test_a_source_that_fails_leaves_nothing(self, server: SeaweedFS, prefix: str) -> None:
        """Neither an object nor an upload that somebody pays for."""

        def source() -> Iterator[bytes]:
            for _ in range(3):
                yield bytes(PART)
            raise OSError("the disk is gone")

        store = store_of(server, prefix)
        with pytest.raises(OSError, match="the disk is gone"):
            store.put("large", source())
        assert list(store.list()) == []
        assert open_uploads(server, prefix) == []

    def test_a_part_that_is_refused_leaves_nothing(self, server: SeaweedFS, prefix: str) -> None:
        """The first error is the one that is told."""
        denied = Answer(status=403, body=b"<Error><Code>AccessDenied</Code></Error>")
        with behind(server, prefix, only(is_part(3), denied)) as (store, _):
            error = refusal(lambda: store.put("large", [bytes(4 * PART)]))
        assert "AccessDenied" in error.message
        assert open_uploads(server, prefix) == []

    def test_a_completion_that_fails_in_an_answer_of_200_is_repeated(
        self, server: SeaweedFS, prefix: str
    ) -> None:
        """S3 sends the status before it knows; an hour's upload is not lost for that."""
        failed = Answer(status=200, body=b"<Error><Code>InternalError</Code></Error>")
        data = os.urandom(2 * PART)
        with behind(server, prefix, at_most(2, only(is_completion, failed))) as (store, network):
            store.put("large", [data], if_absent=True)
            assert len([each for each in network.requests if is_completion(each)]) == 3
        assert contents(store_of(server, prefix), "large") == data

    def test_a_completion_that_is_refused_in_an_answer_of_200_is_no_success(
        self, server: SeaweedFS, prefix: str
    ) -> None:
        """What is not there must not be reported as archived."""
        denied = Answer(status=200, body=b'<?xml version="1.0"?><Error><Code>NoWay</Code></Error>')
        with behind(server, prefix, only(is_completion, denied)) as (store, _):
            error = refusal(lambda: store.put("large", [bytes(2 * PART)]))
        assert "NoWay" in error.message
        assert open_uploads(server, prefix) == []
        assert list(store_of(server, prefix).list()) == []

    def test_an_upload_that_may_be_completed_is_not_aborted(
        self, server: SeaweedFS, prefix: str
    ) -> None:
        """No answer came: some servers spoil an object whose parts are removed at that moment."""
        silence = Drop(after_request_bytes=0)
        with FaultProxy(server.url, only(is_completion, silence)) as network:
            store = opened(options(server, endpoint=network.url), prefix, retry_timeout=0.5)
            refusal(lambda: store.put("large", [bytes(2 * PART)]))
            assert [each for each in network.requests if each.method == "DELETE"] == []

    def test_a_deletion_that_fails_in_an_answer_of_200_is_repeated(
        self, server: SeaweedFS, prefix: str
    ) -> None:
        """For the key that it failed for."""
        body = (
            f"<DeleteResult><Error><Key>{prefix}/one</Key><Code>InternalError</Code></Error>"
            "</DeleteResult>"
        )
        failed = Answer(status=200, body=body.encode())
        is_deletion = only(lambda request: "delete=" in request.path, failed)
        with behind(server, prefix, at_most(1, is_deletion)) as (store, _):
            store.put("one", [b"1"])
            assert store.delete(["one"]) == {"one": None}
        assert list(store_of(server, prefix).list()) == []

    def test_the_pause_that_the_server_asks_for_is_kept(
        self, server: SeaweedFS, prefix: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Retry-After, in the log too."""
        slow_down = Answer(
            status=503,
            body=b"<Error><Code>SlowDown</Code></Error>",
            headers={"Retry-After": "1"},
        )
        with behind(server, prefix, at_most(1, lambda _: slow_down)) as (store, _):
            began = datetime.now(UTC)
            store.put("one", [b"1"])
        assert datetime.now(UTC) - began >= timedelta(seconds=1)
        assert "SlowDown" in caplog.text


def store_of(server: SeaweedFS, prefix: str) -> Storage:
    """The repository, by the shortest way."""
    return opened(options(server), prefix)


@contextmanager
def behind(
    server: SeaweedFS, prefix: str, schedule: Schedule
) -> Iterator[tuple[Storage, FaultProxy]]:
    """The repository behind a network, and the network."""
    with FaultProxy(server.url, schedule) as network:
        yield opened(options(server, endpoint=network.url), prefix), network


def is_part(number: int) -> Callable[[SeenRequest], bool]:
    """Tells requests that carry a part of this number."""
    return lambda request: f"partNumber={number}&" in request.path


def is_completion(request: SeenRequest) -> bool:
    """Tell requests that complete an upload."""
    return request.method == "POST" and "uploadId=" in request.path


class TestOtherServers:
    def test_a_server_that_is_no_s3_is_said(self, tmp_path: Path, prefix: str) -> None:
        """A web server answers something, and never what would be taken for an empty repository."""

        class Files(SimpleHTTPRequestHandler):
            def __init__(self, *args: Any) -> None:
                super().__init__(*args, directory=str(tmp_path))

            def log_message(self, *args: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Files) as web:
            thread = threading.Thread(target=web.serve_forever)
            thread.start()
            s3 = S3Options(
                endpoint=f"http://127.0.0.1:{web.server_address[1]}",
                access_key_id="key",
                secret_access_key="secret",
            )
            store = opened(s3, prefix, retry_timeout=0.5)
            for name, operation in OPERATIONS.items():
                error = refusal(lambda operation=operation: operation(store))  # type: ignore[misc]
                assert isinstance(error, StorageError), name
                assert not isinstance(error, NotFoundError), name
            assert "may not be an S3 server" in (refusal(lambda: store.stat("key")).hint or "")
            web.shutdown()
            thread.join()

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_a_server_that_is_not_there_is_said(self, prefix: str, operation: str) -> None:
        """After the time that was set, with the address."""
        with serving(lambda _: None) as gone:
            endpoint = gone.url.rstrip("/")
        s3 = S3Options(endpoint=endpoint, access_key_id="key", secret_access_key="secret")
        store = opened(s3, prefix, retry_timeout=0.3)
        error = refusal(lambda: OPERATIONS[operation](store))
        assert f"no connection with {endpoint.partition('//')[2]}" in error.message
        assert "tried" in error.message


class Elsewhere:
    """A server whose bucket lies in another region, and which tells so in one of several ways."""

    def __init__(self, *, status: int, by_header: bool, code: str) -> None:
        self.regions: list[str] = []
        self._status = status
        self._by_header = by_header
        self._code = code

    def reply(self, asked: Asked) -> Answer:
        """Answer a request that is signed for the right region, refuse any other."""
        region = asked.headers["authorization"].split("/")[2]
        self.regions.append(region)
        if region == "eu-west-1":
            return Answer(status=200, body=b"data", headers={"ETag": '"0"'})
        element = "" if self._by_header else "<Region>eu-west-1</Region>"
        body = f"<Error><Code>{self._code}</Code>{element}</Error>" if self._code else ""
        headers = {"x-amz-bucket-region": "eu-west-1"} if self._by_header else {}
        return Answer(status=self._status, body=body.encode(), headers=headers)


REDIRECTS = [
    {"status": 301, "by_header": True, "code": "PermanentRedirect"},
    {"status": 400, "by_header": True, "code": "AuthorizationHeaderMalformed"},
    {"status": 400, "by_header": False, "code": "AuthorizationHeaderMalformed"},
    {"status": 301, "by_header": True, "code": ""},
    {"status": 400, "by_header": True, "code": ""},
]


class TestRegions:
    @pytest.mark.parametrize("redirect", REDIRECTS)
    @pytest.mark.parametrize("region", [None, "us-east-1"])
    def test_a_bucket_in_another_region_is_found(
        self, prefix: str, redirect: dict[str, Any], region: str | None
    ) -> None:
        """One refusal tells where it is, and is the only one."""
        elsewhere = Elsewhere(**redirect)
        with serving(replying(elsewhere.reply)) as server:
            store = opened(keys_for(server.url, region), prefix)
            store.put("key", [b"data"])
            assert contents(store, "key") == b"data"
        assert elsewhere.regions == ["us-east-1", "eu-west-1", "eu-west-1"]

    def test_many_threads_find_it_together(self, prefix: str) -> None:
        """One that hears of the region after another has set it goes there all the same."""
        elsewhere = Elsewhere(status=301, by_header=True, code="PermanentRedirect")
        barrier = threading.Barrier(8)

        def reply(asked: Asked) -> Answer:
            answer = elsewhere.reply(asked)
            if answer.status == 301:
                barrier.wait(10)
            return answer

        with serving(replying(reply)) as server, ThreadPoolExecutor(8) as pool:
            store = opened(keys_for(server.url, None), prefix)
            found = list(pool.map(lambda _: contents(store, "key"), range(8)))
        assert found == [b"data"] * 8

    def test_a_server_that_sends_around_in_circles_is_given_up(self, prefix: str) -> None:
        """With the region that it named last."""

        def reply(asked: Asked) -> Answer:
            here = asked.headers["authorization"].split("/")[2]
            there = "eu-west-1" if here == "us-east-1" else "us-east-1"
            return Answer(status=301, headers={"x-amz-bucket-region": there})

        with serving(replying(reply)) as server:
            store = opened(keys_for(server.url, None), prefix)
            error = refusal(lambda: contents(store, "key"))
        assert "lies in another region" in error.message


def keys_for(url: str, region: str | None) -> S3Options:
    """Options for a server that does not check keys."""
    return S3Options(
        endpoint=url.rstrip("/"), region=region, access_key_id="key", secret_access_key="secret"
    )
