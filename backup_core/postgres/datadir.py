"""What a base backup takes from a data directory, and what it leaves.

The exclusions are PostgreSQL's own (manual, section 26.3.4 "Backing Up the Data Directory", and
src/backend/backup/basebackup.c): nothing is left out that the server would miss. Everything not
excluded is included; a list of what to include is how files get lost.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from backup_core.errors import PitrError, RefusedError

# Directories whose content is made anew at each start; they are kept, empty.
_EMPTIED = {
    "pg_wal",
    "pg_xlog",
    "pg_replslot",
    "pg_dynshmem",
    "pg_notify",
    "pg_serial",
    "pg_snapshots",
    "pg_stat_tmp",
    "pg_subtrans",
}
_WAL_SUBDIRECTORIES = ("archive_status", "summaries")
_EXCLUDED_AT_TOP = {
    "postmaster.pid",
    "postmaster.opts",
    "postgresql.auto.conf.tmp",
    "current_logfiles.tmp",
    "backup_label",
    "backup_label.old",
    "tablespace_map",
    "tablespace_map.old",
    "backup_manifest",
    "recovery.conf",
    "recovery.done",
    "recovery.signal",
    "standby.signal",
}
_CONTROL_FILE = "global/pg_control"
_DATABASE_DIRECTORY = re.compile(r"(base|pg_tblspc/\d+/PG_[^/]+)/\d+")
_INIT_FORK = re.compile(r"(\d+)_init")
_RELATION_FORK = re.compile(r"(\d+)(_(?:fsm|vm))?(\.\d+)?")
_TEMPORARY_RELATION = re.compile(r"t\d+_\d+(_(?:fsm|vm|init))?(\.\d+)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFile:
    """A regular file: its path relative to the data directory, where it is read, and its status."""

    path: str
    source: str
    size: int
    mode: int
    mtime: int
    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class DataDirectory:
    """A directory, by its path relative to the data directory ("" for itself)."""

    path: str
    mode: int
    mtime: int
    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class TablespaceLink:
    """A tablespace outside the data directory."""

    oid: int
    location: str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Everything that a base backup copies, but for pg_control; `warnings` are for the operator."""

    files: tuple[DataFile, ...]
    directories: tuple[DataDirectory, ...]
    tablespaces: tuple[TablespaceLink, ...]
    warnings: tuple[str, ...]

    @property
    def size(self) -> int:
        """The sum of all file sizes, in bytes."""
        return sum(file.size for file in self.files)


def list_data_directory(data_dir: Path, *, major: int) -> Listing:
    """Walk the data directory of a running server; what vanishes meanwhile is left out.

    Raises PitrError for a directory that cannot be read, RefusedError for a tablespace inside the
    data directory.
    """
    walker = _Walker(data_dir, major)
    walker.directory("", str(data_dir), data_dir.stat())
    return Listing(
        files=tuple(walker.files),
        directories=tuple(walker.directories),
        tablespaces=tuple(walker.tablespaces),
        warnings=tuple(walker.warnings),
    )


class _Walker:
    def __init__(self, data_dir: Path, major: int) -> None:
        self._data_dir = data_dir
        self._version_directory = f"PG_{'9.6' if major == 9 else major}_"
        self.files: list[DataFile] = []
        self.directories: list[DataDirectory] = []
        self.tablespaces: list[TablespaceLink] = []
        self.warnings: list[str] = []

    def directory(self, path: str, source: str, status: os.stat_result) -> None:
        self.directories.append(
            DataDirectory(
                path=path,
                mode=stat.S_IMODE(status.st_mode),
                mtime=int(status.st_mtime),
                uid=status.st_uid,
                gid=status.st_gid,
            )
        )
        if path in _EMPTIED:
            self._keep_wal_subdirectories(path, source)
            return
        entries = _scan(source)
        unlogged = _unlogged(path, entries)
        entries.reverse()
        while entries:  # an entry keeps its whole status until it is gone
            entry = entries.pop()
            self._entry(f"{path}/{entry.name}" if path else entry.name, entry, unlogged)

    def _keep_wal_subdirectories(self, path: str, source: str) -> None:
        if path not in ("pg_wal", "pg_xlog"):
            return
        for entry in _scan(source):
            if entry.name in _WAL_SUBDIRECTORIES and entry.is_dir(follow_symlinks=False):
                self.directories.append(
                    DataDirectory(path=f"{path}/{entry.name}", mode=0o700, mtime=0, uid=0, gid=0)
                )

    def _entry(self, path: str, entry: os.DirEntry[str], unlogged: set[str]) -> None:
        try:
            status = entry.stat(follow_symlinks=False)
            if _is_excluded(path, entry.name, unlogged):
                return
            if stat.S_ISLNK(status.st_mode):
                self._link(path, entry)
            elif stat.S_ISDIR(status.st_mode):
                self.directory(path, entry.path, status)
            elif stat.S_ISREG(status.st_mode):
                self._file(path, entry.path, status)
            else:
                self.warnings.append(f"{path} is neither a file nor a directory and is left out")
        except FileNotFoundError:
            return

    def _file(self, path: str, source: str, status: os.stat_result) -> None:
        self.files.append(
            DataFile(
                path=path,
                source=source,
                size=status.st_size,
                mode=stat.S_IMODE(status.st_mode),
                mtime=int(status.st_mtime),
                uid=status.st_uid,
                gid=status.st_gid,
            )
        )

    def _link(self, path: str, entry: os.DirEntry[str]) -> None:
        parent, _, name = path.rpartition("/")
        if parent == "pg_tblspc" and name.isdecimal():
            self._tablespace(path, int(name), entry)
            return
        status = entry.stat(follow_symlinks=True)
        if path in _EMPTIED and stat.S_ISDIR(status.st_mode):
            self.directory(path, entry.path, status)
        elif stat.S_ISREG(status.st_mode):
            self._file(path, entry.path, status)
            self.warnings.append(f"{path} is a symbolic link; it is backed up as a plain file")
        else:
            self.warnings.append(f"{path} is a symbolic link to a directory and is left out")

    def _tablespace(self, path: str, oid: int, entry: os.DirEntry[str]) -> None:
        location = os.path.realpath(entry.path)
        if Path(location).is_relative_to(os.path.realpath(self._data_dir)):
            raise RefusedError(
                f"tablespace {oid} lies inside the data directory: {location}",
                hint="Move its objects to another tablespace and drop it; PostgreSQL warned "
                "about it when it was created.",
            )
        self.tablespaces.append(TablespaceLink(oid=oid, location=location))
        for child in _scan(location):
            if child.name.startswith(self._version_directory):
                below = f"{path}/{child.name}"
                self.directory(below, child.path, child.stat(follow_symlinks=False))


def _scan(source: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(source) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise PitrError(
            f"cannot read {source}: {error.strerror}",
            hint="Run as the user that owns the data directory.",
        ) from None


def _unlogged(path: str, entries: list[os.DirEntry[str]]) -> set[str]:
    """The file numbers of unlogged relations, which recovery makes anew from their init forks."""
    if not _DATABASE_DIRECTORY.fullmatch(path):
        return set()
    found = (_INIT_FORK.fullmatch(entry.name) for entry in entries)
    return {match[1] for match in found if match}


def _is_excluded(path: str, name: str, unlogged: set[str]) -> bool:
    if path in _EXCLUDED_AT_TOP or path == _CONTROL_FILE:
        return True
    if name.startswith(("pgsql_tmp", "pg_internal.init")):
        return True
    parent = path.rpartition("/")[0]
    if _DATABASE_DIRECTORY.fullmatch(parent) and _TEMPORARY_RELATION.fullmatch(name):
        return True
    fork = _RELATION_FORK.fullmatch(name) if unlogged else None
    return fork is not None and fork[1] in unlogged
