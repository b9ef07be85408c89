"""The documents that stand beside a backup's partitions (docs/repository-format.md)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby

from backup_core.postgres.manifest import (
    ManifestFile,
    ManifestWalRange,
    crc32c_text,
    render_manifest,
)
from backup_core.repository.index import BackupIndex, IndexedFile
from backup_core.repository.sentinel import Backup, format_time

_CONTROL = "global/pg_control"
_APART = {_CONTROL, "backup_label", "tablespace_map"}
_SOME = 10


def manifest(index: BackupIndex, checksums: Iterable[int], backup: Backup) -> Iterator[bytes]:
    """PostgreSQL's backup_manifest, by which pg_verifybackup proves a restored directory.

    `checksums` are the CRC-32C of the index's files, in their order.
    """
    wal = ManifestWalRange(timeline=backup.timeline, start=backup.start_lsn, end=backup.finish_lsn)
    return render_manifest(
        (
            manifest_file(file, checksum)
            for file, checksum in zip(index.files, checksums, strict=True)
            if not is_empty_map(file)
        ),
        [wal],
        system_identifier=backup.system_identifier if backup.major >= 17 else None,
    )


def manifest_file(file: IndexedFile, checksum: int) -> ManifestFile:
    """The manifest's entry for an indexed file of this CRC-32C."""
    return ManifestFile(
        path=file.path,
        size=file.size,
        modified=datetime.fromtimestamp(file.mtime, UTC),
        checksum=crc32c_text(checksum),
    )


def is_empty_map(file: IndexedFile) -> bool:
    """An empty tablespace map is stored for WAL-G but never restored."""
    return file.path == "tablespace_map" and file.size == 0


def files_metadata(index: BackupIndex, corrupt: Mapping[str, Sequence[int]]) -> Iterator[bytes]:
    """WAL-G's files_metadata.json; it restores only files that are named here."""
    yield b'{"Files": {'
    yield from _joined(_files(index, corrupt))
    yield b'}, "TarFileSets": {'
    yield from _joined(_tar_file_sets(index))
    yield b'}, "DatabasesByNames": {}}'


def _files(index: BackupIndex, corrupt: Mapping[str, Sequence[int]]) -> Iterator[str]:
    entry: dict[str, object]
    for directory in index.directories:
        entry = {"IsIncremented": False, "IsSkipped": False, "MTime": _time(0), "UpdatesCount": 0}
        yield f"{json.dumps('/' + directory)}: {json.dumps(entry)}"
    for file in index.files:
        if file.path in _APART:
            continue
        entry = {"IsIncremented": False, "IsSkipped": False, "MTime": _time(file.mtime)}
        if blocks := corrupt.get(file.path):
            entry["CorruptBlocks"] = {
                "CorruptBlocksCount": len(blocks),
                "SomeCorruptBlocks": list(blocks[:_SOME]),
            }
        entry["UpdatesCount"] = 0
        yield f"{json.dumps('/' + file.path)}: {json.dumps(entry)}"


def _tar_file_sets(index: BackupIndex) -> Iterator[str]:
    """The names in each part, whose files follow each other in the index."""
    for part, files in groupby(index.files, key=lambda file: file.part):
        names = [file.path for file in files]
        if "backup_label" in names:
            yield f'{json.dumps(part)}: ["tablespace_map", "backup_label"]'
        elif names != [_CONTROL]:
            yield f"{json.dumps(part)}: {json.dumps([f'/{name}' for name in names])}"


def _joined(rows: Iterable[str]) -> Iterator[bytes]:
    for number, row in enumerate(rows):
        yield (",\n" + row if number else row).encode()


def _time(seconds: int) -> str:
    return format_time(datetime.fromtimestamp(seconds, UTC))


def started_document(system_identifier: int) -> bytes:
    """That a backup of this cluster was begun by pitr."""
    return json.dumps({"version": 1, "system_identifier": system_identifier}).encode()


def corrupt_pages_document(corrupt: Mapping[str, Sequence[int]]) -> bytes:
    """The blocks that failed their checksums, by file."""
    return json.dumps({"version": 1, "files": corrupt}).encode()
