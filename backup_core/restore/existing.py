"""What of a backup is in a directory already, and what there must go.

A file counts as restored only if its content has the digest that the index names, however much size
and time agree: a crashed copy has the right size, and a cluster that went its own way has files
whose times mean nothing here. One that has a second name by a hard link is another directory's too.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from backup_core.errors import CorruptError, PitrError
from backup_core.postgres.control import CONTROL_FILE
from backup_core.repository import parts
from backup_core.repository.index import BackupIndex, IndexedFile
from backup_core.restore import marker, tree
from backup_core.restore.members import split_path, tablespace_of
from backup_core.restore.places import Layout
from backup_core.stream.chunks import CHUNK_SIZE
from backup_core.stream.digest import Algorithm
from backup_core.stream.parallel import run_all


@dataclass(frozen=True, kw_only=True)
class Existing:
    """What a directory holds: paths of files that stay, and of what is removed.

    `removed` has what the backup does not: files and links first, then directories, each after what
    is below it. `replaced` are files of other content, `modes` those that stay, of which the mode
    is another. `present` counts the bytes of all files, by
    tablespace, None for the data directory.
    """

    kept: frozenset[str] = frozenset()
    removed: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    kept_size: int = 0
    present: Mapping[int | None, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Found:
    path: str
    source: str
    status: os.stat_result


def survey(
    places: Layout, index: BackupIndex, *, workers: int, advance: Callable[[int], None]
) -> Existing:
    """Hold everything that is there against the index; nothing is changed.

    `advance` counts the bytes read. Raises PitrError for what cannot be read.
    """
    files = {file.path: file for file in index.files if not parts.is_last(file.part)}
    directories = set(index.directories)
    found = list(_walk(places, index))
    candidates = [each for each in found if _may_be(each, files)]
    digests = run_all(
        lambda each, advance: file_digest(each.source, index.algorithm, advance),
        candidates,
        workers=workers,
        advance=advance,
    )
    kept = {
        each.path: each
        for each, digest in zip(candidates, digests, strict=True)
        if digest == files[each.path].digest
    }
    others = [
        each
        for each in found
        if not (_is_directory(each) and each.path in directories)
        and not (_is_file(each) and each.path in files)
    ]
    return Existing(
        kept=frozenset(kept),
        removed=tuple(each.path for each in sorted(others, key=_removal_order)),
        replaced=tuple(
            each.path
            for each in found
            if _is_file(each) and each.path in files and each.path not in kept
        ),
        modes=tuple(
            path
            for path, each in kept.items()
            if stat.S_IMODE(each.status.st_mode) != files[path].mode & 0o777
        ),
        kept_size=sum(files[path].size for path in kept),
        present=_present(places, found),
    )


def _present(places: Layout, found: Iterable[_Found]) -> dict[int | None, int]:
    sizes: dict[int | None, int] = {}
    for each in found:
        if _is_file(each):
            oid = tablespace_of(split_path(each.path))
            place = oid if oid in places.tablespaces else None
            sizes[place] = sizes.get(place, 0) + each.status.st_size
    return sizes


def check_files(places: Layout, index: BackupIndex, *, workers: int) -> None:
    """Raise CorruptError unless every file that was restored has the content of its digest."""
    found = survey(places, index, workers=workers, advance=lambda _: None)
    files = {file.path for file in index.files if not parts.is_last(file.part)}
    if wrong := files - found.kept:
        raise CorruptError(
            f'{len(wrong)} restored files do not have the content that was backed up: "{min(wrong)}'
            '", ...',
            hint="The stored backup is damaged, or this machine's memory or disk is; restore an "
            "older one, or here again.",
        )


def clear(places: Layout, existing: Existing, files: Mapping[str, IndexedFile]) -> None:
    """Remove what must go, pg_control first and durably: no server starts on what is left."""
    control = tree.Place(root=places.data_dir, parts=split_path(CONTROL_FILE))
    if CONTROL_FILE in existing.removed:
        _remove(control)
        marker.sync_directory(control.path.parent)
    for path in (*existing.removed, *existing.replaced):
        if path != CONTROL_FILE:
            _remove(_place(places, path))
    for path in existing.modes:
        _place(places, path).path.chmod(files[path].mode & 0o777, follow_symlinks=False)


def _walk(places: Layout, index: BackupIndex) -> Iterator[_Found]:
    """Everything below the data directory, and what tablespaces hold of this cluster."""
    yield from _below(str(places.data_dir), "", {marker.NAME})
    named = [split_path(path) for path in (*index.directories, *(f.path for f in index.files))]
    for oid, location in places.tablespaces.items():
        prefix = ("pg_tblspc", str(oid))
        for version in {each[2] for each in named if each[:2] == prefix and len(each) > 2}:
            source = location / version
            if source.is_symlink() or not source.is_dir():
                continue
            path = "/".join((*prefix, version))
            yield _Found(path=path, source=str(source), status=source.lstat())
            yield from _below(str(source), path, set())


def _below(source: str, path: str, passed_over: set[str]) -> Iterator[_Found]:
    try:
        with os.scandir(source) as entries:
            names = sorted((each.name, each.stat(follow_symlinks=False)) for each in entries)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unreadable(source, error) from None
    for name, status in names:
        if name in passed_over:
            continue
        found = _Found(
            path=f"{path}/{name}" if path else name, source=f"{source}/{name}", status=status
        )
        yield found
        if stat.S_ISDIR(status.st_mode):
            yield from _below(found.source, found.path, set())


def _may_be(found: _Found, files: Mapping[str, IndexedFile]) -> bool:
    file = files.get(found.path)
    return (
        file is not None
        and _is_file(found)
        and found.status.st_nlink == 1
        and found.status.st_size == file.size
    )


def file_digest(source: str, algorithm: Algorithm, advance: Callable[[int], None]) -> str:
    """The digest of a file; raises PitrError if it cannot be read or is a link."""
    digest = algorithm.new()
    buffer = memoryview(bytearray(CHUNK_SIZE))
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
            while count := os.readv(descriptor, [buffer]):
                digest.update(buffer[:count])
                advance(count)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unreadable(source, error) from None
    return digest.hexdigest()


def _is_file(found: _Found) -> bool:
    return stat.S_ISREG(found.status.st_mode)


def _is_directory(found: _Found) -> bool:
    return stat.S_ISDIR(found.status.st_mode)


def _removal_order(found: _Found) -> tuple[bool, int, str]:
    is_directory = _is_directory(found)
    return is_directory, -found.path.count("/") if is_directory else 0, found.path


def _place(places: Layout, path: str) -> tree.Place:
    """Where a path of the survey is; a tablespace's link is in the data directory."""
    names = split_path(path)
    if len(names) == 2:
        return tree.Place(root=places.data_dir, parts=names)
    return places.locate(names)


def _remove(place: tree.Place) -> None:
    try:
        tree.remove(place)
    except OSError as error:
        raise PitrError(
            f"cannot remove {place.path}: {error.strerror}",
            hint="Run as the user that owns the data directory.",
        ) from None


def _unreadable(source: str, error: OSError) -> PitrError:
    return PitrError(
        f"cannot read {source}: {error.strerror}",
        hint="Run as the user that owns the data directory.",
    )
