"""A repository in a directory, on a local disk or a network mount.

An object becomes visible by one atomic step: it is written in full and synced under a temporary
name beside its place (WAL-G's naming, so that each tool passes over the other's debris), then
linked or renamed, then its directory is synced. A hard link and not a rename creates an object that
must be absent, since rename would replace the winner of a race. No lock files, nothing to repair:
what a killed writer leaves is a temporary that no listing shows.

Paths are bytes and not `pathlib` because a key's UTF-8 bytes are the name on disk whatever the
locale, and because a listing is ordered by them (file_listing).
"""

# ruff: noqa: PTH100, PTH102, PTH105, PTH106, PTH108, PTH118, PTH120

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from backup_core.errors import AlreadyExistsError, NotFoundError, StorageError, UsageError
from backup_core.storage.base import Chunk, ObjectInfo
from backup_core.storage.file_errors import check_root, reported
from backup_core.storage.file_listing import (
    is_temporary,
    list_objects,
    object_info,
    status_of,
    temporary_suffix,
)
from backup_core.storage.keys import check_key, check_listing

if TYPE_CHECKING:
    from pathlib import Path

CHUNK_SIZE = 1 << 20
_ATTEMPTS = 100


class FileStorage:
    """Implements Storage below an existing directory; safe for threads and processes."""

    def __init__(self, root: Path) -> None:
        """Raise StorageError unless `root` is a directory: an unmounted disk is no repository."""
        directory = os.path.abspath(root)
        self.url = f"file://{directory}"
        self._root = os.path.join(os.fsencode(directory), b"")
        check_root(self._root)

    def put(
        self,
        key: str,
        chunks: Iterable[Chunk],
        *,
        if_absent: bool = False,
        size_hint: int | None = None,  # noqa: ARG002 (part of the seam)
    ) -> ObjectInfo:
        """Store the chunks durably; an object in the way is reported before a chunk is pulled.

        Raises AlreadyExistsError if `if_absent` and the key exists, which is then durable too.
        """
        path = self._path(key)
        self._check_free(path, key, if_absent=if_absent)
        temporary = path + temporary_suffix()
        try:
            written = self._write(temporary, path, chunks)
            self._publish(temporary, path, key, if_absent=if_absent)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            self._prune(os.path.dirname(path))
            raise
        return object_info(key, written)

    def get(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield a range in chunks of 1 MiB; a range past the end yields what there is of it."""
        chunks = self._read(key, self._path(key), start, stop)
        next(chunks)
        return chunks

    def stat(self, key: str) -> ObjectInfo:
        """Describe one object; raises NotFoundError, or StorageError if the root is gone."""
        path = self._path(key)
        with reported("read", path):
            status = status_of(path)
        if status is None or not stat.S_ISREG(status.st_mode):
            raise self._not_found(key)
        return object_info(key, status)

    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> Iterator[ObjectInfo]:
        """Yield the objects in the order of their keys' bytes, reading only the directories needed.

        Raises StorageError for a directory that cannot be read: a listing is never incomplete.
        """
        check_listing(prefix, delimiter)
        above = (start_after or "").encode(errors="surrogatepass")
        return list_objects(self._root, prefix.encode(), above, deep=delimiter is None)

    def delete(self, keys: Iterable[str]) -> dict[str, str | None]:
        """Delete objects durably, and directories that this leaves empty.

        A key that is missing counts as deleted; any other failure is reported for its key.
        """
        outcome: dict[str, str | None] = {}
        emptied: dict[bytes, list[str]] = {}
        for key in keys:
            try:
                directory = self._unlink(key)
            except (StorageError, UsageError) as error:
                outcome[key] = error.message
            else:
                outcome[key] = None
                emptied.setdefault(directory, []).append(key)
        for directory, gone in emptied.items():
            outcome.update(dict.fromkeys(gone, self._settle(directory)))
        return outcome

    # Writing

    def _write(self, temporary: bytes, path: bytes, chunks: Iterable[Chunk]) -> os.stat_result:
        """Write and sync the temporary; what the source raises passes through untouched."""
        descriptor = self._create(temporary, path)
        try:
            for chunk in chunks:
                with reported("write", path):
                    _write_all(descriptor, chunk)
            with reported("write", path):
                os.fsync(descriptor)
                return os.fstat(descriptor)
        finally:
            os.close(descriptor)

    def _create(self, temporary: bytes, path: bytes) -> int:
        """Open the temporary, again if a concurrent delete removes its still empty directory."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        for _ in range(_ATTEMPTS):
            with reported("create", path), suppress(FileNotFoundError):
                return os.open(temporary, flags, 0o640)
            check_root(self._root)
            with reported("create", path), suppress(FileNotFoundError):
                self._make_directories(path)
        raise StorageError(
            f"cannot create {os.fsdecode(path)}: its directory keeps disappearing",
            hint=f"Find out what removes directories below {os.fsdecode(self._root)}.",
        )

    def _make_directories(self, path: bytes) -> None:
        """Make every directory between root and path, each durable before the next is made."""
        end = path.find(b"/", len(self._root))
        while end >= 0:
            with suppress(FileExistsError):
                os.mkdir(path[:end], 0o750)
            _sync_directory(os.path.dirname(path[:end]))
            end = path.find(b"/", end + 1)

    def _publish(self, temporary: bytes, path: bytes, key: str, *, if_absent: bool) -> None:
        if if_absent:
            with reported("link", path):
                try:
                    os.link(temporary, path)
                except FileExistsError:
                    self._check_free(path, key, if_absent=True)
                    raise self._exists(key) from None
                os.unlink(temporary)
        else:
            with reported("replace", path):
                os.replace(temporary, path)
        with reported("sync the directory of", path):
            _sync_directory(os.path.dirname(path))

    def _check_free(self, path: bytes, key: str, *, if_absent: bool) -> None:
        with reported("create", path):
            status = status_of(path)
            if status is None:
                return
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if if_absent:
                # Its writer may have died, or may be about to, between the link and this.
                with suppress(FileNotFoundError):
                    _sync_directory(os.path.dirname(path))
                raise self._exists(key)

    # Reading

    def _read(self, key: str, path: bytes, start: int, stop: int | None) -> Iterator[bytes]:
        """Open, yield once for nothing, so that `get` has the error or a file sure to be closed."""
        with reported("read", path):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            except (FileNotFoundError, NotADirectoryError):
                raise self._not_found(key) from None
        try:
            with reported("read", path):
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise self._not_found(key)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
            yield b""
            while stop is None or start < stop:
                size = CHUNK_SIZE if stop is None else min(CHUNK_SIZE, stop - start)
                with reported("read", path):
                    chunk = os.pread(descriptor, size, start)
                if not chunk:
                    break
                yield chunk
                start += len(chunk)
        finally:
            os.close(descriptor)

    # Deleting

    def _unlink(self, key: str) -> bytes:
        """Remove one object and return its directory."""
        path = self._path(key)
        with reported("delete", path):
            try:
                os.unlink(path)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                check_root(self._root)
        return os.path.dirname(path)

    def _settle(self, directory: bytes) -> str | None:
        """Make removals from a directory durable; return what was wrong."""
        try:
            with reported("sync", directory), suppress(FileNotFoundError, NotADirectoryError):
                _sync_directory(directory)
        except StorageError as error:
            return error.message
        self._prune(directory)
        return None

    def _prune(self, directory: bytes) -> None:
        """Remove a directory and those above it, up to the first that is not empty or the root."""
        with suppress(OSError):
            while len(directory) > len(self._root):
                os.rmdir(directory)
                directory = os.path.dirname(directory)

    # What all share

    def _path(self, key: str) -> bytes:
        check_key(key)
        name = key.encode()
        if is_temporary(name):
            raise UsageError(
                f'"{key}" cannot be the key of an object',
                hint="Names that end like this one are those of temporary files.",
            )
        return self._root + name

    def _not_found(self, key: str) -> NotFoundError:
        """The error for a missing object, after a look that the repository itself is not gone."""
        check_root(self._root)
        return NotFoundError(f'"{key}" is not in {self.url}')

    def _exists(self, key: str) -> AlreadyExistsError:
        return AlreadyExistsError(f'"{key}" exists already in {self.url}')


def _write_all(descriptor: int, chunk: Chunk) -> None:
    rest = memoryview(chunk).cast("B")
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_directory(path: bytes) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
