"""What an S3 server's refusal means, in our words.

Servers answer with an XML document that has a code (Amazon S3 API Reference, "Error Responses").
Three fates: PassingError for what another attempt may not meet, NotFoundError for a key that is not
there, RefusalError with the code for the rest. Whoever speaks no XML is not an S3 server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from backup_core.errors import NotFoundError, PitrError, StorageError
from backup_core.storage.retry import PassingError

_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504, 509})
_PASSING_CODES = frozenset(
    {
        "BadDigest",
        "ConditionalRequestConflict",
        "InternalError",
        "MalformedXML",  # ours is well-formed, so it was damaged on its way
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottlingException",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    }
)
_KEY_HINT = "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile."
_KEY_CODES = {
    "InvalidAccessKeyId": "the server does not know the access key",
    "SignatureDoesNotMatch": "the secret access key does not belong to the access key",
    "AuthFailure": "the access key is not accepted",
    "InvalidToken": "the session token is not accepted",
    "ExpiredToken": "the session token has expired",
    "TokenRefreshRequired": "the session token has expired",
}
NO_UPLOAD = ("NoSuchUpload", "404")
"""The codes of a refusal because there is no such upload; not every server writes a document."""
_REGION_CODES = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)


class RefusalError(StorageError):
    """The server refused; `code` is S3's name for it, or the status where it gave none."""

    def __init__(self, message: str, *, hint: str | None, code: str, status: int) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What was asked of the server: the words for a message, and the permission it needs."""

    words: str
    permission: str
    resource: str
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A refusal as it came; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def element(self, name: str) -> str:
        """The text of one element of the error document, empty if it has none."""
        match = re.search(rf"<{name}>([^<]*)</{name}>", self.body.decode(errors="replace"))
        return match[1].strip() if match else ""


def translate(answer: Answer, operation: Operation, *, url: str) -> PitrError:
    """Make the error to raise for an answer that is no success; `url` is the repository's."""
    code = answer.element("Code") or str(answer.status)
    said = answer.element("Message")
    text = f"cannot {operation.words}: {code}{': ' + said if said else ''}"
    if code in ("NoSuchKey", "NoSuchVersion"):
        return NotFoundError(f'"{operation.key}" is not in {url}')
    if answer.status in _PASSING_STATUS or code in _PASSING_CODES:
        return PassingError(text, after=_retry_after(answer))
    message, hint = _explain(answer, operation, code, text, url)
    return RefusalError(message, hint=hint, code=code, status=answer.status)


def no_etag(url: str) -> StorageError:
    """The error for a success without the object's tag, as a captive portal would give."""
    return StorageError(
        f"{url} answers a put with a success that is not S3's",
        hint="Check AWS_ENDPOINT, and what stands between this host and the store.",
    )


def redirected_region(answer: Answer) -> str | None:
    """The region in which the bucket lies, where the answer tells that it is another."""
    if answer.status not in (301, 307, 400, 403):
        return None
    code = answer.element("Code")
    if answer.body and code not in _REGION_CODES and answer.status != 301:
        return None
    return answer.headers.get("x-amz-bucket-region") or answer.element("Region") or None


def _explain(
    answer: Answer, operation: Operation, code: str, text: str, url: str
) -> tuple[str, str | None]:
    if code == "NoSuchBucket":
        return f"the bucket of {url} does not exist", "Create it, or correct the repository's URL."
    if code in _KEY_CODES:
        return f"cannot {operation.words}: {_KEY_CODES[code]}", _KEY_HINT
    if code == "RequestTimeTooSkewed":
        return f"cannot {operation.words}: {_skew(answer)}", "Set this host's clock (NTP)."
    if code in _REGION_CODES or answer.status in (301, 307):
        region = answer.headers.get("x-amz-bucket-region") or answer.element("Region")
        return (
            f"the bucket of {url} lies in another region{': ' + region if region else ''}",
            f"Set AWS_REGION{'=' + region if region else ' to the region of the bucket'}.",
        )
    if answer.status == 403:
        return _denied(operation, text)
    if answer.body and b"<Error" not in answer.body:
        said = _first_words(answer.body)
        return (
            f'cannot {operation.words}: {answer.status}, in other words than S3\'s: "{said}"',
            "It may not be an S3 server: check AWS_ENDPOINT and AWS_S3_FORCE_PATH_STYLE.",
        )
    return text, None


def _first_words(body: bytes) -> str:
    line = body.decode(errors="replace").strip().partition("\n")[0]
    return "".join(filter(str.isprintable, line))[:80]


def _denied(operation: Operation, text: str) -> tuple[str, str]:
    hint = f"Allow {operation.permission} on {operation.resource}"
    if operation.permission == "s3:GetObject":
        hint += "; for an object that does not exist, S3 says this unless s3:ListBucket is allowed"
    return text, f"{hint}."


def _skew(answer: Answer) -> str:
    try:
        there = parsedate_to_datetime(answer.headers.get("date", ""))
        seconds = (datetime.now(UTC) - there).total_seconds()
    except (TypeError, ValueError):
        return "this host's clock is wrong"
    return f"this host's clock is {abs(seconds):.0f} s {'ahead' if seconds > 0 else 'behind'}"


def _retry_after(answer: Answer) -> float:
    text = answer.headers.get("retry-after", "")
    return min(float(text), 60.0) if text.isdecimal() else 0.0
