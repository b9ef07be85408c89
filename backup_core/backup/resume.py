"""What an interrupted backup stored, and how much of it is good for this one.

A stored partition is read back, whole, and every file in it is held against the file that the
cluster has now, content against content: names, sizes and times prove nothing. Only a partition of
which all files are still what they were is taken over, for it cannot be changed in part. It is then
as good as if it had been copied in this moment, within the backup that runs.

What cannot be read back, because its key is elsewhere or it is damaged, is stored anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from backup_core.backup.file_digest import FileDigest
from backup_core.backup.name import remove_leftovers
from backup_core.backup.upload import PartReport, UploadOptions, examine
from backup_core.errors import CorruptError, EncryptionError, NotFoundError
from backup_core.postgres.datadir import DataFile, Listing
from backup_core.repository import layout
from backup_core.repository.catalog import read_catalog
from backup_core.repository.index import IndexedFile
from backup_core.storage.base import Storage
from backup_core.stream.compress import EXTENSIONS, FRAMED, split_frames
from backup_core.stream.digest import WRITTEN
from backup_core.stream.parallel import run_all
from backup_core.stream.tar import read_members

_DIRECTORIES_PART = "part_001."


@dataclass(kw_only=True)
class _StoredPart:
    """A partition as it was read back; `directories` are the paths of those in it."""

    key: str
    report: PartReport
    directories: set[str] = field(default_factory=set)


def find_interrupted(storage: Storage, timeline: int) -> str | None:
    """The newest backup on the timeline that pitr began and did not end; None if there is none.

    One of another tool may be running: no lock of ours tells.
    """
    names = sorted(read_catalog(storage).unfinished, reverse=True)
    return next(
        (
            name
            for name in names
            if layout.backup_timeline(name) == timeline and _is_ours(storage, name)
        ),
        None,
    )


def _is_ours(storage: Storage, name: str) -> bool:
    try:
        storage.stat(layout.started(name))
    except NotFoundError:
        return False
    return True


def take_over(
    storage: Storage,
    name: str,
    listing: Listing,
    options: UploadOptions,
    *,
    workers: int,
    warn: Callable[[str], None],
) -> list[PartReport]:
    """Return the reports of partitions that stay, and delete everything else of the backup.

    Raises RefusedError if something cannot be deleted.
    """
    keys = [info.key for info in storage.list(layout.backup_folder(name))]
    stored = [key for key in keys if _is_partition(key, name, options.method)]
    found = run_all(
        lambda key, _: _read_back(storage, key, options.method),
        stored,
        workers=workers,
        advance=lambda _: None,
    )
    readable = [part for part in found if part is not None]
    agree = run_all(
        lambda part, advance: _agrees(part, listing, replace(options, checkpoint=advance)),
        readable,
        workers=workers,
        advance=options.checkpoint,
    )
    kept = [part for part, same in zip(readable, agree, strict=True) if same]
    remove_leftovers(storage, {*keys} - {part.key for part in kept} - {layout.started(name)})
    warn(f"going on with {name}: {len(kept)} of {len(stored)} stored partitions are still right")
    return [part.report for part in kept]


def _is_partition(key: str, name: str, method: str) -> bool:
    part = key.removeprefix(layout.partitions(name)).partition(".")[0]
    return part.startswith("part_") and key == layout.partition(name, part, EXTENSIONS[method])


def _read_back(storage: Storage, key: str, method: str) -> _StoredPart | None:
    """Describe a stored partition as its upload did; None if it cannot be read whole."""
    part = _StoredPart(key=key, report=PartReport(name=key.rpartition("/")[2]))
    try:
        for member, data in read_members(_content(storage, key, method, part.report), name=key):
            if member.is_directory:
                part.directories.add(member.name.strip("/"))
                continue
            digest = FileDigest()
            for piece in data:
                digest.update(piece)
            part.report.add(member, member.offset, digest)
    except (CorruptError, EncryptionError):
        return None
    return part


def _content(storage: Storage, key: str, method: str, report: PartReport) -> Iterator[bytes]:
    """Yield the tar in a partition, noting where its frames are and what they digest to."""
    whole = hashlib.sha256()
    framed = method in FRAMED
    stored = storage.get(key)
    pairs = split_frames(stored, method=method, name=key)
    for frame, data in pairs:
        if framed or not report.frames:
            report.frames.append((report.stored_size, report.tar_size))
        if framed:
            report.frame_digests.append(WRITTEN.new(frame).digest())
        whole.update(frame)
        report.stored_size += len(frame)
        report.tar_size += len(data)
        yield data
    report.sha256 = whole.hexdigest()


def _agrees(part: _StoredPart, listing: Listing, options: UploadOptions) -> bool:
    """Whether all that is in a partition is what the cluster has now."""
    if part.report.name.startswith(_DIRECTORIES_PART):
        if part.directories != {directory.path for directory in listing.directories}:
            return False
    elif part.directories:
        return False
    now = {file.path: file for file in listing.files}
    pairs = [(file, now.get(file.path)) for file in part.report.files]
    return all(_is_alike(file, current) for file, current in pairs) and all(
        examine(current, options, part.report) == (file.size, file.digest)
        for file, current in pairs
        if current is not None
    )


def _is_alike(file: IndexedFile, current: DataFile | None) -> bool:
    """Whether it is worth reading the file."""
    return current is not None and (current.size, current.mode) == (file.size, file.mode)
