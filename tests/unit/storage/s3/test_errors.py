"""What an answer means: whether to try again, and what the operator is told."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import NotFoundError, PitrError, StorageError
from backup_core.storage.retry import PassingError
from backup_core.storage.s3.errors import (
    Answer,
    Operation,
    RefusalError,
    redirected_region,
    translate,
)

URL = "s3://bucket/main"
READ = Operation(
    words="read s3://bucket/main/key",
    permission="s3:GetObject",
    resource="arn:aws:s3:::bucket/main/key",
    key="main/key",
)
WRITE = Operation(
    words="write s3://bucket/main/key",
    permission="s3:PutObject",
    resource="arn:aws:s3:::bucket/main/key",
    key="main/key",
)
HEADERS = st.dictionaries(
    st.sampled_from(["date", "retry-after", "x-amz-bucket-region"]), st.text(max_size=40)
)


def refused(status: int, code: str = "", said: str = "", **headers: str) -> Answer:
    """An answer with S3's document, or without a body if there is no code."""
    message = f"<Message>{said}</Message>" if said else ""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code>{message}</Error>" if code else ""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=named, body=body.encode())


def told(answer: Answer, operation: Operation = READ) -> PitrError:
    """The error that an answer becomes."""
    return translate(answer, operation, url=URL)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("code", ["", "InternalError", "Whatever"])
def test_a_server_in_trouble_is_tried_again(status: int, code: str) -> None:
    """The status says so, whatever the document does."""
    assert isinstance(told(refused(status, code)), PassingError)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "RequestTimeout"),
        (400, "BadDigest"),
        (400, "XAmzContentSHA256Mismatch"),
        (409, "OperationAborted"),
        (409, "ConditionalRequestConflict"),
        (200, "InternalError"),
        (200, "SlowDown"),
    ],
)
def test_trouble_with_another_status_is_tried_again(status: int, code: str) -> None:
    """Bytes that were harmed on their way, and failures within an answer of 200."""
    assert isinstance(told(refused(status, code)), PassingError)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), ("0", 0.0), ("86400", 60.0), ("soon", 0.0), ("-1", 0.0), ("²", 0.0), ("", 0.0)],
)
def test_the_pause_that_is_asked_for_is_bounded(text: str, seconds: float) -> None:
    """A minute is the longest that a server may ask for at a time."""
    error = told(refused(503, "SlowDown", retry_after=text))
    assert isinstance(error, PassingError)
    assert error.after == seconds


@pytest.mark.parametrize("code", ["NoSuchKey", "NoSuchVersion"])
def test_a_missing_key_is_no_trouble_of_the_store(code: str) -> None:
    """It is named, and where it was looked for."""
    error = told(refused(404, code))
    assert isinstance(error, NotFoundError)
    assert error.message == '"main/key" is not in s3://bucket/main'


@pytest.mark.parametrize(
    "answer",
    [refused(404), refused(404, "NoSuchBucket"), refused(404, "NotFound"), refused(403)],
    ids=["nothing", "bucket", "other", "denied"],
)
def test_nothing_but_its_code_proves_that_a_key_is_missing(answer: Answer) -> None:
    """A proxy's 404, or a bucket that is not there, must never look like an absent object."""
    assert isinstance(told(answer), RefusalError)


def test_a_missing_bucket_is_said() -> None:
    """With what to do about it."""
    error = told(refused(404, "NoSuchBucket", "The specified bucket does not exist"))
    assert error.message == "the bucket of s3://bucket/main does not exist"
    assert "Create it" in (error.hint or "")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("InvalidAccessKeyId", "does not know the access key"),
        ("SignatureDoesNotMatch", "secret access key does not belong"),
        ("ExpiredToken", "session token has expired"),
        ("InvalidToken", "session token is not accepted"),
    ],
)
def test_a_key_that_is_refused_is_said_in_words(code: str, words: str) -> None:
    """And the settings that hold it are named."""
    error = told(refused(403, code))
    assert words in error.message
    assert "AWS_SECRET_ACCESS_KEY" in (error.hint or "")


def test_a_denied_write_names_the_permission_and_the_resource() -> None:
    """The hint can be copied into a policy."""
    error = told(refused(403, "AccessDenied", "Access Denied"), WRITE)
    assert error.message == "cannot write s3://bucket/main/key: AccessDenied: Access Denied"
    assert error.hint == "Allow s3:PutObject on arn:aws:s3:::bucket/main/key."


def test_a_denied_read_may_be_a_missing_key() -> None:
    """S3 hides from those who may not list whether an object exists."""
    error = told(refused(403, "AccessDenied"))
    assert isinstance(error, RefusalError)
    assert "s3:ListBucket" in (error.hint or "")


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(20, "20 minutes behind"), (-20, "20 minutes ahead")],
    ids=["behind", "ahead"],
)
def test_a_wrong_clock_is_told_by_how_much(minutes: int, words: str) -> None:
    """The server's date is in its answer."""
    there = datetime.now(UTC) + timedelta(minutes=minutes)
    answer = refused(403, "RequestTimeTooSkewed", date=format_datetime(there, usegmt=True))
    error = told(answer)
    direction = words.rpartition(" ")[2]
    assert direction in error.message
    assert any(f"{seconds} s" in error.message for seconds in (1199, 1200, 1201))
    assert "NTP" in (error.hint or "")


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 23 Nov 2026 02:36:27 -0000"])
def test_a_wrong_clock_is_told_without_a_date_too(date: str) -> None:
    """A date that cannot be read, or has no zone, is no reason to fail in another way."""
    error = told(refused(403, "RequestTimeTooSkewed", date=date))
    assert "this host's clock is wrong" in error.message


def test_a_bucket_elsewhere_is_said_with_its_region() -> None:
    """What to set is in the hint."""
    error = told(refused(301, "PermanentRedirect", x_amz_bucket_region="eu-west-1"))
    assert "lies in another region: eu-west-1" in error.message
    assert error.hint == "Set AWS_REGION=eu-west-1."


def test_whoever_does_not_speak_s3_is_quoted() -> None:
    """The first words of a page tell more than its status."""
    page = b"<html><h1>nginx says no</h1>\n<p>more</p></html>"
    error = told(Answer(status=405, headers={}, body=page))
    assert "nginx says no" in error.message
    assert "more" not in error.message
    assert "may not be an S3 server" in (error.hint or "")


def test_an_unknown_refusal_is_passed_on() -> None:
    """Code and message as the server has them."""
    error = told(refused(400, "InvalidStorageClass", "No such class"), WRITE)
    assert error.message == (
        "cannot write s3://bucket/main/key: InvalidStorageClass: No such class"
    )
    assert isinstance(error, RefusalError)
    assert (error.code, error.status) == ("InvalidStorageClass", 400)


@pytest.mark.parametrize(
    ("answer", "region"),
    [
        (refused(301, "PermanentRedirect", x_amz_bucket_region="eu-west-1"), "eu-west-1"),
        (refused(301, x_amz_bucket_region="eu-west-1"), "eu-west-1"),
        (refused(400, x_amz_bucket_region="eu-west-1"), "eu-west-1"),
        (refused(400, "AuthorizationHeaderMalformed", x_amz_bucket_region="r"), "r"),
        (refused(301, "PermanentRedirect"), None),
        (refused(403, "AccessDenied", x_amz_bucket_region="eu-west-1"), None),
        (refused(404, "NoSuchKey", x_amz_bucket_region="eu-west-1"), None),
        (refused(503, "SlowDown", x_amz_bucket_region="eu-west-1"), None),
    ],
)
def test_only_a_refusal_for_the_region_leads_to_another(answer: Answer, region: str | None) -> None:
    """S3 tells the region also where it is not the trouble."""
    assert redirected_region(answer) == region


def test_the_region_may_be_in_the_document() -> None:
    """Where no header has it."""
    body = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"
    assert redirected_region(Answer(status=400, headers={}, body=body)) == "eu-west-1"


@given(
    status=st.integers(300, 599),
    headers=HEADERS,
    body=st.binary(max_size=200) | st.sampled_from([b"<Error>", b"<Error><Code></Code>"]),
    operation=st.sampled_from([READ, WRITE]),
)
def test_any_answer_becomes_an_error_in_one_line(
    status: int, headers: dict[str, str], body: bytes, operation: Operation
) -> None:
    """Whatever a server says, the trouble is reported and names what was asked."""
    error = told(Answer(status=status, headers=headers, body=body), operation)
    assert isinstance(error, StorageError | NotFoundError)
    assert "bucket" in error.message
    assert not isinstance(error, NotFoundError)
