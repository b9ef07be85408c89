"""What a refusal by Google Cloud Storage means, in our words.

The server answers with a JSON document that has a message and a reason, or with the bare message
where bytes of an object were asked for (Cloud Storage JSON API, "HTTP status and error codes").
Three fates: PassingError for what another attempt may not meet, NotFoundError for an object that
the server says is not there, RefusalError for the rest. A 404 that names neither object nor bucket
is a refusal here; the client finds out which of the two is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from backup_core.errors import NotFoundError, PitrError, StorageError
from backup_core.storage.retry import PassingError

CREATE, GET = "storage.objects.create", "storage.objects.get"
LIST, DELETE = "storage.objects.list", "storage.objects.delete"
CHECKSUM, UNCLEAR = "checksum", "unclear"

_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_PASSING_REASONS = frozenset(
    {"rateLimitExceeded", "userRateLimitExceeded", "backendError", "internalError"}
)
_ENCRYPTION_REASONS = frozenset(
    {
        "customerEncryptionKeyIsIncorrect",
        "customerEncryptionKeyFormatIsInvalid",
        "customerEncryptionKeySha256IsInvalid",
        "customerEncryptionAlgorithmIsInvalid",
        "resourceIsEncryptedWithCustomerEncryptionKey",
        "resourceNotEncryptedWithCustomerEncryptionKey",
    }
)
_ROLES = {
    CREATE: "Storage Object Creator",
    GET: "Storage Object Viewer",
    LIST: "Storage Object Viewer",
    DELETE: "Storage Object User",
}


class RefusalError(StorageError):
    """The server refused; `reason` is its own name for it or one of ours, empty if it gave none."""

    def __init__(self, message: str, *, hint: str | None, status: int, reason: str) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What was asked of the server: the words for a message, and the permission it needs."""

    words: str
    permission: str
    bucket: str
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A refusal as it came; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def _error(self) -> tuple[str, str] | None:
        try:
            error = json.loads(self.body)["error"]
            reasons = [str(each.get("reason", "")) for each in error.get("errors", ())]
            return str(error.get("message", "")), reasons[0] if reasons else ""
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    @property
    def is_document(self) -> bool:
        """Whether the refusal is in the API's own form."""
        return self._error is not None

    @property
    def message(self) -> str:
        """What the server said, in one line."""
        text = self._error[0] if self._error else self.body.decode(errors="replace")
        line = text.strip().partition("\n")[0]
        return "".join(filter(str.isprintable, line))[:300]

    @property
    def reason(self) -> str:
        """The server's name for what is wrong, empty if it gave none."""
        return self._error[1] if self._error else ""


def translate(answer: Answer, operation: Operation, *, url: str) -> PitrError:
    """Make the error to raise for an answer that is no success; `url` is the repository's."""
    said = answer.message
    text = f"cannot {operation.words}: {answer.status}{': ' + said if said else ''}"
    if answer.status == 404 and said.startswith("No such object"):
        return NotFoundError(f'"{operation.key}" is not in {url}')
    if answer.status in _PASSING_STATUS or answer.reason in _PASSING_REASONS:
        return PassingError(text, after=_retry_after(answer))
    message, hint, reason = _explain(answer, operation, text, url)
    return RefusalError(message, hint=hint, status=answer.status, reason=reason)


def _explain(
    answer: Answer, operation: Operation, text: str, url: str
) -> tuple[str, str | None, str]:
    """Return the message, the hint and the reason of a refusal."""
    if answer.status == 401:
        return (
            f"cannot {operation.words}: the server does not accept the credentials",
            "Check the key file, or the service account of this host.",
            answer.reason,
        )
    if answer.status == 403:
        return text, _denied(answer, operation), answer.reason
    if answer.status == 404:
        return _missing(answer, operation, text, url)
    if answer.reason in _ENCRYPTION_REASONS:
        hint = "Check GCS_ENCRYPTION_KEY: an object is read with the key it was written with."
        return text, hint, answer.reason
    if answer.status == 400 and re.search("crc32c|md5|checksum|hash", answer.message, re.I):
        hint = "The bytes were damaged on their way: try again, and check this host if it stays so."
        return text, hint, CHECKSUM
    if answer.body and not answer.is_document:
        return _foreign(answer, operation)
    return text, None, answer.reason


def _missing(
    answer: Answer, operation: Operation, text: str, url: str
) -> tuple[str, str | None, str]:
    if answer.body.lstrip().startswith(b"<"):
        return _foreign(answer, operation)
    says_bucket = "bucket" in answer.message and "not exist" in answer.message
    if says_bucket or operation.permission in (CREATE, LIST):
        hint = "Create it, or correct the repository's URL."
        return f"the bucket of {url} does not exist", hint, "bucket"
    return text, None, UNCLEAR


def _foreign(answer: Answer, operation: Operation) -> tuple[str, str, str]:
    said = answer.message[:80]
    return (
        f'cannot {operation.words}: {answer.status}, in other words than Google\'s: "{said}"',
        "It may not be Google Cloud Storage: check STORAGE_EMULATOR_HOST and the proxy.",
        "",
    )


def _denied(answer: Answer, operation: Operation) -> str:
    if "retention" in answer.message.lower() or answer.reason == "retentionPolicyNotMet":
        return "The bucket's retention policy keeps each object for a time; wait, or change it."
    if answer.reason == "insufficientPermissions" or "scope" in answer.message:
        return "Give this host the access scope devstorage.read_write."
    named = re.search(r"storage\.[a-z]+\.[a-z]+", answer.message)
    permission = named[0] if named else operation.permission
    role = _ROLES.get(permission)
    given = f" (the role {role} has it)" if role else ""
    return f"Allow {permission} on the bucket {operation.bucket}{given}."


def _retry_after(answer: Answer) -> float:
    text = answer.headers.get("retry-after", "")
    return min(float(text), 60.0) if text.isdecimal() else 0.0
