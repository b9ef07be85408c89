"""Prefetch what a recovering server will ask for; wal-fetch starts this and nobody else need.

It ends by itself with the recovery, with the server, when the settings changed, or when nothing was
taken for a while. What it has to say is in prefetch.log in the spool.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

from backup_core import log
from backup_core.archive.fetch import deliver
from backup_core.archive.prefetch import Prefetcher, PrefetchJob
from backup_core.archive.upcoming import upcoming
from backup_core.cli.options import add_common, add_spool, load_settings, open_repository
from backup_core.cli.spooling import WorkerLog, data_dir_of, open_spool, watch_settings
from backup_core.postgres.control import read_control
from backup_core.postgres.wal import parse_wal_name
from backup_core.repository.identity import Identity
from backup_core.repository.wal_archive import WalObject

_WHO = "prefetch"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--pgdata", metavar="DIR", type=Path, required=True, help="who recovers")
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
    log.configure(settings.log_level, settings.log_format, cast("TextIO", WorkerLog(spool, _WHO)))
    storage = open_repository(settings)
    control = read_control(Path(data_dir))[1]
    identity = Identity(system_identifier=control.system_identifier)

    def fetch(found: WalObject, place: Path) -> int:
        return deliver(storage, found, place, identity=identity)

    def behind(name: str) -> Iterator[WalObject]:
        return upcoming(storage, parse_wal_name(name), control.wal_segment_size)

    job = PrefetchJob(
        spool=spool,
        data_dir=data_dir,
        segment_size=control.wal_segment_size,
        upcoming=behind,
        fetch=fetch,
        workers=settings.prefetch_workers,
        limit=settings.prefetch_size,
        is_current=is_current,
    )
    Prefetcher(job).run()
    return 0
