"""backup-list as WAL-E prints it: tab-separated, CRLF, without an order of its own.

Columns 3, 6 and 7 are empty without --detail. Backups in WAL-G's form are listed too; their offset
is not in the name, so it is computed from the sentinel, and the name stays what it is.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from backup_core.cli.options import add_common, load_settings, open_repository
from backup_core.errors import CorruptError, UsageError
from backup_core.postgres.wal import DEFAULT_SEGMENT_SIZE, LOG_ID_SIZE, segment_name
from backup_core.repository import layout
from backup_core.storage.base import ObjectInfo, Storage

HEADER = (
    "name",
    "last_modified",
    "expanded_size_bytes",
    "wal_segment_backup_start",
    "wal_segment_offset_backup_start",
    "wal_segment_backup_stop",
    "wal_segment_offset_backup_stop",
)
_NAME = re.compile(r"base_(?P<segment>[0-9A-F]{24})(?:_(?P<offset>[0-9A-F]{8}))?(?:_D_.*)?")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A row of the list: what the columns say, as text; empty where nothing is known."""

    name: str
    modified: datetime
    size: str = ""
    start_segment: str = ""
    start_offset: str = ""
    stop_segment: str = ""
    stop_offset: str = ""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("query", nargs="?", help="a backup's name, or LATEST")
    parser.add_argument("--detail", action="store_true", help="read the sentinels, too")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Print the backups."""
    storage = open_repository(load_settings(args).settings)
    rows = chosen(list(_rows(storage, detail=args.detail)), args.query)
    write(rows, like_file=storage.url.startswith("file:"))
    return 0


def _rows(storage: Storage, *, detail: bool) -> Iterator[Listed]:
    for entry in storage.list(layout.BACKUPS, delimiter="/"):
        name = entry.key.removeprefix(layout.BACKUPS).removesuffix(layout.SENTINEL_SUFFIX)
        match = _NAME.fullmatch(name)
        if match is None or not entry.key.endswith(layout.SENTINEL_SUFFIX):
            continue
        row = Listed(
            name=name,
            modified=entry.modified or datetime.fromtimestamp(0, UTC),
            start_segment=match["segment"],
            start_offset=match["offset"] or "",
        )
        yield _detailed(storage, entry, row, detail) if detail or not row.start_offset else row


def _detailed(storage: Storage, entry: ObjectInfo, row: Listed, detail: bool) -> Listed:
    complete = describe(row, _document(storage, entry.key))
    return complete if detail else replace(row, start_offset=complete.start_offset)


def _document(storage: Storage, key: str) -> Mapping[str, object]:
    try:
        document = json.loads(b"".join(storage.get(key)))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise CorruptError(f"{key} is not a sentinel", hint="pitr backup-list lists the others.")
    return document


def describe(row: Listed, sentinel: Mapping[str, object]) -> Listed:
    """Fill the columns that a sentinel of WAL-E or of WAL-G knows of."""
    if "wal_segment_backup_stop" in sentinel:
        return replace(
            row,
            size=_text(sentinel.get("expanded_size_bytes")),
            stop_segment=_text(sentinel.get("wal_segment_backup_stop")),
            stop_offset=_text(sentinel.get("wal_segment_offset_backup_stop")),
        )
    start, stop = sentinel.get("LSN"), sentinel.get("FinishLSN")
    if not isinstance(start, int) or not isinstance(stop, int):
        return replace(row, size=_text(sentinel.get("UncompressedSize")))
    size = segment_size(row.start_segment, start)
    return replace(
        row,
        size=_text(sentinel.get("UncompressedSize")),
        start_offset=row.start_offset or f"{start % size:08d}",
        stop_segment=segment_name(int(row.start_segment[:8], 16), stop // size, size),
        stop_offset=f"{stop % size:08d}",
    )


def segment_size(segment: str, lsn: int) -> int:
    """The size of WAL segments, in bytes, with which this LSN lies in this segment."""
    low, number = lsn % LOG_ID_SIZE, int(segment[16:], 16)
    sizes = (1 << power for power in range(20, 31))
    return next((size for size in sizes if low // size == number), DEFAULT_SEGMENT_SIZE)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def chosen(rows: list[Listed], query: str | None) -> list[Listed]:
    """The rows that a query names: a backup's name, LATEST, or all without one."""
    if query is None:
        return rows
    if query == "LATEST":
        return sorted(rows, key=lambda row: row.modified)[-1:]
    if _NAME.fullmatch(query) is None:
        raise UsageError(
            f'"{query}" is not the name of a backup',
            hint="Give a name such as base_000000010000000000000002_00000040, or LATEST.",
        )
    return [row for row in rows if row.name == query]


def write(rows: Iterable[Listed], *, like_file: bool) -> None:
    """Print rows; a time has the form of the store that WAL-E took it from."""
    writer = csv.writer(sys.stdout, dialect="excel-tab")
    writer.writerow(HEADER)
    for row in rows:
        place = (row.start_segment, row.start_offset, row.stop_segment, row.stop_offset)
        writer.writerow((row.name, _time(row.modified, like_file=like_file), row.size, *place))


def _time(time: datetime, *, like_file: bool) -> str:
    """S3's own text with milliseconds, or a file's time in UTC without a zone."""
    utc = time.astimezone(UTC).replace(tzinfo=None)
    if like_file:
        return utc.isoformat()
    return f"{utc.isoformat(timespec='milliseconds')}Z"
