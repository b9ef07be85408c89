"""Take a base backup of the running cluster that PGHOST, PGPORT and PGUSER name.

Exit codes: 0 the backup exists and can be restored; 4 it exists, but pages in it are corrupt (with
--fail-on-corrupt-page: it was given up); 3 refused before anything was copied; 8 the server, its
archiving or the connection failed; others in docs/exit-codes.md. After a failure the server is out
of backup mode and no sentinel exists.
"""

from __future__ import annotations

import argparse
import json

from backup_core import log
from backup_core.backup.options import Progress, PushOptions
from backup_core.backup.push import PushResult, push_backup
from backup_core.cli.options import add_common, load_settings, open_throttled
from backup_core.cli.output import duration, reporter, size
from backup_core.config import Settings
from backup_core.postgres.server import connect
from backup_core.stream.throttle import paced_advance

CORRUPT_PAGES = 4
_SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "pgdata", nargs="?", help="the data directory; the server knows it if this is left out"
    )
    parser.add_argument("--permanent", action="store_true", help="mark it not to be deleted")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="keep what an interrupted backup stored of files that are still the same, by content",
    )
    parser.add_argument("--add-user-data", metavar="JSON", help="keep this with the backup")
    parser.add_argument(
        "--fail-on-corrupt-page",
        action="store_const",
        const="true",
        help="give the backup up if a page fails its checksum",
    )
    parser.add_argument("--workers", metavar="N", help="read and upload this many parts at once")
    parser.add_argument(
        "--compat",
        metavar="TOOL",
        help="wal-g: leave the list of files in plain where the backup is encrypted",
    )
    parser.add_argument("--archive-timeout", metavar="TIME", help="wait this long for WAL")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Take the backup."""
    settings = load_settings(
        args,
        pgdata=args.pgdata,
        fail_on_corrupt_page=args.fail_on_corrupt_page,
        upload_disk_concurrency=args.workers,
        archive_timeout=args.archive_timeout,
        sentinel_user_data=args.add_user_data,
        compat=args.compat,
    ).settings
    logger = log.get("backup-push")
    if settings.encryption != "none" and settings.compat == "wal-g":
        message = "files_metadata.json is stored in plain for wal-g: it names the cluster's files"
        log.event(logger, log.WARNING, message)
    storage = open_throttled(settings)
    with connect() as server, reporter(logger) as report:
        progress = Progress(
            step=report.step,
            total=report.total,
            advance=paced_advance(report.advance, settings.disk_rate_limit),
            warn=lambda text: log.event(logger, log.WARNING, text),
        )
        options = _options(settings, permanent=args.permanent, resume=args.resume)
        result = push_backup(storage, server, settings.pgdata, options, progress)
    return _report(result, settings)


def _options(settings: Settings, *, permanent: bool, resume: bool) -> PushOptions:
    return PushOptions(
        method=settings.compression_method,
        level=settings.zstd_level,
        workers=settings.upload_disk_concurrency,
        partition_threshold=settings.tar_size_threshold,
        verify_checksums=settings.verify_page_checksums,
        fail_on_corrupt_page=settings.fail_on_corrupt_page,
        archive_timeout=settings.archive_timeout,
        stop_timeout=settings.stop_backup_timeout,
        alive_interval=settings.alive_check_interval,
        permanent=permanent,
        resume=resume,
        list_files=settings.encryption == "none" or settings.compat == "wal-g",
        user_data=json.loads(settings.sentinel_user_data) if settings.sentinel_user_data else None,
    )


def _report(result: PushResult, settings: Settings) -> int:
    backup, logger = result.backup, log.get("backup-push")
    for path, blocks in sorted(result.corrupt.items())[:_SHOWN]:
        log.event(
            logger,
            log.ERROR,
            "corrupt pages",
            file=path,
            blocks=",".join(map(str, blocks[:_SHOWN])),
        )
    log.event(
        logger,
        log.INFO,
        "backup complete" if not result.corrupt else "backup complete, with corrupt pages",
        action="push-backup",
        name=backup.name,
        prefix=settings.repository,
        lsn=f"{backup.start_lsn}..{backup.finish_lsn}",
        size=size(backup.uncompressed_size),
        stored=size(backup.compressed_size),
        took=duration(backup.finish_time - backup.start_time),
        vanished=result.vanished or None,
        corrupt_pages=backup.corrupt_pages or None,
        state="complete",
    )
    return CORRUPT_PAGES if result.corrupt else 0
