"""A backup's sentinel and metadata.json: WAL-G's documents, written exactly, read leniently.

LSNs are JSON integers, times RFC 3339 in UTC (docs/repository-format.md). Old writers left keys
out, wrote null, or spelled them in another case; a reader takes all of that. What tells a delta
backup from a full one is the exception: half of it is worse than nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from backup_core.errors import CorruptError
from backup_core.postgres.lsn import Lsn

DATE_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
_DELTA_KEYS = ("DeltaFrom", "DeltaFullName", "DeltaCount")


@dataclass(frozen=True, kw_only=True)
class Tablespace:
    """A tablespace outside the data directory; `location` is where it was when backed up."""

    oid: int
    location: str


@dataclass(frozen=True, kw_only=True)
class Backup:
    """One base backup; sizes in bytes, times timezone-aware, both LSNs of its own timeline.

    The `delta_` fields say what a delta backup is made on: its direct parent, from whose start LSN
    pages were compared, the full backup at the end of the chain, and at least the number of
    backups below this one. `files_embedded`: the list of files is in the sentinel.
    """

    name: str
    timeline: int
    start_lsn: Lsn
    finish_lsn: Lsn
    start_time: datetime
    finish_time: datetime
    pg_version: int
    system_identifier: int | None
    hostname: str
    data_dir: str
    uncompressed_size: int
    compressed_size: int
    data_catalog_size: int
    tablespaces: tuple[Tablespace, ...] = ()
    permanent: bool = False
    files_metadata_disabled: bool = False
    files_embedded: bool = False
    sentinel_version: int = 2
    delta_from: str | None = None
    delta_lsn: Lsn | None = None
    delta_full_name: str | None = None
    delta_count: int = 0
    user_data: object = None
    corrupt_pages: int = 0
    origin: Literal["wal-g", "wal-e"] = "wal-g"

    @property
    def major(self) -> int:
        """The major version of the server; 9 stands for 9.6."""
        return self.pg_version // 10000


@dataclass(frozen=True, kw_only=True)
class _Document:
    """A JSON object whose keys are found whatever their case."""

    name: str
    values: Mapping[str, object] = field(default_factory=dict)

    def integer(self, key: str, default: int | None = None) -> int:
        value = self.values.get(key.lower())
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise CorruptError(f"the sentinel of {self.name} has no usable {key}")
        return value

    def text(self, key: str) -> str:
        value = self.values.get(key.lower())
        return value if isinstance(value, str) else ""

    def flag(self, key: str) -> bool:
        return self.values.get(key.lower()) is True

    def time(self, key: str) -> datetime | None:
        text = self.text(key)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def render_sentinel(backup: Backup) -> bytes:
    """The sentinel that stock wal-g reads (version 2)."""
    document: dict[str, object] = {
        "LSN": int(backup.start_lsn),
        "PgVersion": backup.pg_version,
        "FinishLSN": int(backup.finish_lsn),
        "SystemIdentifier": backup.system_identifier,
        "UncompressedSize": backup.uncompressed_size,
        "CompressedSize": backup.compressed_size,
        "DataCatalogSize": backup.data_catalog_size,
    }
    if backup.tablespaces:
        document["Spec"] = _render_spec(backup)
    if backup.user_data is not None:
        document["UserData"] = backup.user_data
    if backup.files_metadata_disabled:
        document["FilesMetadataDisabled"] = True
    document |= {
        "ChkpNum": None,
        "Version": 2,
        "StartTime": format_time(backup.start_time),
        "FinishTime": format_time(backup.finish_time),
        "DateFmt": DATE_FORMAT,
        "Hostname": backup.hostname,
        "DataDir": backup.data_dir,
        "IsPermanent": backup.permanent,
    }
    return json.dumps(document).encode()


def render_metadata(backup: Backup) -> bytes:
    """The metadata.json that stock wal-g lists, marks and deletes by."""
    document: dict[str, object] = {
        "start_time": format_time(backup.start_time),
        "finish_time": format_time(backup.finish_time),
        "date_fmt": DATE_FORMAT,
        "hostname": backup.hostname,
        "data_dir": backup.data_dir,
        "pg_version": backup.pg_version,
        "start_lsn": int(backup.start_lsn),
        "finish_lsn": int(backup.finish_lsn),
        "is_permanent": backup.permanent,
        "system_identifier": backup.system_identifier,
        "uncompressed_size": backup.uncompressed_size,
        "compressed_size": backup.compressed_size,
    }
    if backup.user_data is not None:
        document["user_data"] = backup.user_data
    return json.dumps(document).encode()


def _render_spec(backup: Backup) -> dict[str, object]:
    spec: dict[str, object] = {
        "base_prefix": backup.data_dir,
        "tablespaces": [str(space.oid) for space in backup.tablespaces],
    }
    for space in backup.tablespaces:
        spec[str(space.oid)] = {"loc": space.location, "link": f"pg_tblspc/{space.oid}"}
    return spec


def parse_backup(
    name: str,
    timeline: int,
    sentinel: bytes,
    metadata: bytes | None,
    *,
    modified: datetime | None = None,
    corrupt_pages: int = 0,
) -> Backup:
    """Read the documents of one backup; raises CorruptError naming it.

    Without times in either document, as early versions left it, the sentinel's own age serves.
    """
    main = _document(name, sentinel)
    extra = _document(name, metadata) if metadata else _Document(name=name)
    fallback = modified or datetime.fromtimestamp(0, UTC)
    start = main.time("StartTime") or extra.time("start_time") or fallback
    system = main.integer("SystemIdentifier", 0) or extra.integer("system_identifier", 0)
    return Backup(
        name=name,
        timeline=timeline,
        start_lsn=Lsn(main.integer("LSN")),
        finish_lsn=Lsn(main.integer("FinishLSN")),
        start_time=start,
        finish_time=main.time("FinishTime") or extra.time("finish_time") or fallback,
        pg_version=main.integer("PgVersion"),
        system_identifier=system or None,
        hostname=main.text("Hostname") or extra.text("hostname"),
        data_dir=main.text("DataDir") or extra.text("data_dir"),
        uncompressed_size=main.integer("UncompressedSize", 0),
        compressed_size=main.integer("CompressedSize", 0),
        data_catalog_size=main.integer("DataCatalogSize", 0),
        tablespaces=_tablespaces(name, main.values.get("spec")),
        permanent=extra.flag("is_permanent") if metadata else main.flag("IsPermanent"),
        files_metadata_disabled=main.flag("FilesMetadataDisabled"),
        files_embedded=main.values.get("files") is not None,
        sentinel_version=main.integer("Version", 0),
        delta_from=main.text("DeltaFrom") or None,
        delta_lsn=_parent_start(main),
        delta_full_name=main.text("DeltaFullName") or None,
        delta_count=main.integer("DeltaCount", 0),
        user_data=main.values.get("userdata"),
        corrupt_pages=corrupt_pages,
    )


def _parent_start(main: _Document) -> Lsn | None:
    """The LSN a delta backup compared pages with; CorruptError for half of a delta's keys."""
    key = "DeltaLSN" if main.values.get("deltalsn") is not None else "DeltaFromLSN"
    present = [bool(main.values.get(name.lower())) for name in (key, *_DELTA_KEYS)]
    if not any(present):
        return None
    if not all(present) or not main.text("DeltaFrom") or not main.text("DeltaFullName"):
        raise CorruptError(
            f"the sentinel of {main.name} describes only half of a delta backup: it needs "
            "DeltaLSN, DeltaFrom, DeltaFullName and DeltaCount, or none of them"
        )
    return Lsn(main.integer(key))


def _document(name: str, data: bytes) -> _Document:
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError):
        raise CorruptError(f"the sentinel or metadata of {name} is not JSON") from None
    if not isinstance(parsed, dict):
        raise CorruptError(f"the sentinel or metadata of {name} is not a JSON object")
    return _Document(name=name, values={key.lower(): value for key, value in parsed.items()})


def _tablespaces(name: str, spec: object) -> tuple[Tablespace, ...]:
    if not isinstance(spec, dict):
        return ()
    found = []
    oids = spec.get("tablespaces") or []
    for oid in oids if isinstance(oids, list) else [oids]:
        entry = spec.get(str(oid))
        location = entry.get("loc") if isinstance(entry, dict) else None
        if not str(oid).isdecimal() or not isinstance(location, str) or not location:
            raise CorruptError(f"the sentinel of {name} describes tablespace {oid} incompletely")
        found.append(Tablespace(oid=int(oid), location=location))
    return tuple(found)


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC, as Go prints and reads it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
