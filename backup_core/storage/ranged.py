"""Reading an object over connections that break.

A reader goes on at the byte where the last connection ended, and only if the object is still the
one that it began with. An object read from its beginning to its end is held against the store's own
checksum of it, however many connections that took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from backup_core.errors import StorageError
from backup_core.storage.checksum import as_base64, crc32c
from backup_core.storage.http import Response
from backup_core.storage.retry import Attempts, PassingError, RetryPolicy, retried


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An answer that begins at the byte asked for.

    `tag` names this version of the object, `checksum` is the CRC-32C of all of it in base64, where
    the answer is all of it and the store knows.
    """

    response: Response
    tag: str
    checksum: str | None = None


OpenAt = Callable[[int, str | None], Opened | None]
"""Opens the object at a byte, in a version if one is named; None if it ends before that byte."""


def read_range(open_at: OpenAt, policy: RetryPolicy, *, name: str, start: int) -> Iterator[bytes]:
    """Open at once, with the errors of that, and return the bytes from `start` on."""
    opened = retried(lambda: open_at(start, None), policy)
    if opened is None:
        return iter(())
    chunks = _follow(open_at, opened, policy, name, start)
    next(chunks)
    return chunks


def _follow(
    open_at: OpenAt, opened: Opened, policy: RetryPolicy, name: str, position: int
) -> Iterator[bytes]:
    """Yield once for nothing, so that leaving early closes the connection, then the bytes."""
    attempts = Attempts(policy)
    tag, expected, checksum = opened.tag, opened.checksum, 0
    current: Opened | None = opened
    try:
        yield b""
        while current is not None:
            try:
                for chunk in current.response.chunks():
                    attempts.progress()
                    position += len(chunk)
                    checksum = crc32c([chunk], checksum) if expected else 0
                    yield chunk
                break
            except PassingError as error:
                attempts.pause(error)
                current = retried(lambda: open_at(position, tag), policy)  # noqa: B023
    finally:
        if current is not None:
            current.response.close()
    if expected and as_base64(checksum) != expected:
        raise StorageError(
            f"{name} arrived with another checksum than the store has of it",
            hint="Try again; if it stays so, the stored object is damaged.",
        )
