"""Archive one WAL file; for archive_command = 'pitr wal-push %p'.

Exit codes: 0 the file is archived durably; 1 to 9 it is not and PostgreSQL tries again. Never above
125, which would end the archiver process uncounted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from backup_core import log
from backup_core.archive.push import PushResult, push_wal
from backup_core.cli.main import exit_code
from backup_core.cli.options import add_common, add_spool, load_settings, open_repository
from backup_core.config import Loaded, Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("path", type=Path, help="the file, %%p in archive_command")
    add_spool(parser)
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Push the file, or learn that a worker has."""
    loaded = load_settings(args, spool_dir=args.spool_dir)
    settings = loaded.settings

    def push() -> PushResult:
        return push_wal(
            open_repository(settings),
            args.path,
            method=settings.compression_method,
            level=settings.zstd_level,
        )

    began = time.monotonic()
    result = push() if settings.spool_dir is None else _push_beside_worker(args, loaded, push)
    if result is not None:
        _log(result, settings, time.monotonic() - began)
    return 0


def _push_beside_worker(
    args: argparse.Namespace, loaded: Loaded, push: Callable[[], PushResult]
) -> PushResult | None:
    from backup_core.cli.pushing import push_beside_worker

    return push_beside_worker(args, loaded, push)


def failure_code(error: BaseException) -> int:
    """Stay within 1 to 125 whatever happened (manual, section 26.3.1)."""
    return min(exit_code(error), 125)


def _log(result: PushResult, settings: Settings, seconds: float) -> None:
    message = "already archived with the same content" if result.already_archived else "archived"
    log.event(
        log.get("wal-push"),
        log.INFO,
        message,
        action="push-wal",
        key=result.key,
        prefix=settings.repository,
        rate=f"{result.size / (1 << 20) / max(seconds, 1e-6):.1f}MiB/s",
        seg=result.name,
        state="complete",
    )
