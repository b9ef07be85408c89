"""Prefetch what a recovering server will ask for; wal-fetch starts this and nobody else need.

It ends by itself with the recovery, with the server, when the settings changed, or when nothing was
taken for a while. What it has to say is in prefetch.log in the spool.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from backup_core.archive.fetch import deliver
from backup_core.archive.prefetch import Prefetcher, PrefetchJob
from backup_core.archive.upcoming import upcoming
from backup_core.cli.options import open_repository
from backup_core.cli.spooling import configure_worker, prepare_worker
from backup_core.postgres.control import read_control
from backup_core.postgres.wal import parse_wal_name
from backup_core.repository.identity import Identity

configure = configure_worker


def run(args: argparse.Namespace) -> int:
    """Work until there is no more to do."""
    place = prepare_worker(args, who="prefetch")
    if place is None:
        return 1
    settings = place.settings
    storage = open_repository(settings)
    control = read_control(Path(place.data_dir))[1]
    identity = Identity(system_identifier=control.system_identifier)
    size = control.wal_segment_size
    job = PrefetchJob(
        spool=place.spool,
        data_dir=place.data_dir,
        segment_size=size,
        upcoming=lambda name: upcoming(storage, parse_wal_name(name), size),
        fetch=lambda found, path: deliver(storage, found, path, identity=identity),
        workers=settings.prefetch_workers,
        limit=settings.prefetch_size,
        is_current=place.is_current,
    )
    Prefetcher(job).run()
    return 0
