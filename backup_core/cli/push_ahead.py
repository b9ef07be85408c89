"""Push ahead what the server has waiting; wal-push starts this and nobody else need.

It ends by itself when nothing has waited for a while, when the settings changed, or when the
cluster is gone. What it has to say is in push-ahead.log in the spool.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, cast

from backup_core import log
from backup_core.archive.push import PushResult, push_wal
from backup_core.archive.worker import PushJob, PushWorker
from backup_core.cli.options import add_common, add_spool, load_settings, open_repository
from backup_core.cli.spooling import WorkerLog, data_dir_of, open_spool, watch_settings
from backup_core.config import Settings
from backup_core.repository.identity import Identity, load_identity
from backup_core.storage.base import Storage

_WHO = "push-ahead"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--pgdata", metavar="DIR", type=Path, required=True, help="whose WAL")
    add_spool(parser)
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Work until there is no more to do."""
    loaded = load_settings(args, spool_dir=args.spool_dir)
    is_current = watch_settings(args, loaded)
    settings, data_dir = loaded.settings, data_dir_of(args)
    spool = open_spool(loaded, data_dir, who=_WHO)
    if spool is None:
        return 1
    stream = cast("TextIO", WorkerLog(spool, _WHO))
    log.configure(settings.log_level, settings.log_format, stream)
    job = PushJob(
        spool=spool,
        data_dir=data_dir,
        push=_pusher(open_repository(settings), settings),
        workers=settings.push_ahead_workers,
        limit=settings.push_ahead_size,
        is_current=is_current,
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
