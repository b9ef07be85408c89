"""Every error that provision raises on purpose.

    ProvisionError              1  the operation failed
    ├── UsageError              1  the command line makes no sense (2 means changes)
    ├── InputError              1  role YAML, inventory or a template is wrong; names file and line
    │   └── QuotingError        1  a value cannot be written in the place where it stands
    ├── SecretError             1  a secret cannot be read, decrypted or written
    ├── RefusedError            3  a hold, a stale plan, a precondition; nothing was changed
    ├── UnreachableError        4  a host does not answer
    │   └── HostKeyError        4  a host has another key than the pinned one, or an unknown one
    └── ApplyError              5  a host was changed and rolled back, or needs a look

The number is the exit code. Where several hosts fail in several ways, `worst` decides: an error
hides everything, a partly applied fleet hides unreachable hosts, and these hide pending changes.
Messages follow PostgreSQL's style: lower case, no full stop; the hint is a sentence.
"""

from collections.abc import Iterable

_WORST_FIRST = (130, 1, 5, 4, 3, 2, 0)


class ProvisionError(Exception):
    """An operation failed; `hint` says what the engineer can do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ProvisionError):
    """The command line cannot be understood."""


class InputError(ProvisionError):
    """A file that the engineer wrote is wrong; the message begins with FILE:LINE where known."""


class QuotingError(InputError):
    """A value cannot be written in a place, or is quoted for another one."""


class SecretError(ProvisionError):
    """A secret cannot be read, decrypted or written; the message never holds its value."""


class RefusedError(ProvisionError):
    """A precondition does not hold; nothing was changed."""

    exit_code = 3


class UnreachableError(ProvisionError):
    """A host cannot be reached, or logging in fails."""

    exit_code = 4


class HostKeyError(UnreachableError):
    """A host's key is unknown, or is not the one that is pinned."""


class ApplyError(ProvisionError):
    """A host was changed and then something failed; the message says what holds now."""

    exit_code = 5


def worst(codes: Iterable[int]) -> int:
    """Return the exit code that speaks for all; 0 for none."""
    present = set(codes)
    return next((code for code in _WORST_FIRST if code in present), max(present, default=0))
