"""Where each file of a backup is stored, with its digest: `index.json.zst`.

A part is a series of compressed frames. The index maps a file to its part and to its offset in the
part's tar, and each part's frames to offsets on both sides, so one file needs one ranged read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from backup_core.errors import CorruptError
from backup_core.stream.digest import SIZE, Algorithm

_VERSION = 2
_HINT = "A newer pitr wrote this backup; restore it with that."


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexedFile:
    """A regular file of the data directory; `path` is relative to it, `offset` in the part's tar.

    Tablespace files have paths below `pg_tblspc/<oid>/`. `digest` is of the stored content, in
    hexadecimal, by the algorithm that the index names.
    """

    path: str
    part: str
    offset: int
    size: int
    mode: int
    mtime: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class IndexedPart:
    """A tar partition; `frames` pairs each frame's offset in the object with that in the tar.

    Size, digests and offsets are of the object's content: encryption, which makes it larger, may
    change later. `frame_digests` has the frames' digests, 32 bytes each, one after the other; it is
    empty in indexes of early versions and where a part is one frame.
    """

    name: str
    stored_size: int
    tar_size: int
    sha256: str
    frames: tuple[tuple[int, int], ...]
    frame_digests: bytes = b""


@dataclass(frozen=True, kw_only=True)
class BackupIndex:
    """Everything that is in a backup; `wal_segment_size` in bytes.

    `algorithm` made the digests of files and frames; those of parts are SHA-256.
    """

    wal_segment_size: int
    algorithm: Algorithm
    files: tuple[IndexedFile, ...]
    directories: tuple[str, ...]
    parts: tuple[IndexedPart, ...]


def render_index(index: BackupIndex) -> Iterator[bytes]:
    """Yield the index as JSON, a line a file, so that no more than a line is held."""
    head = {
        "version": _VERSION,
        "wal_segment_size": index.wal_segment_size,
        "digest_algorithm": index.algorithm.value,
    }
    yield json.dumps(head)[:-1].encode() + b', "parts": ['
    yield from _rows(
        [part.name, part.stored_size, part.tar_size, part.sha256, part.frames]
        for part in index.parts
    )
    yield b'],\n"directories": ['
    yield from _rows(index.directories)
    yield b'],\n"frame_digests": ['
    yield from _rows(
        [part.name, part.frame_digests.hex()] for part in index.parts if part.frame_digests
    )
    yield b'],\n"files": ['
    yield from _rows(
        [file.path, file.part, file.offset, file.size, file.mode, file.mtime, file.digest]
        for file in index.files
    )
    yield b"]}\n"


def _rows(rows: Iterable[object]) -> Iterator[bytes]:
    for number, row in enumerate(rows):
        yield (",\n" if number else "\n").encode() + json.dumps(row).encode()


def parse_index(data: bytes, *, name: str) -> BackupIndex:
    """Read an index; raises CorruptError naming the object."""
    try:
        document = json.loads(data)
        if document["version"] not in (1, _VERSION):
            raise CorruptError(
                f"{name} is an index of version {document['version']}, "
                f"this pitr reads versions up to {_VERSION}",
                hint=_HINT,
            )
        digests = {name: bytes.fromhex(text) for name, text in document.get("frame_digests", ())}
        return BackupIndex(
            wal_segment_size=int(document["wal_segment_size"]),
            algorithm=_algorithm(document.get("digest_algorithm"), name),
            files=tuple(_file(*row) for row in document["files"]),
            directories=tuple(map(str, document["directories"])),
            parts=tuple(_part(digests, *row) for row in document["parts"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError):
        raise CorruptError(f"{name} is not a readable backup index") from None


def _algorithm(named: object, name: str) -> Algorithm:
    """Version 1 named none."""
    if named is None:
        return Algorithm.SHA256
    try:
        return Algorithm(named)
    except ValueError:
        raise CorruptError(
            f"{name} has digests by {named}, which this pitr does not know", hint=_HINT
        ) from None


def _file(
    path: str, part: str, offset: int, size: int, mode: int, mtime: int, digest: str
) -> IndexedFile:
    return IndexedFile(
        path=path, part=part, offset=offset, size=size, mode=mode, mtime=mtime, digest=digest
    )


def _part(
    digests: Mapping[str, bytes],
    name: str,
    stored_size: int,
    tar_size: int,
    sha256: str,
    frames: list[list[int]],
) -> IndexedPart:
    frame_digests = digests.get(name, b"")
    if len(frame_digests) not in (0, SIZE * len(frames)):
        raise ValueError
    return IndexedPart(
        name=name,
        stored_size=stored_size,
        tar_size=tar_size,
        sha256=sha256,
        frames=tuple((stored, tar) for stored, tar in frames),
        frame_digests=frame_digests,
    )
