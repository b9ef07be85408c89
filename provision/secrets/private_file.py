"""Reads and makes files that hold a secret in the clear.

A file that others may read is refused rather than warned about: whoever could read it may have it.
Mode and content are those of one open file, so nothing can be swapped between the look and the
read. Bytes that are not UTF-8 are found outside of the handler of the decoder's error: that error
carries them, and an exception is to hold no secret even as its context.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from provision.errors import SecretError

LONGEST = 1 << 20


def read_private(path: Path, what: str) -> str:
    """Return the text of a file that only its owner may read; `what` names it in errors.

    Raises SecretError for one that cannot be read, is open to others, is no regular file, is longer
    than 1 MiB or not UTF-8.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else "its name holds a NUL"
        raise SecretError(f"cannot read {what}: {reason}") from None
    try:
        _refuse_open(os.fstat(descriptor).st_mode, path, what)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(LONGEST + 1)
    except OSError as error:
        raise SecretError(f"cannot read {what}: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(data) > LONGEST:
        raise SecretError(f"{what} is longer than {LONGEST} bytes")
    return decode(data, what)


def write_private(path: Path, text: str) -> None:
    """Make a file of mode 0600 that was not there before; raises SecretError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SecretError(f"cannot make {path}: {error.strerror}") from None


def decode(data: bytes, what: str) -> str:
    """Return the text of UTF-8; raises SecretError, which holds nothing of the data."""
    text = _decoded(data)
    if text is None:
        raise SecretError(f"{what} is not UTF-8 text")
    return text


def _decoded(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _refuse_open(mode: int, path: Path, what: str) -> None:
    if not stat.S_ISREG(mode):
        raise SecretError(f"{what} is not a regular file")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SecretError(
            f"{what} is open to others: its mode is {stat.S_IMODE(mode):04o}",
            hint=f"Run chmod 600 {path}; whoever could read it may have the secret.",
        )
