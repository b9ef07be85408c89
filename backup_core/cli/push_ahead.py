"""Push ahead what the server has waiting; wal-push starts this and nobody else need.

It ends by itself when nothing has waited for a while, when the settings changed, or when the
cluster is gone. What it has to say is in push-ahead.log in the spool.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from backup_core.archive.push import PushResult, push_wal
from backup_core.archive.worker import PushJob, PushWorker
from backup_core.cli.options import open_repository
from backup_core.cli.spooling import configure_worker, prepare_worker
from backup_core.config import Settings
from backup_core.repository.identity import Identity, load_identity
from backup_core.storage.base import Storage

configure = configure_worker


def run(args: argparse.Namespace) -> int:
    """Work until there is no more to do."""
    place = prepare_worker(args, who="push-ahead")
    if place is None:
        return 1
    settings = place.settings
    job = PushJob(
        spool=place.spool,
        data_dir=place.data_dir,
        push=_pusher(open_repository(settings), settings),
        workers=settings.push_ahead_workers,
        limit=settings.push_ahead_size,
        is_current=place.is_current,
    )
    PushWorker(job).run()
    return 0


def _pusher(storage: Storage, settings: Settings) -> Callable[[Path], PushResult]:
    """Make what pushes a file: the repository is asked once whose it is, and not for each."""
    known: list[Identity] = []

    def push(path: Path) -> PushResult:
        result = push_wal(
            storage,
            path,
            method=settings.compression_method,
            level=settings.zstd_level,
            identity=known[0] if known else None,
        )
        if not known:
            known.extend(filter(None, [load_identity(storage)]))
        return result

    return push
