"""List the base backups by the time they finished, with the WAL and the missing days between them.

Exit codes: 0; 6 if a backup is unreadable (the others are listed); others in docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta

from backup_core.cli.options import add_common, load_settings, open_repository
from backup_core.cli.output import duration, size, table
from backup_core.repository.catalog import Catalog, read_catalog
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_e import is_offline

UNREADABLE = 6
_RIGHT = [3, 5, 6, 7]
_MOST_DAYS = 7


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--json", action="store_true", help="print JSON (docs/json.md)")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Print the backups."""
    catalog = read_catalog(open_repository(load_settings(args).settings))
    if args.json:
        print(json.dumps(_document(catalog), indent=2))
    else:
        _print(catalog)
    return UNREADABLE if catalog.unreadable else 0


def _print(catalog: Catalog) -> None:
    if not catalog.backups:
        print("there is no backup")
    else:
        for line in table(_heads(), list(_rows(catalog.backups)), right=_RIGHT):
            print(line)
    for broken in catalog.unreadable:
        print(f"UNREADABLE {broken.name}: {broken.reason}")
    for name in catalog.unfinished:
        print(f"unfinished {name}: it has no sentinel; it is running or was interrupted")


def _heads() -> list[str]:
    zone = f"{datetime.now().astimezone():%Z}"
    return [
        *("name", f"started ({zone})", "finished", "took", "LSN", "stored", "raw", "ratio"),
        *("PG", "host", "permanent", "state"),
    ]


def _rows(backups: tuple[Backup, ...]) -> Iterator[list[str] | str]:
    previous = None
    for backup in backups:
        if previous is not None:
            yield from _between(previous, backup)
        yield _row(backup)
        previous = backup


def _row(backup: Backup) -> list[str]:
    ratio = backup.uncompressed_size / backup.compressed_size if backup.compressed_size else 0
    return [
        backup.name,
        f"{backup.start_time.astimezone():%Y-%m-%d %H:%M:%S}",
        _finished(backup),
        duration(backup.finish_time - backup.start_time),
        lsn_range(backup, ".."),
        size(backup.compressed_size),
        size(backup.uncompressed_size),
        f"{ratio:.1f}",
        version(backup.pg_version),
        backup.hostname or "-",
        "yes" if backup.permanent else "no",
        state(backup),
    ]


def lsn_range(backup: Backup, between: str) -> str:
    """Both LSNs of a backup, of which one that WAL-E took offline has none."""
    if is_offline(backup):
        return "unknown"
    return f"{backup.start_lsn}{between}{backup.finish_lsn}"


def _finished(backup: Backup) -> str:
    """The date is told only where it is another than that of the start."""
    start, finish = backup.start_time.astimezone(), backup.finish_time.astimezone()
    same_day = start.date() == finish.date()
    return f"{finish:%H:%M:%S}" if same_day else f"{finish:%Y-%m-%d %H:%M:%S}"


def _between(one: Backup, two: Backup) -> Iterator[str]:
    """What an operator reads from the distance between two backups."""
    passed = two.start_time - one.start_time
    if two.system_identifier not in (None, one.system_identifier or two.system_identifier):
        yield "  | another cluster from here on: the system identifier changed"
    elif two.start_lsn >= one.start_lsn and not (is_offline(one) or is_offline(two)):
        yield f"  | {size(two.start_lsn - one.start_lsn)} of WAL in {duration(passed)}"
    days = missing_days(one.finish_time.date(), two.finish_time.date())
    if days:
        more = f" and {len(days) - _MOST_DAYS} more" if len(days) > _MOST_DAYS else ""
        yield f"  | NO BACKUP on {', '.join(map(str, days[:_MOST_DAYS]))}{more}"


def missing_days(one: date, two: date) -> list[date]:
    """The days strictly between two dates."""
    return [one + timedelta(days=number) for number in range(1, (two - one).days)]


def version(number: int) -> str:
    """A server_version_num as people write it."""
    if number >= 100000:
        return f"{number // 10000}.{number % 10000}"
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def state(backup: Backup) -> str:
    """One word or two on whether the backup is whole."""
    return f"{backup.corrupt_pages} corrupt pages" if backup.corrupt_pages else "ok"


def _document(catalog: Catalog) -> dict[str, object]:
    return {
        "version": 1,
        "backups": [_backup(backup) for backup in catalog.backups],
        "unreadable": [{"name": item.name, "reason": item.reason} for item in catalog.unreadable],
        "unfinished": list(catalog.unfinished),
    }


def _backup(backup: Backup) -> dict[str, object]:
    return {
        "name": backup.name,
        "timeline": backup.timeline,
        "start_time": backup.start_time.isoformat(),
        "finish_time": backup.finish_time.isoformat(),
        "start_lsn": str(backup.start_lsn),
        "finish_lsn": str(backup.finish_lsn),
        "stored_size": backup.compressed_size,
        "raw_size": backup.uncompressed_size,
        "data_directory_size": backup.data_catalog_size,
        "pg_version": backup.pg_version,
        "system_identifier": str(backup.system_identifier or ""),
        "hostname": backup.hostname,
        "data_directory": backup.data_dir,
        "tablespaces": [
            {"oid": space.oid, "location": space.location} for space in backup.tablespaces
        ],
        "permanent": backup.permanent,
        "delta_from": backup.delta_from,
        "corrupt_pages": backup.corrupt_pages,
        "user_data": backup.user_data,
    }
