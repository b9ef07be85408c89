"""Single files of a backup, by ranges of its partitions.

What is fetched is the frames that the files touch, some megabytes around a small file, whatever the
backup's size. A file alone is no data directory, so nothing is set up for a server here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from backup_core.errors import CorruptError, NotFoundError, RefusedError
from backup_core.repository import layout
from backup_core.repository.catalog import read_catalog, read_index
from backup_core.repository.index import BackupIndex, IndexedFile
from backup_core.repository.sentinel import Backup
from backup_core.restore import ranged
from backup_core.restore.durable import barrier
from backup_core.restore.existing import file_digest
from backup_core.restore.frames import read_frames
from backup_core.restore.members import split_path
from backup_core.restore.places import Layout
from backup_core.restore.spans import frames_of
from backup_core.storage.base import Storage


def find_files(storage: Storage, name: str, patterns: Sequence[str]) -> Selection:
    """Look up the files of a backup whose paths match one of the patterns.

    Patterns are the shell's, and `*` stands for slashes too. Raises NotFoundError if there is no
    such backup or file, RefusedError for a backup without an index.
    """
    backup = read_catalog(storage).named(name)
    index = read_index(storage, backup.name)
    if index is None:
        raise RefusedError(
            f"{backup.name} has no index, which tells where its files are",
            hint="It was taken by another tool: restore it whole, and take the file from there.",
        )
    wanted = [pattern.lstrip("/") for pattern in patterns]
    files = [file for file in index.files if any(fnmatchcase(file.path, each) for each in wanted)]
    if not files:
        raise NotFoundError(
            f"{backup.name} holds no file that is called {' or '.join(wanted)}",
            hint="Paths are relative to the data directory, as pg_relation_filepath gives them; "
            "those of a tablespace begin with pg_tblspc/OID/.",
        )
    return Selection(storage, backup, index, files)


class Selection:
    """Some files of a backup."""

    def __init__(
        self, storage: Storage, backup: Backup, index: BackupIndex, files: list[IndexedFile]
    ) -> None:
        self.backup = backup
        self.files = files
        self._storage = storage
        self._index = index
        self._folder = layout.partitions(backup.name)

    @property
    def size(self) -> int:
        """The bytes of all of them."""
        return sum(file.size for file in self.files)

    def contents(self) -> Iterator[bytes]:
        """Yield the files' bytes, one file after the other.

        Raises CorruptError, for a digest that differs after the file's last byte.
        """
        for file in self.files:
            yield from self._content(file)

    def _content(self, file: IndexedFile) -> Iterator[bytes]:
        algorithm = self._index.algorithm
        digest = algorithm.new()
        if file.size:
            frames = frames_of(self._index, file)
            key = self._folder + file.part
            for position, data in read_frames(self._storage, key, frames, algorithm):
                start, stop = max(0, file.offset - position), file.offset + file.size - position
                piece = bytes(data[start:stop])
                digest.update(piece)
                yield piece
                if position + len(data) >= file.offset + file.size:
                    break
        _check(file, digest.hexdigest())

    def write_below(self, directory: Path, *, workers: int, advance: Callable[[int], None]) -> None:
        """Write the files below a directory, each under its path in the backup, and durably.

        Raises PitrError for one that is there already, and CorruptError.
        """
        directory.mkdir(parents=True, exist_ok=True)
        places = Layout(data_dir=directory, tablespaces={})
        with barrier([directory]) as durable:
            ranged.write_files(
                self._storage,
                self._folder,
                self._index,
                {file.path: file for file in self.files},
                places,
                workers=workers,
                advance=advance,
            )
            for file in self.files:
                path = places.locate(split_path(file.path)).path
                _check(file, file_digest(str(path), self._index.algorithm, lambda _: None))
            durable.wait()


def _check(file: IndexedFile, digest: str) -> None:
    if digest != file.digest:
        raise CorruptError(
            f'"{file.path}" does not have the content that was backed up: its digest differs',
            hint="The stored backup is damaged; take the file from an older one.",
        )
