"""Creating what must not be there, on servers that can do it, cannot, or say nothing."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import pytest

from backup_core.errors import AlreadyExistsError, StorageError
from backup_core.storage.base import Storage
from backup_core.storage.options import S3Options, StoreOptions
from backup_core.storage.registry import open_storage
from backup_core.storage.retry import PassingError
from backup_core.storage.s3 import conditional
from backup_core.storage.s3.errors import RefusalError
from tests.support.faults import Answer
from tests.support.scripted import Asked, replying, serving

MODIFIED = "Sun, 22 Nov 2026 12:00:00 GMT"
TAKEN = Answer(status=412, body=b"<Error><Code>PreconditionFailed</Code></Error>")
UNKNOWN = Answer(status=501, body=b"<Error><Code>NotImplemented</Code></Error>")
BUSY = Answer(status=503, body=b"<Error><Code>SlowDown</Code></Error>")
GONE = Answer(status=404, body=b"<Error><Code>NoSuchUpload</Code></Error>")
ABSENT = Answer(status=404, body=b"<Error><Code>NoSuchKey</Code></Error>")
Decide = Callable[[Asked, bool], Answer | None]


class Bucket:
    """A small S3 server; `decide` answers a put instead, told whether the key exists."""

    def __init__(self, decide: Decide) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.uploads: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.puts: list[str] = []
        self.lost_answers = 0
        self._decide = decide
        self._lock = threading.Lock()

    def reply(self, asked: Asked) -> Answer:
        """Answer one request."""
        with self._lock:
            parts = urlsplit(asked.path)
            key = unquote(parts.path).removeprefix("/bucket/")
            query = parse_qs(parts.query, keep_blank_values=True)
            if "uploads" in query or "uploadId" in query:
                return self._upload(key, query.get("uploadId", [""])[0], asked)
            if asked.method == "PUT":
                return self._create(key, asked, asked.body, asked.headers)
            if asked.method == "POST":
                for each in ElementTree.fromstring(asked.body).iterfind("Object/Key"):
                    self.objects.pop(each.text or "", None)
                return Answer(status=200, body=b"<DeleteResult/>")
            return self._get(key) if key else self._list(asked)

    def _upload(self, key: str, upload: str, asked: Asked) -> Answer:
        """An upload of one part: begun, sent, then completed or aborted."""
        if not upload:
            self.uploads[key] = b"", dict(asked.headers)
            return Answer(status=200, body=f"<r><UploadId>of {key}</UploadId></r>".encode())
        if key not in self.uploads:
            return GONE
        body, headers = self.uploads[key]
        if asked.method == "PUT":
            self.uploads[key] = asked.body, headers
            return Answer(status=200, headers={"ETag": '"0"'})
        if asked.method == "DELETE":
            del self.uploads[key]
            return Answer(status=204)
        answer = self._create(key, asked, body, headers)
        if answer.status == 200:
            del self.uploads[key]
        return answer

    def _create(self, key: str, asked: Asked, body: bytes, headers: Mapping[str, str]) -> Answer:
        self.puts.append(key)
        instead = self._decide(asked, key in self.objects)
        if instead is None:
            kept = {name: each for name, each in headers.items() if "-meta-" in name}
            self.objects[key] = body, kept
        if self.lost_answers:
            self.lost_answers -= 1
            return BUSY
        return instead or Answer(status=200, headers={"ETag": '"0"'})

    def _get(self, key: str) -> Answer:
        if key not in self.objects:
            return ABSENT
        body, headers = self.objects[key]
        return Answer(status=200, body=body, headers={"Last-Modified": MODIFIED, **headers})

    def _list(self, asked: Asked) -> Answer:
        (prefix,) = parse_qs(urlsplit(asked.path).query)["prefix"]
        entries = "".join(
            f"<Contents><Key>{key}</Key><Size>0</Size>"
            "<LastModified>2026-11-22T12:00:00Z</LastModified></Contents>"
            for key in sorted(self.objects)
            if key.startswith(prefix)
        )
        return Answer(status=200, body=f"<ListBucketResult>{entries}</ListBucketResult>".encode())


@contextmanager
def serving_bucket(decide: Decide) -> Iterator[tuple[Bucket, Callable[[], Storage]]]:
    """A server, and what opens the repository in it as another process would."""
    bucket = Bucket(decide)
    with serving(replying(bucket.reply)) as server:

        def opened() -> Storage:
            s3 = S3Options(
                endpoint=server.url.rstrip("/"), access_key_id="key", secret_access_key="secret"
            )
            return open_storage("s3://bucket", StoreOptions(s3=s3, max_retries=1))

        yield bucket, opened


def is_conditional(asked: Asked) -> bool:
    """Whether the request must not overwrite."""
    return asked.headers.get("if-none-match") == "*"


def honouring(asked: Asked, exists: bool) -> Answer | None:
    """As AWS does it."""
    return TAKEN if is_conditional(asked) and exists else None


def ignoring(asked: Asked, exists: bool) -> Answer | None:
    """As a server that has never heard of the header."""
    return None


def refusing(asked: Asked, exists: bool) -> Answer | None:
    """As a server that says that it does not know the header."""
    return UNKNOWN if is_conditional(asked) else None


def denying(asked: Asked, exists: bool) -> Answer | None:
    """As a server where this key may not write."""
    return Answer(status=403, body=b"<Error><Code>AccessDenied</Code></Error>")


class TestServers:
    def test_a_server_that_honours_the_header_is_asked_twice_once(self) -> None:
        """The first small object proves it; the next ones cost one request."""
        with serving_bucket(honouring) as (bucket, opened):
            store = opened()
            store.put("a", [b"1"], if_absent=True)
            store.put("b", [b"1"], if_absent=True)
            with pytest.raises(AlreadyExistsError):
                store.put("a", [b"2"], if_absent=True)
        assert bucket.puts == ["a", "a", "b", "a"]
        assert bucket.objects["a"][0] == b"1"

    @pytest.mark.parametrize("server", [ignoring, refusing])
    def test_creation_is_exclusive_without_the_header_too(self, server: Decide) -> None:
        """What is there stays, and no claim is left behind."""
        with serving_bucket(server) as (bucket, opened):
            store = opened()
            store.put("a", [b"1"], if_absent=True)
            with pytest.raises(AlreadyExistsError, match='"a" exists already'):
                store.put("a", [b"2"], if_absent=True)
            assert {key: body for key, (body, _) in bucket.objects.items()} == {"a": b"1"}
            assert bucket.uploads == {}

    def test_what_was_found_out_is_told_to_other_processes(self) -> None:
        """Who reads the first object knows what its writer knew."""
        with serving_bucket(ignoring) as (bucket, opened):
            opened().put("a", [b"1"], if_absent=True)
            later = opened()
            later.stat("a")
            with pytest.raises(AlreadyExistsError):
                later.put("a", [b"2"], if_absent=True)
            assert bucket.objects["a"][0] == b"1"

    def test_the_operator_is_warned_once(self, caplog: pytest.LogCaptureFixture) -> None:
        """That claims are slower and what to do about it."""
        with serving_bucket(ignoring) as (_, opened):
            store = opened()
            for key in ("a", "b", "c"):
                store.put(key, [b"1"], if_absent=True)
        assert [each.message for each in caplog.records if "ignores" in each.message] != []
        assert len([each for each in caplog.records if "ignores" in each.message]) == 1

    def test_trouble_with_the_proof_does_not_undo_the_creation(self) -> None:
        """The object is there: to fail now would make its own writer an enemy."""

        def troubled(asked: Asked, exists: bool) -> Answer | None:
            return BUSY if exists else None

        with serving_bucket(troubled) as (bucket, opened):
            opened().put("a", [b"1"], if_absent=True)
            assert bucket.objects["a"][0] == b"1"

    def test_a_lost_answer_is_not_taken_for_a_lost_race(self) -> None:
        """The refusal of the second attempt is due to the first, which was our own."""
        with serving_bucket(honouring) as (bucket, opened):
            bucket.lost_answers = 1
            opened().put("a", [b"1"], if_absent=True)
            assert bucket.objects["a"][0] == b"1"
            bucket.lost_answers = 1
            with pytest.raises(AlreadyExistsError):
                opened().put("a", [b"2"], if_absent=True)

    def test_a_refusal_of_another_kind_is_passed_on(self) -> None:
        """It says nothing about whether the key exists."""
        with serving_bucket(denying) as (_, opened):
            with pytest.raises(StorageError, match="AccessDenied") as raised:
                opened().put("a", [b"1"], if_absent=True)
            assert not isinstance(raised.value, AlreadyExistsError)


class TestProof:
    @pytest.mark.parametrize("code", ["PreconditionFailed", "412"])
    def test_a_refusal_proves_the_condition(self, code: str) -> None:
        """With a document, and without."""

        def again() -> None:
            raise RefusalError("exists", hint=None, code=code, status=412)

        assert conditional.honours_condition(again) is True

    def test_a_success_disproves_it(self) -> None:
        """The object was overwritten by itself."""
        assert conditional.honours_condition(lambda: None) is False

    @pytest.mark.parametrize(
        "error",
        [
            RefusalError("denied", hint=None, code="AccessDenied", status=403),
            PassingError("busy"),
            StorageError("busy (tried 15 times)"),
        ],
        ids=["refusal", "trouble", "long-trouble"],
    )
    def test_trouble_proves_nothing(self, error: StorageError) -> None:
        """The next creation asks again."""

        def again() -> None:
            raise error

        assert conditional.honours_condition(again) is None
