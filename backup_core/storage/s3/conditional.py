"""Creating an object that must not be there, also where the server lacks `If-None-Match`.

Every creation carries the header. A server that says it does not know it answers 501. One that
ignores it would overwrite silently, so the first small object that a process creates is created
twice: the second attempt must fail. What was found is kept as metadata of that object, so a
process that only reads it (the repository's identity, say) knows too, without asking again.

SeaweedFS honours the header, but when it completes a multipart upload it looks first and writes a
few milliseconds later, so there large objects are created as if it did not.

Without the header writers take turns by claims: an empty object each, beside those of the others.
Whoever sees no other claim after having written his own may look and write; whoever sees one takes
his back and comes again. That needs no more than a listing which shows all puts before it.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from backup_core import log
from backup_core.errors import StorageError
from backup_core.storage.base import Storage
from backup_core.storage.s3.errors import RefusalError

IF_ABSENT = {"If-None-Match": "*"}
METADATA, IGNORED = "x-amz-meta-pitr-conditional", "ignored"
WRITER = "x-amz-meta-pitr-writer"
CLAIMS = "pitr/claims/"
PROBED_SIZE = 1 << 10  # of identity and lock; segments, however empty, are larger
LOST = ("PreconditionFailed", "412")
_ABANDONED = timedelta(minutes=15)
_PATIENCE = 120.0


def is_unknown_to_server(error: RefusalError) -> bool:
    """Tell whether the server says that it has no conditional creation."""
    return error.status == 501 or error.code == "NotImplemented"


def honours_condition(create_again: Callable[[], None]) -> bool | None:
    """Create what exists once more and tell whether the server refuses; None if it cannot say."""
    try:
        create_again()
    except RefusalError as error:
        return error.code in LOST or None
    except StorageError:
        return None
    return False


def tell(url: str) -> None:
    """Log once that this server lets writers overwrite each other."""
    log.event(
        log.get("storage"),
        log.WARNING,
        "the server ignores If-None-Match: objects are created under claims instead, which is "
        "slower; use a server that honours it where two hosts may write to one repository",
        prefix=url,
    )


@contextmanager
def claim(storage: Storage, key: str) -> Iterator[None]:
    """Be the only writer of `key` that has a claim; raises StorageError if others do not end."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        mine = f"{CLAIMS}{key}/{os.urandom(16).hex()}"
        storage.put(mine, [])
        try:
            if not _others(storage, key, mine):
                yield
                return
        finally:
            storage.delete([mine])
        if time.monotonic() > deadline:
            raise StorageError(
                f'other writers do not finish with "{key}"',
                hint=f"Look at the claims below {CLAIMS}; those of dead writers expire by "
                "themselves.",
            )
        time.sleep(random.uniform(0.05, 0.5))


def _others(storage: Storage, key: str, mine: str) -> list[str]:
    """List the claims of others that are not abandoned, by the server's own clock."""
    claims = list(storage.list(f"{CLAIMS}{key}/"))
    now = max(info.modified for info in claims if info.modified)
    return [
        info.key
        for info in claims
        if info.key != mine and info.modified and now - info.modified < _ABANDONED
    ]
