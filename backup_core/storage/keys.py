"""Which keys and prefixes every store accepts.

A key is a path below the repository, so one rule serves directories and object stores alike: what
could leave the repository, or could not be a file name, is refused everywhere. The refusal is a
UsageError and not a StorageError, because asking again cannot help and the store is not at fault.
"""

from __future__ import annotations

from backup_core.errors import UsageError

DELIMITER = "/"


def check_key(key: str) -> None:
    """Refuse a key that is empty, absolute or not UTF-8, or has an empty, `.` or `..` part.

    Raises UsageError.
    """
    parts = key.split(DELIMITER)
    if "\0" in key or not is_utf8(key) or any(part in ("", ".", "..") for part in parts):
        raise UsageError(
            f"{key!a} cannot be the key of an object",
            hint="A key is relative, with names separated by single slashes and none of them "
            '"." or "..".',
        )


def check_listing(prefix: str, delimiter: str | None) -> None:
    """Refuse a prefix that no key can have, and any delimiter but `/`; raises UsageError."""
    directory, slash, name = prefix.rpartition(DELIMITER)
    check_key(directory if slash else "any")
    if not is_utf8(name):
        raise UsageError(f"{prefix!a} cannot be the prefix of a key")
    if delimiter not in (None, DELIMITER):
        raise UsageError(f'the delimiter of a listing is "{DELIMITER}", not {delimiter!r}')


def is_utf8(text: str) -> bool:
    """Whether a name has only characters, and no bytes that were none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
