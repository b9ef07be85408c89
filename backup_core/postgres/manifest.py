"""PostgreSQL's backup_manifest (manual, chapter 77 "Backup Manifest Format").

Written with SHA-256 per file, so that the stock pg_verifybackup proves a restored directory without
any help of ours.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from backup_core.errors import CorruptError
from backup_core.postgres.lsn import Lsn

_TIME = "%Y-%m-%d %H:%M:%S GMT"
_CHECKSUM = b'"Manifest-Checksum": "'


@dataclass(frozen=True, kw_only=True)
class ManifestFile:
    """A file of the data directory; `size` in bytes, `sha256` in hexadecimal."""

    path: str
    size: int
    modified: datetime
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ManifestWalRange:
    """WAL without which the backup cannot be used."""

    timeline: int
    start: Lsn
    end: Lsn


def render_manifest(
    files: Iterable[ManifestFile],
    ranges: Iterable[ManifestWalRange],
    *,
    system_identifier: int | None,
) -> Iterator[bytes]:
    """Yield a manifest, a line a file.

    With a system identifier it is of version 2, which servers before 17 do not know.
    """
    digest = hashlib.sha256()
    for line in _lines(files, ranges, system_identifier):
        digest.update(line)
        yield line
    yield _closing(digest.hexdigest())


def replace_file(manifest: bytes, file: ManifestFile) -> bytes:
    """Give one file of a manifest written here another entry; CorruptError if it has none."""
    start = json.dumps({"Path": file.path}).rstrip("}").encode()
    lines = manifest.splitlines(keepends=True)
    numbers = [number for number, line in enumerate(lines) if line.lstrip(b",").startswith(start)]
    if len(numbers) != 1 or not lines[-1].startswith(_CHECKSUM):
        raise CorruptError(
            f'the backup_manifest names "{file.path}" {len(numbers)} times, not once'
        )
    number = numbers[0]
    comma = b"," if lines[number].startswith(b",") else b""
    lines[number] = comma + json.dumps(_file_entry(file)).encode() + b"\n"
    body = b"".join(lines[:-1])
    return body + _closing(hashlib.sha256(body).hexdigest())


def _closing(checksum: str) -> bytes:
    return _CHECKSUM + checksum.encode() + b'"}\n'


def _lines(
    files: Iterable[ManifestFile],
    ranges: Iterable[ManifestWalRange],
    system_identifier: int | None,
) -> Iterator[bytes]:
    version = 1 if system_identifier is None else 2
    yield f'{{ "PostgreSQL-Backup-Manifest-Version": {version},\n'.encode()
    if system_identifier is not None:
        yield f'"System-Identifier": {system_identifier},\n'.encode()
    yield b'"Files": [\n'
    yield from _entries(map(_file_entry, files))
    yield b'],\n"WAL-Ranges": [\n'
    yield from _entries(map(_range_entry, ranges))
    yield b"],\n"


def _entries(entries: Iterable[dict[str, str | int]]) -> Iterator[bytes]:
    for number, entry in enumerate(entries):
        yield (b"," if number else b"") + json.dumps(entry).encode() + b"\n"


def _file_entry(file: ManifestFile) -> dict[str, str | int]:
    """A path that is not UTF-8 is given in hexadecimal."""
    try:
        file.path.encode()
        path = {"Path": file.path}
    except UnicodeEncodeError:
        path = {"Encoded-Path": file.path.encode("utf-8", "surrogateescape").hex()}
    return {
        **path,
        "Size": file.size,
        "Last-Modified": file.modified.astimezone(UTC).strftime(_TIME),
        "Checksum-Algorithm": "SHA256",
        "Checksum": file.sha256,
    }


def _range_entry(wal: ManifestWalRange) -> dict[str, str | int]:
    return {"Timeline": wal.timeline, "Start-LSN": str(wal.start), "End-LSN": str(wal.end)}
