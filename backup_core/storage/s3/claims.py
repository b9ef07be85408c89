"""Taking turns at a key on a server that lets writers overwrite each other.

The last step of a multipart upload, which makes the object appear, is made under a claim: an object
that names the upload, beside the claims of others. Whoever sees no other claim after having written
his own may look and complete; whoever sees one takes his back and comes again. That needs no more
than a listing which shows all puts before it.

A writer that is killed or cut off leaves his claim, and one that failed leaves it on purpose: his
completion may still be on its way. Whether it is cannot be known, so whoever passes over a claim
makes sure first that it does not matter, by a fence.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from backup_core import log
from backup_core.errors import AlreadyExistsError, NotFoundError, StorageError
from backup_core.storage.base import Storage

CLAIMS = "pitr/claims/"
PASSED_AFTER = timedelta(seconds=20)
FENCED_AFTER = timedelta(minutes=5)
"""Longer than a request lasts: some servers spoil a completion that an abort meets half-way."""
_PATIENCE = 120.0
_LONGEST_PAUSE = 3.0
_DELETE_HINT = f"Allow s3:DeleteObject on {CLAIMS}* below the repository's prefix."

Fence = Callable[[str], None]


@contextmanager
def claim(storage: Storage, key: str, *, upload: str, fence: Fence | None = None) -> Iterator[None]:
    """Be the only writer of `key` that has a claim, to complete `upload`.

    Claims of others that are old by the server's own clock are passed over. `fence` returns once
    the upload that it is given cannot be completed any more; it is None where the server itself
    refuses what comes late. Raises StorageError if others do not end, or if another passed over
    this claim meanwhile.
    """
    mine = f"{CLAIMS}{key}/{os.urandom(16).hex()}"
    deadline, longest = time.monotonic() + _PATIENCE, 0.5
    storage.put(mine, [upload.encode()])
    while not _is_alone(storage, key, mine, fence):
        _take_back(storage, mine)
        if time.monotonic() > deadline:
            raise StorageError(
                f'other writers do not finish with "{key}"',
                hint=f"Look at the claims below {CLAIMS}: another host may write there too. Those "
                "of dead writers are passed over by themselves, after five minutes at most.",
            )
        time.sleep(random.uniform(0.05, longest))
        longest = min(longest + 0.5, _LONGEST_PAUSE)
        storage.put(mine, [upload.encode()])
    try:
        yield
    except AlreadyExistsError:
        _remove(storage, mine)
        raise
    if fence is not None and not _is_there(storage, mine):
        raise passed_over(key)
    _remove(storage, mine)


def passed_over(key: str) -> StorageError:
    """The error of a writer that another took for stalled, and who cannot say what is there now."""
    return StorageError(
        f'another writer of "{key}" did not wait for this one any longer', hint="Try again."
    )


def _is_alone(storage: Storage, key: str, mine: str, fence: Fence | None) -> bool:
    """Whether no claim is left but `mine`, once those of stalled writers are out of the way."""
    found = storage.list(f"{CLAIMS}{key}/", delimiter="/")
    claims = {info.key: info.modified for info in found if info.modified}
    if mine not in claims:  # another took it for that of a stalled writer
        return False
    now = max(claims.values())
    del claims[mine]
    for other, since in claims.items():
        if now - since < (PASSED_AFTER if fence is None else FENCED_AFTER):
            return False
        if fence is not None:
            upload = _upload_of(storage, other)
            if not upload:
                return False
            fence(upload)
        _remove(storage, other)
    return True


def _upload_of(storage: Storage, claim: str) -> str:
    """The upload that a claim is for; empty if the claim was taken back just now."""
    try:
        return b"".join(storage.get(claim)).decode()
    except NotFoundError:
        return ""


def _is_there(storage: Storage, claim: str) -> bool:
    try:
        storage.stat(claim)
    except NotFoundError:
        return False
    return True


def _take_back(storage: Storage, claim: str) -> None:
    """Let others have their turn; raises StorageError where they would wait for this one."""
    (error,) = storage.delete([claim]).values()
    if error is not None:
        raise StorageError(f"cannot take back {claim}: {error}", hint=_DELETE_HINT)


def _remove(storage: Storage, claim: str) -> None:
    """Remove a claim that is done with, which others would pass over in the end."""
    (error,) = storage.delete([claim]).values()
    if error is not None:
        log.event(
            log.get("storage"), log.WARNING, "a claim was not removed", key=claim, reason=error
        )
