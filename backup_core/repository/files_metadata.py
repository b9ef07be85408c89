"""WAL-G's list of a backup's files: which are stored whole, as an increment or not at all.

The document passes over 1 GB where there are many files, so it is read as a stream, and of each
file one dictionary entry is kept: its path, and a small number that many files share. What only
a partial restore needs (`DatabasesByNames`) is passed over. Early versions had the same two maps
in the sentinel, which reads the same.

Names are compared as Go reads them: what is not UTF-8 counts as U+FFFD, byte by byte. So a tar
member's name finds its entry whether the writer replaced such a byte, escaped or kept it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from backup_core.errors import CorruptError, NotFoundError
from backup_core.repository import layout
from backup_core.repository.sentinel import Backup
from backup_core.storage.base import Storage
from backup_core.stream.jsonstream import JsonReader

_SURROGATE = re.compile("[\ud800-\udfff]")
_STATES = 4
_VERSION_WITH_A_LIST = 2


class FileState(IntEnum):
    """What a backup holds of a file."""

    FULL = 1
    SKIPPED = 2
    INCREMENTED = 3


_STATE_OF: dict[tuple[object, object], FileState] = {
    (False, False): FileState.FULL,
    (False, True): FileState.SKIPPED,
    (True, False): FileState.INCREMENTED,
}


@dataclass(frozen=True, kw_only=True)
class FilesMetadata:
    """The files of the backup `backup`; empty where the backup has no list.

    `tars` are the partitions that the list names; a number in `entries` is a place in it and a
    FileState (some 110 bytes a file in all, most of them its name). `corrupt` counts the pages
    whose checksums failed when the file was copied, of files that had such.
    """

    backup: str
    entries: Mapping[str, int] = field(default_factory=dict, repr=False)
    tars: tuple[str, ...] = ()
    corrupt: Mapping[str, int] = field(default_factory=dict, repr=False)

    def paths(self) -> Iterator[str]:
        """The paths of all files and directories, as `path_key` gives them."""
        return (path for path, entry in self.entries.items() if entry % _STATES)

    def state(self, path: str) -> FileState | None:
        """What the backup holds of a file; None for one that it does not list."""
        entry = self.entries.get(path, 0) % _STATES
        return FileState(entry) if entry else None

    def tar(self, path: str) -> str | None:
        """The partition that holds the file; None if that is not known."""
        place = self.entries.get(path, 0) // _STATES
        return self.tars[place - 1] if place else None


def path_key(name: str) -> str:
    """The form of a tar member's name by which it is looked up; a leading slash makes none."""
    path = name.strip("/")
    return path if path.isascii() else _SURROGATE.sub("\ufffd", path)


def load_files_metadata(storage: Storage, backup: Backup) -> FilesMetadata:
    """Read the list of a backup's files from wherever its writer put it.

    It is empty where a writer before version 2 of the sentinel made none, or one was told so.
    Raises CorruptError where it is lost: nothing else tells an increment from a file, or that a
    partition is missing.
    """
    if backup.files_embedded:
        key = layout.sentinel(backup.name)
    elif backup.files_metadata_disabled:
        return FilesMetadata(backup=backup.name)
    else:
        key = layout.files_metadata(backup.name)
    try:
        chunks = storage.get(key)
    except NotFoundError:
        if backup.delta_from is None and backup.sentinel_version < _VERSION_WITH_A_LIST:
            return FilesMetadata(backup=backup.name)
        raise CorruptError(
            f"backup {backup.name} has lost its list of files, {key}",
            hint="Without it nobody can tell whether anything else is lost; use another backup.",
        ) from None
    return read_files_metadata(chunks, backup=backup.name, name=key)


def read_files_metadata(chunks: Iterable[bytes], *, backup: str, name: str) -> FilesMetadata:
    """Read `Files` and `TarFileSets` of a document, in one pass and whatever the keys' case.

    Raises CorruptError naming `name` for damaged JSON, and for a file that the document describes
    in two ways: Go's decoder would let the last one win.
    """
    reader = JsonReader(chunks, name=name)
    found = _Builder(name=name)
    if reader.peek() != "{":
        reader.fail()
    for key in reader.members():
        match key.lower():
            case "files":
                for file in reader.members():
                    found.add_file(file, reader.value())
            case "tarfilesets":
                for tar in reader.members():
                    found.add_tar(tar, _names(reader))
            case _:
                reader.skip()
    reader.end()
    return FilesMetadata(
        backup=backup, entries=found.entries, tars=tuple(found.tars), corrupt=found.corrupt
    )


def _names(reader: JsonReader) -> Iterator[str]:
    for _ in reader.elements():
        file = reader.value()
        yield file if isinstance(file, str) else reader.fail()


def _corrupt_pages(description: object) -> int:
    """How many pages were found corrupt; 0 for whatever does not tell it, for it only informs."""
    blocks = description.get("CorruptBlocks") if isinstance(description, dict) else None
    count = blocks.get("CorruptBlocksCount") if isinstance(blocks, dict) else None
    return count if isinstance(count, int) else 0


class _Builder:
    """Gathers the entries; the two maps may come in either order."""

    def __init__(self, *, name: str) -> None:
        self.entries: dict[str, int] = {}
        self.tars: list[str] = []
        self.corrupt: dict[str, int] = {}
        self._shared: dict[int, int] = {}
        self._twice: set[str] = set()
        self._name = name

    def add_file(self, file: str, description: object) -> None:
        """Record what the backup holds of a file."""
        path = path_key(file)
        state = self._state(file, description)
        before = self.entries.get(path, 0)
        if before % _STATES not in (0, state):
            raise CorruptError(f'{self._name} describes "{file}" in two ways')
        self.entries[path] = self._share(before - before % _STATES + state)
        if corrupt := _corrupt_pages(description):
            self.corrupt[path] = corrupt

    def add_tar(self, tar: str, files: Iterable[str]) -> None:
        """Record the partition of its files; of a file in two of them it is not known."""
        self.tars.append(tar)
        for file in files:
            path = path_key(file)
            before = self.entries.get(path, 0)
            if before >= _STATES:
                self._twice.add(path)
            place = 0 if path in self._twice else len(self.tars)
            self.entries[path] = self._share(place * _STATES + before % _STATES)

    def _share(self, entry: int) -> int:
        return self._shared.setdefault(entry, entry)

    def _state(self, file: str, description: object) -> FileState:
        if description is None:
            return FileState.FULL
        if isinstance(description, dict):
            flags = (description.get("IsIncremented"), description.get("IsSkipped"))
            if None in flags:
                folded = {key.lower(): value for key, value in description.items()}
                flags = (folded.get("isincremented") or False, folded.get("isskipped") or False)
            if all(isinstance(flag, bool) for flag in flags) and not all(flags):
                return _STATE_OF[flags]
        raise CorruptError(f'{self._name} does not say what the backup holds of "{file}"')
