"""Archive one WAL file; for archive_command = 'pitr wal-push %p'.

Exit codes: 0 the file is archived durably; 1 to 9 it is not and PostgreSQL tries again. Never above
125, which would end the archiver process uncounted.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from backup_core import log
from backup_core.archive.push import PushResult, push_wal
from backup_core.cli.main import exit_code
from backup_core.cli.options import add_common, load_settings, open_repository
from backup_core.config import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("path", type=Path, help="the file, %%p in archive_command")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Push the file."""
    settings = load_settings(args).settings
    began = time.monotonic()
    result = push_wal(
        open_repository(settings),
        args.path,
        method=settings.compression_method,
        level=settings.zstd_level,
    )
    _log(result, settings, time.monotonic() - began)
    return 0


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
