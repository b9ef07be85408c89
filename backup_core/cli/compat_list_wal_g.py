"""backup-list as wal-g prints it: an aligned table, a framed one, or JSON.

A backup without metadata.json, such as one of WAL-E, has the zero values that Go would print; there
wal-g itself ends with an error and lists nothing.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from backup_core import log
from backup_core.cli.options import add_common, load_settings, open_repository
from backup_core.errors import CorruptError, NotFoundError
from backup_core.postgres.lsn import Lsn
from backup_core.repository import layout
from backup_core.storage.base import ObjectInfo, Storage

_SEGMENT = re.compile(r"[0-9A-F]{24}")
_NO_SEGMENT = "Z" * 24
_ZERO_TIME = "0001-01-01T00:00:00Z"
_NO_TIME = datetime(1, 1, 1, tzinfo=UTC)
_HEADS = ("backup_name", "modified", "wal_file_name", "storage_name")
_PRETTY_HEADS = ("BACKUP NAME", "MODIFIED", "WAL FILE NAME", "STORAGE NAME")
_DETAIL_HEADS = (
    *("start_time", "finish_time", "hostname", "data_dir"),
    *("pg_version", "start_lsn", "finish_lsn", "is_permanent"),
)
_PRETTY_DETAIL_HEADS = (
    *("START TIME", "FINISH TIME", "HOSTNAME", "DATADIR"),
    *("PG VERSION", "START LSN", "FINISH LSN", "PERMANENT"),
)


@dataclass(frozen=True, kw_only=True)
class Detail:
    """What metadata.json says; `times` are start and finish, as text for JSON."""

    times: tuple[str, str] = (_ZERO_TIME, _ZERO_TIME)
    date_format: str = ""
    hostname: str = ""
    data_dir: str = ""
    pg_version: int = 0
    lsns: tuple[int, int] = (0, 0)
    permanent: bool = False
    system_identifier: int | None = None
    sizes: tuple[int, int] = (0, 0)
    user_data: object = None


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A backup in the list; `detail` only where it was asked for."""

    name: str
    modified: datetime
    segment: str
    detail: Detail | None = None


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--pretty", action="store_true", help="a frame, or JSON with indents")
    parser.add_argument("--json", action="store_true", help="JSON")
    parser.add_argument("--detail", action="store_true", help="what metadata.json says, too")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Print the backups."""
    storage = open_repository(load_settings(args).settings)
    rows = in_order([_listed(storage, entry, args.detail) for entry in _sentinels(storage)])
    local = storage.url.startswith("file:")
    if not rows and not args.json:
        log.event(log.get("backup-list"), log.INFO, "No backups found")
    elif args.json:
        print(as_json(rows, pretty=args.pretty, local=local))
    else:
        table = framed(rows, local=local) if args.pretty else aligned(rows, local=local)
        print("\n".join(table))
    return 0


def _sentinels(storage: Storage) -> Iterator[ObjectInfo]:
    for entry in storage.list(layout.BACKUPS, delimiter="/"):
        if entry.key.endswith(layout.SENTINEL_SUFFIX):
            yield entry


def _listed(storage: Storage, entry: ObjectInfo, detail: bool) -> Listed:
    name = entry.key.removeprefix(layout.BACKUPS).removesuffix(layout.SENTINEL_SUFFIX)
    segment = _SEGMENT.search(name)
    return Listed(
        name=name,
        modified=entry.modified or _NO_TIME,
        segment=segment[0] if segment else _NO_SEGMENT,
        detail=_detail(storage, layout.metadata(name)) if detail else None,
    )


def _detail(storage: Storage, key: str) -> Detail:
    try:
        document = json.loads(b"".join(storage.get(key)))
        return Detail(
            times=(str(document["start_time"]), str(document["finish_time"])),
            date_format=str(document.get("date_fmt", "")),
            hostname=str(document.get("hostname", "")),
            data_dir=str(document.get("data_dir", "")),
            pg_version=int(document.get("pg_version", 0)),
            lsns=(int(document["start_lsn"]), int(document["finish_lsn"])),
            permanent=document.get("is_permanent") is True,
            system_identifier=document.get("system_identifier"),
            sizes=(document.get("uncompressed_size", 0), document.get("compressed_size", 0)),
            user_data=document.get("user_data"),
        )
    except NotFoundError:
        return Detail()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CorruptError(
            f"{key} is not readable", hint="pitr backup-list lists the others."
        ) from None


def in_order(rows: Sequence[Listed]) -> list[Listed]:
    """Oldest first: by the time of the start if it is known of all, else by the sentinel's."""
    started = [row.detail.times[0] for row in rows if row.detail is not None]
    if started and _ZERO_TIME not in started:
        return sorted(rows, key=lambda row: _moment(row.detail.times[0] if row.detail else ""))
    return sorted(rows, key=lambda row: row.modified)


def _moment(text: str) -> datetime:
    """A time of metadata.json; Go's zero time for what is none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return _NO_TIME
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _modified(row: Listed, *, local: bool) -> datetime:
    """A file's time is in the local zone, an object store's in UTC."""
    return row.modified.astimezone() if local else row.modified.astimezone(UTC)


def _rfc3339(time: datetime) -> str:
    return "-" if time == _NO_TIME else _zulu(time.isoformat(timespec="seconds"))


def _rfc3339_fraction(time: datetime) -> str:
    """As Go marshals a time: without trailing zeros after the point."""
    text = time.isoformat(timespec="microseconds")
    head, fraction, zone = text[:19], text[20:26].rstrip("0"), text[26:]
    return _zulu(f"{head}.{fraction}{zone}" if fraction else head + zone)


def _zulu(text: str) -> str:
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _rfc850(time: datetime) -> str:
    return "-" if time == _NO_TIME else f"{time:%A, %d-%b-%y %H:%M:%S %Z}"


def aligned(rows: Sequence[Listed], *, local: bool) -> Iterator[str]:
    """The plain table: columns as wide as their widest cell and one blank, the last one free."""
    heads = _HEADS + (_DETAIL_HEADS if rows[0].detail else ())
    cells = [heads, *(_cells(row, _modified(row, local=local), pretty=False) for row in rows)]
    widths = [max(map(len, column)) + 1 for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=False))
        yield "".join(padded) + line[-1]


def framed(rows: Sequence[Listed], *, local: bool) -> Iterator[str]:
    """The table of --pretty, its rows numbered from 0."""
    heads = ("#", *_PRETTY_HEADS, *(_PRETTY_DETAIL_HEADS if rows[0].detail else ()))
    cells = [
        (str(number), *_cells(row, _modified(row, local=local), pretty=True))
        for number, row in enumerate(rows)
    ]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    border = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    yield from (border, _framed(heads, widths), border)
    yield from (_framed(line, widths) for line in cells)
    yield border


def _framed(line: Sequence[str], widths: Sequence[int]) -> str:
    number, *others = line
    rest = (cell.ljust(width) for cell, width in zip(others, widths[1:], strict=True))
    return "| " + " | ".join([number.rjust(widths[0]), *rest]) + " |"


def _cells(row: Listed, modified: datetime, *, pretty: bool) -> tuple[str, ...]:
    show = _rfc850 if pretty else _rfc3339
    cells = (row.name, show(modified), row.segment, "default")
    if row.detail is None:
        return cells
    detail = row.detail
    return (
        *cells,
        *(show(_moment(text)) for text in detail.times),
        *(detail.hostname, detail.data_dir, str(detail.pg_version)),
        *(str(Lsn(lsn)) for lsn in detail.lsns),
        str(detail.permanent).lower(),
    )


def as_json(rows: Sequence[Listed], *, pretty: bool, local: bool) -> str:
    """The array of --json, on one line or indented by four."""
    document = [_document(row, _modified(row, local=local)) for row in rows]
    if pretty:
        text = json.dumps(document, indent=4, ensure_ascii=False)
    else:
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return re.sub(r"[<>&]", lambda match: f"\\u{ord(match[0]):04x}", text)


def _document(row: Listed, modified: datetime) -> dict[str, object]:
    document: dict[str, object] = {
        "backup_name": row.name,
        "time": _rfc3339_fraction(modified),
        "wal_file_name": row.segment,
        "storage_name": "default",
    }
    return document if row.detail is None else document | _described(row.detail)


def _described(detail: Detail) -> dict[str, object]:
    start, finish = (_rfc3339_fraction(_moment(text)) for text in detail.times)
    document: dict[str, object] = {
        "start_time": start,
        "finish_time": finish,
        "date_fmt": detail.date_format,
        "hostname": detail.hostname,
        "data_dir": detail.data_dir,
        "pg_version": detail.pg_version,
        "start_lsn": detail.lsns[0],
        "finish_lsn": detail.lsns[1],
        "is_permanent": detail.permanent,
        "system_identifier": detail.system_identifier,
        "uncompressed_size": detail.sizes[0],
        "compressed_size": detail.sizes[1],
    }
    if detail.user_data is not None:
        document["user_data"] = detail.user_data
    return document
