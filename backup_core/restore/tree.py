"""Files and directories below a root, made without following a link on the way.

Each step is taken relative to the directory before it and refuses links, instead of checking a path
and then using it: what stands in the way may have been made in between. Only the root itself may be
reached through a link, for the operator named it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place below `root`, by the names that lead there; none of them is "." or ".."."""

    root: Path
    parts: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The place as a path, for messages."""
        return self.root.joinpath(*self.parts)


def make_directory(place: Place, mode: int) -> None:
    """Make a directory, or take the one there is, and give it this mode; OSError if it cannot be.

    The owner always keeps its own access, without which nothing could be put there.
    """
    with _opened(place.root, place.parts) as directory:
        os.fchmod(directory, mode & 0o7777 | 0o700)


def make_missing(place: Place, mode: int) -> None:
    """Make a directory and those above it, each with this mode; what is there stays as it is."""
    for depth in range(1, len(place.parts) + 1):
        each = Place(root=place.root, parts=place.parts[:depth])
        if not os.path.lexists(each.path):
            make_directory(each, mode)


def create_file(place: Place, mode: int, data: Iterable[memoryview]) -> None:
    """Write a file that does not exist yet; OSError if it does, or if it cannot be written.

    A program that runs as its owner is nothing a data directory holds, so those bits are dropped.
    """
    with _opened(place.root, place.parts[:-1]) as parent:
        descriptor = os.open(place.parts[-1], _NEW_FILE, 0o600, dir_fd=parent)
    try:
        for piece in data:
            while piece:
                piece = piece[os.write(descriptor, piece) :]
        os.fchmod(descriptor, mode & 0o777)
    finally:
        os.close(descriptor)


class Parents:
    """Makes files of which many are in one directory: it is entered once and kept open.

    Several threads may share it; each has a directory of its own.
    """

    def __init__(self) -> None:
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._open: set[int] = set()

    def new_file(self, place: Place, mode: int) -> int:
        """Open a file for writing that does not exist yet; return its descriptor."""
        parent = self._directory(place.root, place.parts[:-1])
        descriptor = os.open(place.parts[-1], _NEW_FILE, 0o600, dir_fd=parent)
        if mode & 0o777 != 0o600:
            os.fchmod(descriptor, mode & 0o777)
        return descriptor

    def close(self) -> None:
        """Leave all directories."""
        for descriptor in self._open:
            os.close(descriptor)
        self._open.clear()

    def _directory(self, root: Path, parts: tuple[str, ...]) -> int:
        kept: tuple[Path, tuple[str, ...], int] | None = getattr(self._mine, "kept", None)
        if kept is not None:
            if kept[:2] == (root, parts):
                return kept[2]
            with self._lock:
                self._open.discard(kept[2])
            os.close(kept[2])
            self._mine.kept = None
        with _opened(root, parts) as directory:
            descriptor = os.dup(directory)
        with self._lock:
            self._open.add(descriptor)
        self._mine.kept = (root, parts, descriptor)
        return descriptor


@contextmanager
def opened_file(place: Place) -> Iterator[int]:
    """A file that is there, for writing; OSError if it is not, or is a link or a directory."""
    with _opened(place.root, place.parts[:-1]) as parent:
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(place.parts[-1], flags, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def remove_file(place: Place) -> None:
    """Remove a file that is there."""
    with _opened(place.root, place.parts[:-1]) as parent:
        os.unlink(place.parts[-1], dir_fd=parent)


def remove(place: Place) -> None:
    """Remove a file, a link or an empty directory."""
    with _opened(place.root, place.parts[:-1]) as parent:
        try:
            os.unlink(place.parts[-1], dir_fd=parent)
        except IsADirectoryError:
            os.rmdir(place.parts[-1], dir_fd=parent)


@contextmanager
def _opened(root: Path, parts: Iterable[str]) -> Iterator[int]:
    """The directory at the end of the way, which is made where it is missing."""
    descriptor = os.open(root, _DIRECTORY)
    try:
        for part in parts:
            inner = _enter(descriptor, part)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _enter(parent: int, name: str) -> int:
    try:
        return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except FileNotFoundError:
        with suppress(FileExistsError):  # another worker's
            os.mkdir(name, 0o700, dir_fd=parent)
        return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
