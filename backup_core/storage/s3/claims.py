"""Taking turns at a key on a server that lets writers overwrite each other.

The last step of a multipart upload, which makes the object appear, is made under a claim: an object
that names the upload, beside the claims of others. Whoever sees no other claim after having written
his own may look and complete; whoever sees one takes his back and comes again. That needs no more
than a listing which shows all puts before it.

A writer that is killed or cut off leaves his claim. Whether he is dead or late cannot be known, so
whoever passes over the claim makes sure first that it does not matter, by a fence.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import count

from backup_core import log
from backup_core.errors import NotFoundError, StorageError
from backup_core.storage.base import Storage

CLAIMS = "pitr/claims/"
STALLED = timedelta(seconds=20)
_PATIENCE = 120.0
_LONGEST_PAUSE = 3.0


@contextmanager
def claim(
    storage: Storage, key: str, *, upload: str, fence: Callable[[str], None]
) -> Iterator[None]:
    """Be the only writer of `key` that has a claim, to complete `upload`.

    `fence` is given the upload of another, whose claim is old by the server's own clock, and
    returns once that can overwrite nothing any more. Raises StorageError if others do not end.
    """
    deadline = time.monotonic() + _PATIENCE
    for turn in count(1):
        mine = f"{CLAIMS}{key}/{os.urandom(16).hex()}"
        storage.put(mine, [upload.encode()])
        try:
            if _is_alone(storage, key, mine, fence):
                yield
                return
        finally:
            _remove(storage, mine)
        if time.monotonic() > deadline:
            raise StorageError(
                f'other writers do not finish with "{key}"',
                hint=f"Look at the claims below {CLAIMS}: another host may write there too.",
            )
        time.sleep(random.uniform(0.05, min(0.5 * turn, _LONGEST_PAUSE)))


def _is_alone(storage: Storage, key: str, mine: str, fence: Callable[[str], None]) -> bool:
    """Whether no claim is left but `mine`, once those of stalled writers are out of the way."""
    claims = {info.key: info.modified for info in storage.list(f"{CLAIMS}{key}/") if info.modified}
    if mine not in claims:  # another took it for that of a stalled writer
        return False
    now = max(claims.values())
    del claims[mine]
    for other, since in claims.items():
        if now - since < STALLED:
            return False
        with suppress(NotFoundError):  # its writer took it back just now
            fence(b"".join(storage.get(other)).decode())
        _remove(storage, other)
    return True


def _remove(storage: Storage, claim: str) -> None:
    (error,) = storage.delete([claim]).values()
    if error is not None:
        log.event(
            log.get("storage"), log.WARNING, "a claim was not removed", key=claim, reason=error
        )
