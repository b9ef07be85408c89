"""Fill directories from a backup's partitions, several at once.

Each file is created, never opened if it exists, and held against its digest while it is written.
A path leads nowhere but below the data directory or a tablespace's location.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from backup_core.errors import CorruptError, PitrError
from backup_core.repository import layout
from backup_core.repository.index import IndexedFile
from backup_core.storage.base import Storage
from backup_core.stream.compress import decode
from backup_core.stream.parallel import read_ahead, run_all
from backup_core.stream.tar import TarMember, read_members

_PG_TBLSPC = "pg_tblspc"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where paths of the backup go; `tablespaces` maps OIDs to their locations."""

    data_dir: Path
    tablespaces: Mapping[int, Path]

    def locate(self, path: str) -> Path:
        """The place of a path relative to the data directory; raises CorruptError if it escapes."""
        parts = [part for part in path.split("/") if part]
        if ".." in parts or "." in parts or "\0" in path:
            raise CorruptError(f'the backup holds "{path}", which leads out of the data directory')
        if len(parts) >= 2 and parts[0] == _PG_TBLSPC and parts[1].isdecimal():
            location = self.tablespaces.get(int(parts[1]))
            if location is not None:
                return location.joinpath(*parts[2:])
        return self.data_dir.joinpath(*parts)


@dataclass(frozen=True, kw_only=True)
class ExtractOptions:
    """How to extract; `files` is None for a backup without digests, `advance` counts bytes."""

    layout: Layout
    files: Mapping[str, IndexedFile] | None
    workers: int
    advance: Callable[[int], None]


def extract_parts(storage: Storage, keys: Sequence[str], options: ExtractOptions) -> set[str]:
    """Extract all partitions; return the paths of the files written.

    Raises CorruptError for content that is not what the backup's index says, and PitrError when a
    file cannot be written. The first error ends all workers.
    """
    with ThreadPoolExecutor(options.workers, thread_name_prefix="decoder") as decoders:
        written = run_all(
            lambda key, advance: set(_extract_part(storage, key, options, advance, decoders)),
            keys,
            workers=options.workers,
            advance=options.advance,
        )
    return set().union(*written)


def read_small_part(storage: Storage, key: str) -> dict[str, tuple[TarMember, bytes]]:
    """Read a partition of a few small files into memory, by name without a leading slash."""
    chunks = decode(storage.get(key), extension=layout.extension_of(key), name=key)
    return {
        member.name.lstrip("/"): (member, b"".join(data))
        for member, data in read_members(chunks, name=key)
    }


def check_digest(path: str, digest: str, files: Mapping[str, IndexedFile] | None) -> None:
    """Raise CorruptError unless a file of this SHA-256 is the one that was backed up."""
    if files is None:
        return
    expected = files.get(path)
    if expected is None:
        raise CorruptError(f'the backup holds "{path}", which its index does not name')
    if expected.sha256 != digest:
        raise CorruptError(
            f'"{path}" does not have the content that was backed up: its digest differs',
            hint="The stored backup is damaged; restore an older one.",
        )


def _extract_part(
    storage: Storage,
    key: str,
    options: ExtractOptions,
    advance: Callable[[int], None],
    decoders: Executor,
) -> Iterator[str]:
    chunks = decode(storage.get(key), extension=layout.extension_of(key), name=key)
    for member, data in read_members(read_ahead(decoders, chunks), name=key):
        path = member.name.strip("/")
        place = options.layout.locate(path)
        try:
            if member.is_directory:
                place.mkdir(parents=True, exist_ok=True)
                place.chmod(member.mode or 0o700)
                continue
            digest = _write(place, member.mode, data, advance)
        except OSError as error:
            raise PitrError(
                f"cannot write {place}: {error.strerror}",
                hint="What was restored so far cannot be started; remove it before trying again.",
            ) from None
        check_digest(path, digest, options.files)
        yield path


def _write(
    place: Path, mode: int, data: Iterable[memoryview], advance: Callable[[int], None]
) -> str:
    digest = hashlib.sha256()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(place, flags, 0o600)
    except FileNotFoundError:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(place, flags, 0o600)
    try:
        for piece in data:
            digest.update(piece)
            advance(len(piece))
            while piece:
                piece = piece[os.write(descriptor, piece) :]
        os.fchmod(descriptor, mode & 0o7777)
    finally:
        os.close(descriptor)
    return digest.hexdigest()
