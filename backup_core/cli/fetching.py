"""A call of wal-fetch that has a spool: it takes what was prefetched, and has more prefetched."""

from __future__ import annotations

import argparse
from contextlib import suppress

from backup_core.archive.deliver import take_prefetched
from backup_core.archive.fetch import FetchRequest, FetchResult, fetch_wal
from backup_core.archive.prefetch import want
from backup_core.archive.recovery import recovers, running_server
from backup_core.archive.spool import FETCHED, PREFETCHER, Spool
from backup_core.cli.options import open_repository
from backup_core.cli.spooling import open_spool, start_worker
from backup_core.config import Loaded
from backup_core.postgres.control import read_control
from backup_core.postgres.wal import WalKind, WalName, parse_wal_name

_WHO = "wal-fetch"


def fetch_by_spool(args: argparse.Namespace, loaded: Loaded, request: FetchRequest) -> FetchResult:
    """Deliver from the spool or from the repository; see fetch_wal.

    Whether a file is absent is always asked of the repository.
    """
    wal = parse_wal_name(request.name)
    data_dir = request.data_dir
    if wal.kind is not WalKind.SEGMENT or data_dir is None:
        return fetch_wal(open_repository(loaded.settings), request)
    spool = open_spool(loaded, data_dir, who=_WHO)
    if spool is None:
        return fetch_wal(open_repository(loaded.settings), request)
    size = take_prefetched(
        spool,
        wal,
        request.destination,
        data_dir=data_dir,
        system_identifier=read_control(data_dir)[1].system_identifier,
    )
    if size is not None:
        result = FetchResult(name=wal.name, key=spool.path(FETCHED, wal.name), size=size)
    else:
        result = fetch_wal(open_repository(loaded.settings), request)
    if result.key is not None:
        _prefetch_more(args, spool, request, wal)
    return result


def _prefetch_more(
    args: argparse.Namespace, spool: Spool, request: FetchRequest, wal: WalName
) -> None:
    """Tell the prefetcher where the server is, and start one if there is none."""
    data_dir = request.data_dir
    if data_dir is None or running_server(data_dir) is None or not recovers(data_dir):
        return
    with suppress(OSError):
        want(spool, wal.name)
    if not spool.is_locked(PREFETCHER):
        start_worker("prefetch", args, spool, str(data_dir.absolute()), who=_WHO)
