"""WAL-E's base backups: what their sentinel, their name and their objects' ages say.

A document of its own and no dialect of WAL-G's: the two share only the object's key. The start of
the backup stands in its name alone, as a segment and a decimal offset into it, so that it takes the
cluster's WAL segment size to know the LSNs. No times are recorded, and no system identifier.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NoReturn

from backup_core.errors import CorruptError, NotFoundError
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.wal import parse_wal_name
from backup_core.repository import layout
from backup_core.repository.sentinel import Backup, Tablespace
from backup_core.storage.base import Storage

ORIGIN: Literal["wal-e"] = "wal-e"
PARTITION = re.compile(r"part_([0-9]{1,10})\.tar\.lzo")
"""A partition's name; the number's padding changed between versions."""

_MARK = "wal_segment_backup_stop"
_VERSION = "extended_version.txt"
_NAME = re.compile(r"base_([0-9A-F]{24})_([0-9A-F]{8})")
_SERVER = re.compile(r"PostgreSQL ([0-9]{1,3})(?:\.([0-9]{1,2}))?(?:\.([0-9]{1,2}))?(?![0-9])")
_OID = re.compile(r"[0-9]{1,10}")
_LONGEST_VERSION = 4096


@dataclass(frozen=True, kw_only=True)
class WalEObjects:
    """What lies around a sentinel; `version` is the server's, as `SELECT version()` prints it."""

    version: str
    start_time: datetime | None
    finish_time: datetime | None
    compressed_size: int


def is_sentinel(data: bytes) -> bool:
    """Tell whether a sentinel is WAL-E's; anything unreadable is not."""
    if _MARK.encode() not in data:
        return False  # without parsing one of WAL-G's, which can be large
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and _MARK in document


def is_offline(backup: Backup) -> bool:
    """Tell whether WAL-E copied a server that was not running (`backup-push --while-offline`).

    It then puts a number into the name that is no WAL position, and the same one as the end, while
    a server always ends a backup after its start. Such a backup's LSNs mean nothing.
    """
    return backup.origin == ORIGIN and backup.start_lsn == backup.finish_lsn


def read_backup(
    storage: Storage,
    name: str,
    sentinel: bytes,
    *,
    modified: datetime | None,
    segment_size: int,
) -> Backup:
    """Read what belongs to a sentinel of this age; raises CorruptError and StorageError.

    The sentinel's age is the end of the backup, that of the version's file its start: WAL-E writes
    the one last and the other first. Copying a bucket changes both.
    """
    stored = {info.key: info for info in storage.list(layout.backup_folder(name))}
    version = stored.get(layout.backup_folder(name) + _VERSION)
    if version is None:
        raise CorruptError(f"{layout.backup_folder(name)}{_VERSION} is missing")
    around = WalEObjects(
        version=_read_version(storage, version.key),
        start_time=version.modified,
        finish_time=modified,
        compressed_size=sum(info.size for info in stored.values()) - version.size,
    )
    return parse_backup(name, sentinel, around, segment_size=segment_size)


def _read_version(storage: Storage, key: str) -> str:
    try:
        return b"".join(storage.get(key, stop=_LONGEST_VERSION)).decode("utf-8", "replace")
    except NotFoundError:
        raise CorruptError(f"{key} is missing") from None


def parse_backup(name: str, sentinel: bytes, around: WalEObjects, *, segment_size: int) -> Backup:
    """Read a sentinel; `segment_size` in bytes. Raises CorruptError naming the backup."""
    document = _document(name, sentinel)
    match = _NAME.fullmatch(name)
    if match is None:
        raise CorruptError(f'"{name}" is not the name of a backup that WAL-E took')
    start_segment, start_offset = match.groups()
    stop_segment = _text(name, document, _MARK)
    stop_offset = _text(name, document, "wal_segment_offset_backup_stop")
    offline = (start_segment, start_offset) == (stop_segment, stop_offset)
    start = _lsn(name, start_segment, "0" if offline else start_offset, segment_size)
    finish = start if offline else _lsn(name, stop_segment, stop_offset, segment_size)
    if start > finish or (start == finish and not offline):
        raise CorruptError(f"the sentinel of {name} says that it ended before it began")
    finish_time = around.finish_time or datetime.fromtimestamp(0, UTC)
    size = _size(name, document)
    spec = document.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    return Backup(
        name=name,
        timeline=layout.backup_timeline(name),
        start_lsn=start,
        finish_lsn=finish,
        start_time=min(around.start_time or finish_time, finish_time),
        finish_time=finish_time,
        pg_version=parse_version(name, around.version),
        system_identifier=None,
        hostname="",
        data_dir=_data_dir(spec),
        uncompressed_size=size,
        compressed_size=around.compressed_size,
        data_catalog_size=size,
        tablespaces=_tablespaces(name, spec),
        files_metadata_disabled=True,
        origin=ORIGIN,
    )


def parse_version(name: str, text: str) -> int:
    """The server_version_num in what `SELECT version()` or pg_config print; 9.6.3 is 90603.

    A beta or a release candidate counts as the release without a minor number.
    """
    match = _SERVER.search(text)
    if match is None:
        raise CorruptError(f"the {_VERSION} of {name} names no version of PostgreSQL")
    first, second, third = (int(number or 0) for number in match.groups())
    return first * 10000 + (second if first >= 10 else second * 100 + third)


def _document(name: str, data: bytes) -> dict[str, object]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise CorruptError(f"the sentinel of {name} is not a JSON object")
    return document


def _lsn(name: str, segment: str, offset: str, segment_size: int) -> Lsn:
    if not (re.fullmatch(r"[0-9A-F]{24}", segment) and re.fullmatch(r"[0-9]{1,10}", offset)):
        _refuse(name, "WAL position")
    start = parse_wal_name(segment).segment_number(segment_size) * segment_size
    if int(offset) >= segment_size:
        raise CorruptError(
            f"{name} names the offset {int(offset)} in a WAL segment of {segment_size} bytes"
        )
    return Lsn(start + int(offset))


def _text(name: str, document: Mapping[str, object], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else _refuse(name, key)


def _size(name: str, document: Mapping[str, object]) -> int:
    value = document.get("expanded_size_bytes")
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        _refuse(name, "expanded_size_bytes")
    return value


def _data_dir(spec: Mapping[str, object]) -> str:
    prefix = spec.get("base_prefix")
    return prefix.rstrip("/") if isinstance(prefix, str) else ""


def _tablespaces(name: str, spec: Mapping[str, object]) -> tuple[Tablespace, ...]:
    found = []
    oids = spec.get("tablespaces") or []
    for oid in oids if isinstance(oids, list) else _refuse(name, "list of tablespaces"):
        entry = spec.get(str(oid))
        location = entry.get("loc") if isinstance(entry, dict) else None
        if (
            not re.fullmatch(r"[0-9]{1,10}", str(oid))
            or not isinstance(location, str)
            or not location
        ):
            _refuse(name, f"location of tablespace {oid}")
        found.append(Tablespace(oid=int(oid), location=location.rstrip("/") or "/"))
    return tuple(found)


def _refuse(name: str, what: str) -> NoReturn:
    raise CorruptError(f"the sentinel of {name} has no usable {what}")
