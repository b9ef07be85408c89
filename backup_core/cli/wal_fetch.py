"""Fetch one WAL file for a recovering server; for restore_command.

Exit codes: 0 delivered. 74 proven absent: the repository is healthy, this cluster's, and holds
nothing later. 75 trouble on a standby, which then tries again by itself. 200 everything else: the
server stops instead of promoting early.
"""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path

from backup_core import log
from backup_core.archive.fetch import FetchRequest, FetchResult, fetch_wal
from backup_core.cli.options import add_common, add_spool, load_settings, open_repository
from backup_core.config import Loaded, Settings

DELIVERED, ABSENT, RETRY, TROUBLE = 0, 74, 75, 200
_STANDBY_MODE = re.compile(r"^\s*standby_mode\s*=?\s*'?(on|true|yes|1)\b", re.MULTILINE | re.I)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", help="the file's name, %%f in restore_command")
    parser.add_argument("destination", type=Path, help="where it goes, %%p in restore_command")
    parser.add_argument(
        "--demand",
        action="store_true",
        help="a missing segment is trouble even at the end of the archive: set for recovery to a "
        "target before version 13, where the server would forget its target and promote",
    )
    add_spool(parser)
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Fetch the file."""
    loaded = load_settings(args, spool_dir=args.spool_dir)
    settings = loaded.settings
    began = time.monotonic()
    request = FetchRequest(
        name=args.name,
        destination=args.destination,
        data_dir=_data_directory(args.destination),
        demand=args.demand,
    )
    if settings.spool_dir is None:
        result = fetch_wal(open_repository(settings), request)
    else:
        result = _fetch_by_spool(args, loaded, request)
    _log(result, settings, time.monotonic() - began)
    return ABSENT if result.key is None else DELIVERED


def _fetch_by_spool(args: argparse.Namespace, loaded: Loaded, request: FetchRequest) -> FetchResult:
    from backup_core.cli.fetching import fetch_by_spool

    return fetch_by_spool(args, loaded, request)


def failure_code(error: BaseException) -> int:
    """Let nothing but proof of absence end recovery; a standby never ends it, so it may retry."""
    if isinstance(error, Exception) and _is_standby(Path()):
        return RETRY
    return TROUBLE


def _data_directory(destination: Path) -> Path | None:
    """The server runs restore_command in its data directory; %p lies in its pg_wal."""
    for candidate in (Path(), destination.absolute().parent.parent):
        if (candidate / "global" / "pg_control").exists():
            return candidate
    return None


def _is_standby(data_dir: Path) -> bool:
    try:
        if (data_dir / "standby.signal").exists():
            return True
        return _STANDBY_MODE.search((data_dir / "recovery.conf").read_text()) is not None
    except (OSError, UnicodeDecodeError):
        return False


def _log(result: FetchResult, settings: Settings, seconds: float) -> None:
    rate = f"{result.size / (1 << 20) / max(seconds, 1e-6):.1f}MiB/s" if result.key else None
    log.event(
        log.get("wal-fetch"),
        log.INFO,
        "fetched" if result.key else "not archived, which is proved",
        action="fetch-wal",
        key=result.key,
        prefix=settings.repository,
        rate=rate,
        seg=result.name,
        state="complete" if result.key else "absent",
    )
