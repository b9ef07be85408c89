"""What an answer means: whether to try again, what is missing, and what the operator is told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import NotFoundError, PitrError, StorageError
from backup_core.storage.gcs.errors import (
    CHECKSUM,
    CREATE,
    DELETE,
    GET,
    LIST,
    UNCLEAR,
    Answer,
    Operation,
    RefusalError,
    translate,
)
from backup_core.storage.retry import PassingError

URL = "gs://bucket/main"
READ = Operation(words="read gs://bucket/main/key", permission=GET, bucket="bucket", key="main/key")
WRITE = Operation(
    words="write gs://bucket/main/key", permission=CREATE, bucket="bucket", key="main/key"
)
LISTING = Operation(words="list gs://bucket/main/", permission=LIST, bucket="bucket")


def refused(status: int, said: str = "", reason: str = "", **headers: str) -> Answer:
    """An answer in the API's own form."""
    error = {"code": status, "message": said, "errors": [{"reason": reason, "message": said}]}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=named, body=json.dumps({"error": error}).encode())


def plain(status: int, body: bytes = b"") -> Answer:
    """An answer in other words."""
    return Answer(status=status, headers={}, body=body)


def told(answer: Answer, operation: Operation = READ) -> PitrError:
    """The error that an answer becomes."""
    return translate(answer, operation, url=URL)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", b"<html>Bad Gateway</html>", b'{"error": {"code": 503}}'])
def test_a_server_in_trouble_is_tried_again(status: int, body: bytes) -> None:
    """The status says so, whatever else is said."""
    assert isinstance(told(plain(status, body)), PassingError)


@pytest.mark.parametrize("reason", ["rateLimitExceeded", "userRateLimitExceeded"])
def test_a_rate_limit_that_comes_as_403_is_tried_again(reason: str) -> None:
    """The same status as a missing permission, told apart by its reason."""
    assert isinstance(told(refused(403, "Rate limit exceeded", reason)), PassingError)


def test_the_server_may_ask_for_a_pause() -> None:
    """Retry-After is kept to, up to a minute."""
    error = told(refused(429, "slow down", retry_after="7"))
    assert isinstance(error, PassingError)
    assert error.after == 7.0


@pytest.mark.parametrize(
    "answer",
    [
        refused(404, "No such object: bucket/main/key", "notFound"),
        plain(404, b"No such object: bucket/main/key"),
    ],
)
def test_an_object_that_the_server_says_is_missing(answer: Answer) -> None:
    """Only this sentence proves that the object is not there, as a document or as bare text."""
    error = told(answer)
    assert isinstance(error, NotFoundError)
    assert error.message == '"main/key" is not in gs://bucket/main'


@pytest.mark.parametrize(
    ("answer", "operation"),
    [
        (refused(404, "The specified bucket does not exist.", "notFound"), READ),
        (plain(404, b"The specified bucket does not exist."), READ),
        (refused(404, "Not Found", "notFound"), LISTING),
        (refused(404, "Not Found", "notFound"), WRITE),
    ],
)
def test_a_missing_bucket_is_never_a_missing_object(answer: Answer, operation: Operation) -> None:
    """A restore must not take it for the end of the archive."""
    error = told(answer, operation)
    assert isinstance(error, RefusalError)
    assert error.message == "the bucket of gs://bucket/main does not exist"


def test_a_404_that_names_nothing_proves_nothing() -> None:
    """It is left to the client to find out what is missing."""
    error = told(refused(404, "Not Found", "notFound"))
    assert isinstance(error, RefusalError)
    assert error.reason == UNCLEAR


@pytest.mark.parametrize(
    ("operation", "said", "permission"),
    [
        (WRITE, "denied", "storage.objects.create"),
        (READ, "denied", "storage.objects.get"),
        (LISTING, "denied", "storage.objects.list"),
        (WRITE, "a@b does not have storage.objects.delete access", "storage.objects.delete"),
        (READ, "a@b does not have storage.objects.list access", "storage.objects.list"),
    ],
)
def test_the_missing_permission_is_named(operation: Operation, said: str, permission: str) -> None:
    """The one that the server names, which for a replacement is that to delete."""
    error = told(refused(403, said, "forbidden"), operation)
    assert error.hint is not None
    assert f"Allow {permission} on the bucket bucket" in error.hint


def test_a_retention_policy_is_no_missing_permission() -> None:
    """Nobody can be allowed to delete what is retained."""
    said = "Object 'bucket/key' is subject to bucket's retention policy and cannot be deleted"
    error = told(refused(403, said, "retentionPolicyNotMet"))
    assert error.hint is not None
    assert "retention policy" in error.hint
    assert "Allow" not in error.hint


def test_a_wrong_checksum_is_told_from_other_bad_requests() -> None:
    """What was damaged on its way may be sent again; a bad request stays one."""
    damaged = told(refused(400, 'Provided CRC32C "a" doesn\'t match calculated CRC32C "b".'), WRITE)
    bad = told(refused(400, "Invalid argument.", "invalid"), WRITE)
    assert isinstance(damaged, RefusalError)
    assert isinstance(bad, RefusalError)
    assert (damaged.reason, bad.reason) == (CHECKSUM, "invalid")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("customerEncryptionKeyIsIncorrect", "The provided encryption key is incorrect."),
        ("customerEncryptionKeySha256IsInvalid", "The provided key's SHA256 hash is wrong."),
        ("resourceIsEncryptedWithCustomerEncryptionKey", "The target object is encrypted."),
    ],
)
def test_a_wrong_key_of_the_customer_points_at_its_setting(reason: str, said: str) -> None:
    """The server holds bytes that it cannot read without the key."""
    error = told(refused(400, said, reason))
    assert error.hint is not None
    assert "GCS_ENCRYPTION_KEY" in error.hint


@pytest.mark.parametrize("status", [301, 400, 404, 405])
def test_another_kind_of_server_is_quoted(status: int) -> None:
    """Whoever answers in HTML is not Google Cloud Storage; its first words tell who it is."""
    error = told(plain(status, b"<html>Welcome to the router\n</html>"), LISTING)
    assert "Welcome to the router" in error.message
    assert error.hint is not None
    assert "STORAGE_EMULATOR_HOST" in error.hint


@given(status=st.integers(300, 599), body=st.binary(max_size=200))
def test_any_answer_becomes_an_error_in_one_line(status: int, body: bytes) -> None:
    """Nothing that a server can send breaks the report of it, and no garbage is a missing key."""
    error = told(plain(status, body))
    assert isinstance(error, StorageError) or body.startswith(b"No such object")
    assert error.message.isprintable()


@given(
    document=st.recursive(
        st.none() | st.text(max_size=9) | st.integers(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["error", "errors", "message", "reason"]), inner)
        ),
        max_leaves=9,
    )
)
def test_any_document_becomes_an_error(document: object) -> None:
    """JSON of another shape is not taken for the API's."""
    assert isinstance(told(plain(403, json.dumps(document).encode())), StorageError)


def test_deletion_has_a_permission_of_its_own() -> None:
    """An archiver may lack it; the message says which one was needed."""
    operation = Operation(words="delete gs://bucket/k", permission=DELETE, bucket="bucket", key="k")
    error = told(refused(403, "denied", "forbidden"), operation)
    assert error.message == "cannot delete gs://bucket/k: 403: denied"
