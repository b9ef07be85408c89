"""Pushing one file while no other process does: the call's own beside the worker."""

# ruff: noqa: PTH116, PTH119

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress

from backup_core.archive.ahead import is_marked
from backup_core.archive.push import PushResult
from backup_core.archive.spool import Spool, claim_of, is_unchanged, pause_before_reading


def push_claimed(spool: Spool, path: str, push: Callable[[], PushResult]) -> PushResult | None:
    """Push the file at `path` while nobody else does; None if a worker was faster.

    It is marked, so that the worker leaves it alone until the server has noticed. Raises what
    `push` raises; that the spool cannot be written is no error.
    """
    name = os.path.basename(path)
    spool.lock(claim_of(name))
    try:
        if is_marked(spool, path):
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
