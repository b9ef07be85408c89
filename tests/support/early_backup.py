"""Backups as pitr wrote them before an index named its algorithm: all digests are SHA-256."""

import json
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise

from backup_core.postgres.manifest import parse_manifest, render_manifest
from backup_core.repository import layout
from backup_core.repository.catalog import read_index
from backup_core.repository.index import BackupIndex, IndexedPart, render_index
from backup_core.storage.base import Storage
from backup_core.stream.compress import compress, decode


def make_early(storage: Storage, name: str) -> None:
    """Give a backup the index and the manifest that an early version would have written."""
    found = read_index(storage, name)
    assert found is not None
    index = _with_sha256(storage, name, found)
    document = json.loads(b"".join(render_index(index)))
    document["version"] = 1
    del document["digest_algorithm"]
    rendered = json.dumps(document).encode()
    _replace(storage, layout.index(name), compress(rendered, method="zstd", level=3))
    _replace(storage, layout.manifest(name), _manifest(storage, name, index))


def _with_sha256(storage: Storage, name: str, index: BackupIndex) -> BackupIndex:
    tars, parts = {}, []
    for part in index.parts:
        key = layout.partitions(name) + part.name
        stored = b"".join(map(bytes, storage.get(key)))
        tars[part.name] = b"".join(
            map(bytes, decode([stored], extension=layout.extension_of(key), name=key))
        )
        parts.append(_part_with_sha256(part, stored))
    files = tuple(
        replace(
            file,
            digest=sha256(tars[file.part][file.offset : file.offset + file.size]).hexdigest(),
        )
        for file in index.files
    )
    return replace(index, files=files, parts=tuple(parts))


def _part_with_sha256(part: IndexedPart, stored: bytes) -> IndexedPart:
    if not part.frame_digests:
        return part
    edges = [*(start for start, _ in part.frames), len(stored)]
    digests = [sha256(stored[start:stop]).digest() for start, stop in pairwise(edges)]
    return replace(part, frame_digests=b"".join(digests))


def _manifest(storage: Storage, name: str, index: BackupIndex) -> bytes:
    manifest = parse_manifest(b"".join(map(bytes, storage.get(layout.manifest(name)))))
    digests = {file.path: file.digest for file in index.files}
    files = [
        replace(file, algorithm="SHA256", checksum=digests[file.path]) for file in manifest.files
    ]
    return b"".join(
        render_manifest(files, manifest.ranges, system_identifier=manifest.system_identifier)
    )


def _replace(storage: Storage, key: str, content: bytes) -> None:
    storage.delete([key])
    storage.put(key, [content])
