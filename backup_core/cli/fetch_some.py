"""`pitr backup-fetch --only`: single files of a backup, with nothing set up for a server."""

from __future__ import annotations

import argparse
from pathlib import Path

from backup_core import log
from backup_core.cli.output import reporter, size
from backup_core.restore.selected import find_files
from backup_core.storage.base import Storage
from backup_core.stream.throttle import paced_advance


def fetch_some(storage: Storage, args: argparse.Namespace, workers: int, limit: int | None) -> int:
    """Write the files that match below the directory, or list them; return the exit code."""
    found = find_files(storage, args.name or "LATEST", args.only)
    if args.dry_run:
        for file in found.files:
            print(f"{size(file.size):>10}  {file.path}")
        return 0
    logger = log.get("backup-fetch")
    with reporter(logger) as report:
        report.total(found.size)
        found.write_below(
            Path(args.pgdata).absolute(),
            workers=workers,
            advance=paced_advance(report.advance, limit),
        )
    log.event(
        logger,
        log.INFO,
        "files written",
        action="fetch-files",
        name=found.backup.name,
        files=len(found.files),
        size=size(found.size),
        state="complete",
    )
    return 0
