"""PostgreSQL's backup_manifest, by which the stock pg_verifybackup proves a restored directory.

The format is the server's own (manual, "Backup Manifest Format"), one line a file, so
that proof needs nothing of ours. The manifest's checksum covers all bytes before its own line:
whoever changes an entry renders the whole anew. Files have a CRC-32C, the server's own default, or
SHA-256 in manifests of early versions of pitr; why: docs/decisions/digests.md.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import NoReturn, TypeVar

from backup_core.errors import CorruptError, UsageError
from backup_core.postgres.lsn import Lsn

_TIME = "%Y-%m-%d %H:%M:%S GMT"
_CHECKSUM_LINE = re.compile(rb'"Manifest-Checksum": "([0-9a-f]{64})"\}\n')
_CRC32C = "CRC32C"
_CHECKSUMS = {_CRC32C: re.compile(r"[0-9a-f]{8}"), "SHA256": re.compile(r"[0-9a-f]{64}")}
_WITH_IDENTIFIER = 2
_WITHOUT_IDENTIFIER = 1

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class ManifestFile:
    """A file of the backup: size in bytes, timezone-aware time, checksum in hexadecimal.

    The path is relative to the data directory; bytes that are not UTF-8 are surrogate escapes.
    The algorithm is called as the server calls it.
    """

    path: str
    size: int
    modified: datetime
    checksum: str
    algorithm: str = _CRC32C


@dataclass(frozen=True, kw_only=True)
class ManifestWalRange:
    """WAL that must be replayed to make the backup consistent; `end` is exclusive."""

    timeline: int
    start: Lsn
    end: Lsn


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A parsed backup_manifest; the system identifier is None in version 1 (before 17)."""

    system_identifier: int | None
    files: tuple[ManifestFile, ...]
    ranges: tuple[ManifestWalRange, ...]


def crc32c_text(checksum: int) -> str:
    """A CRC-32C as a manifest has it: its bytes as they are in memory, in hexadecimal."""
    return checksum.to_bytes(4, sys.byteorder).hex()


def render_manifest(
    files: Iterable[ManifestFile],
    ranges: Iterable[ManifestWalRange],
    *,
    system_identifier: int | None,
) -> Iterator[bytes]:
    """Yield a backup_manifest piece by piece; `files` is consumed as it goes.

    With a system identifier the version is 2, which servers before 17 do not read.
    """
    digest = sha256()
    for piece in _body(files, ranges, system_identifier):
        digest.update(piece)
        yield piece
    yield f'"Manifest-Checksum": "{digest.hexdigest()}"}}\n'.encode()


def _body(
    files: Iterable[ManifestFile],
    ranges: Iterable[ManifestWalRange],
    system_identifier: int | None,
) -> Iterator[bytes]:
    version = _WITHOUT_IDENTIFIER if system_identifier is None else _WITH_IDENTIFIER
    yield f'{{ "PostgreSQL-Backup-Manifest-Version": {version},\n'.encode()
    if system_identifier is not None:
        yield f'"System-Identifier": {system_identifier},\n'.encode()
    yield b'"Files": ['
    yield from _rows(map(_file_row, files))
    yield b'],\n"WAL-Ranges": ['
    yield from _rows(map(_range_row, ranges))
    yield b"],\n"


def _rows(rows: Iterable[str]) -> Iterator[bytes]:
    separator = "\n"
    for row in rows:
        yield f"{separator}{row}".encode()
        separator = ",\n"
    yield b"\n"


def _file_row(file: ManifestFile) -> str:
    modified = file.modified.astimezone(UTC).strftime(_TIME)
    return (
        f'{{ {_path(file.path)}, "Size": {file.size}, "Last-Modified": "{modified}", '
        f'"Checksum-Algorithm": "{file.algorithm}", "Checksum": "{file.checksum}" }}'
    )


def _path(path: str) -> str:
    raw = path.encode("utf-8", "surrogateescape")
    try:
        return f'"Path": {json.dumps(raw.decode("utf-8"), ensure_ascii=False)}'
    except UnicodeDecodeError:
        return f'"Encoded-Path": "{raw.hex()}"'


def _range_row(wal: ManifestWalRange) -> str:
    return f'{{ "Timeline": {wal.timeline}, "Start-LSN": "{wal.start}", "End-LSN": "{wal.end}" }}'


def replace_file(manifest: bytes, file: ManifestFile) -> bytes:
    """Give the file of that path another entry, and the manifest the checksum that goes with it.

    Raises CorruptError for a manifest that is damaged or does not list the file.
    """
    parsed = parse_manifest(manifest)
    if all(entry.path != file.path for entry in parsed.files):
        raise CorruptError(f"the backup manifest does not list {file.path}")
    files = (file if entry.path == file.path else entry for entry in parsed.files)
    return b"".join(
        render_manifest(files, parsed.ranges, system_identifier=parsed.system_identifier)
    )


def parse_manifest(data: bytes) -> Manifest:
    """Read a backup_manifest whose files have CRC-32C or SHA-256.

    Raises CorruptError if its own checksum does not hold or it is not a manifest of this kind.
    """
    check_manifest(data)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        _fail("it is not JSON")
    version = _field(document, "PostgreSQL-Backup-Manifest-Version", int)
    if version not in (_WITHOUT_IDENTIFIER, _WITH_IDENTIFIER):
        _fail(f"its version is {version}, not 1 or 2")
    identified = version == _WITH_IDENTIFIER
    return Manifest(
        system_identifier=_field(document, "System-Identifier", int) if identified else None,
        files=_each(document, "Files", _parse_file),
        ranges=_each(document, "WAL-Ranges", _parse_range),
    )


def check_manifest(data: bytes) -> None:
    """Raise CorruptError unless a backup_manifest's own checksum holds."""
    begin = data.rfind(b"\n", 0, len(data) - 1) + 1
    match = _CHECKSUM_LINE.fullmatch(data, begin)
    if match is None:
        _fail("it does not end with a line that holds its checksum")
    stated, computed = match[1].decode(), sha256(memoryview(data)[:begin]).hexdigest()
    if stated != computed:
        _fail(f"its SHA-256 is {computed}, it says {stated}")


def _parse_file(entry: object) -> ManifestFile:
    algorithm = _field(entry, "Checksum-Algorithm", str)
    if algorithm not in _CHECKSUMS:
        _fail(f'its checksum algorithm is "{algorithm}", not {" or ".join(_CHECKSUMS)}')
    checksum = _field(entry, "Checksum", str)
    if not _CHECKSUMS[algorithm].fullmatch(checksum):
        _fail(f'"{checksum}" is not a {algorithm}')
    modified = _field(entry, "Last-Modified", str)
    try:
        moment = datetime.strptime(modified, _TIME).replace(tzinfo=UTC)
    except ValueError:
        _fail(f'"{modified}" is not a time')
    size = _field(entry, "Size", int)
    return ManifestFile(
        path=_parse_path(entry),
        size=size,
        modified=moment,
        checksum=checksum,
        algorithm=algorithm,
    )


def _parse_path(entry: object) -> str:
    if isinstance(entry, dict) and "Encoded-Path" in entry:
        encoded = _field(entry, "Encoded-Path", str)
        try:
            return bytes.fromhex(encoded).decode("utf-8", "surrogateescape")
        except ValueError:
            _fail(f'"{encoded}" is not an encoded path')
    return _field(entry, "Path", str)


def _parse_range(entry: object) -> ManifestWalRange:
    try:
        return ManifestWalRange(
            timeline=_field(entry, "Timeline", int),
            start=Lsn.parse(_field(entry, "Start-LSN", str)),
            end=Lsn.parse(_field(entry, "End-LSN", str)),
        )
    except UsageError as error:
        _fail(error.message)


def _each(document: object, name: str, parse: Callable[[object], _T]) -> tuple[_T, ...]:
    entries: Sequence[object] = _field(document, name, list)
    return tuple(map(parse, entries))


def _field(entry: object, name: str, kind: type[_T]) -> _T:
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        _fail(f'"{name}" is missing or of another type')
    return value


def _fail(why: str) -> NoReturn:
    raise CorruptError(
        f"the backup manifest is damaged: {why}",
        hint="Verify the backup in the repository; another copy or backup may be whole.",
    )
