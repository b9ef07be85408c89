"""A call of archive_command beside a worker: who pushes, and how it is known to be done.

The call that found no marker waits for the worker that has its file in hand, or pushes the file
itself, which the worker then leaves alone.
"""

# ruff: noqa: PTH116, PTH119

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from backup_core.archive.spool import (
    PUSHER,
    Spool,
    claim_of,
    data_directory,
    is_unchanged,
    pause_before_reading,
)

if TYPE_CHECKING:
    from backup_core.archive.push import PushResult


def pushed_ahead(spool: Spool, path: str) -> bool:
    """Whether a worker has archived the file at `path`, or does so while this waits for it.

    False is no failure: the file is then this call's to push, as far as anybody knows.
    """
    data_dir = data_directory(path)
    if data_dir is None or not spool.serves(data_dir):
        return False
    name = os.path.basename(path)
    try:
        if _is_marked(spool, name, path):
            return True
        if not spool.is_locked(PUSHER) or not spool.is_locked(claim_of(name)):
            return False
        spool.wait_for(claim_of(name))
        return _is_marked(spool, name, path)
    except OSError:
        return False


def push_claimed(spool: Spool, path: str, push: Callable[[], PushResult]) -> PushResult | None:
    """Push the file at `path` while nobody else does; None if a worker was faster.

    It is marked, so that the worker leaves it alone until the server has noticed. Raises what
    `push` raises; that the spool cannot be written is no error.
    """
    name = os.path.basename(path)
    spool.lock(claim_of(name))
    try:
        if _is_marked(spool, name, path):
            return None
        before = os.stat(path)
        settled = pause_before_reading(before.st_mtime_ns, time.time_ns()) == 0
        result = push()
        if settled and is_unchanged(before, os.stat(path)):
            with suppress(OSError):
                spool.mark(name, before.st_mtime_ns)
        return result
    finally:
        spool.unlock(claim_of(name))


def _is_marked(spool: Spool, name: str, path: str) -> bool:
    return spool.is_marked(name, os.stat(path).st_mtime_ns)
