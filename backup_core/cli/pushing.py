"""A call of wal-push that has a spool: it pushes its file and leaves a worker for the others."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import suppress

from backup_core import log
from backup_core.archive import ready
from backup_core.archive.claim import push_claimed
from backup_core.archive.push import PushResult
from backup_core.archive.spool import PUSHER, Spool, data_directory
from backup_core.archive.status import read_status, write_status
from backup_core.cli.spooling import open_spool, start_worker
from backup_core.config import Loaded
from backup_core.errors import PitrError

_WHO = "wal-push"


def push_beside_worker(
    args: argparse.Namespace, loaded: Loaded, push: Callable[[], PushResult]
) -> PushResult | None:
    """Push the file of this call, unless a worker does; None if it did.

    A worker that is missing is started: at once if more waits, else when this file is done, so
    that a lone file has the machine to itself.
    """
    data_dir = data_directory(str(args.path))
    spool = None if data_dir is None else open_spool(loaded, data_dir, who=_WHO)
    if data_dir is None or spool is None:
        return push()
    needed = not spool.is_locked(PUSHER)
    others = [name for name in _waiting(data_dir) if name != args.path.name]
    if needed and others:
        start_worker("push-ahead", args, spool, data_dir, who=_WHO)
    try:
        result = push_claimed(spool, str(args.path), push)
    except PitrError as error:
        _tell_of_failure(spool, args.path.name, error, waiting=len(others) + 1)
        raise
    if needed and not others:
        start_worker("push-ahead", args, spool, data_dir, who=_WHO)
    if result is not None:
        write_status(spool, read_status(spool).succeeded(args.path.name))
    return result


def _waiting(data_dir: str) -> list[str]:
    status_dir = ready.status_directory(data_dir)
    with suppress(OSError):
        return ready.waiting(status_dir) if status_dir else []
    return []


def _tell_of_failure(spool: Spool, name: str, error: PitrError, *, waiting: int) -> None:
    """Write it down, and say in the server's log how long this goes on and what waits."""
    status = read_status(spool).failed(name, error.message)
    write_status(spool, status)
    log.event(
        log.get(_WHO),
        log.WARNING,
        "PostgreSQL keeps what is not archived",
        waiting=waiting,
        failing_since=status.failing_since,
        seg=name,
    )
