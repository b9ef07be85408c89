"""A call of archive_command that finds no marker: is a worker at it, or has it been meanwhile?

Apart from what pushes, and with next to no imports, since for most such calls this is all.
"""

# ruff: noqa: PTH116, PTH119

from __future__ import annotations

import os
from collections.abc import Callable

from backup_core.archive.spool import PUSHER, Spool, claim_of, data_directory


def pushed_ahead(spool: Spool, path: str, *, before_waiting: Callable[[], object]) -> bool:
    """Whether a worker has archived the file at `path`, or does so while this waits for it.

    False is no failure: the file is then this call's to push, as far as anybody knows.
    """
    data_dir = data_directory(path)
    if data_dir is None or not spool.serves(data_dir):
        return False
    name = os.path.basename(path)
    try:
        if is_marked(spool, path):
            return True
        if not spool.is_locked(PUSHER) or not spool.is_locked(claim_of(name)):
            return False
        before_waiting()
        spool.wait_for(claim_of(name))
        return is_marked(spool, path)
    except OSError:
        return False


def is_marked(spool: Spool, path: str) -> bool:
    """Whether the file at `path`, as it is now, was pushed; raises OSError if it is not there."""
    return spool.is_marked(os.path.basename(path), os.stat(path).st_mtime_ns)
