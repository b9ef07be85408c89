"""What the members of a backup's partitions may be and mean (pure).

The archives of other tools are taken as data that somebody else wrote: what contradicts itself is
refused before it reaches the file system, whichever partition says it first.
"""

from __future__ import annotations

import threading
from enum import Enum

from backup_core.errors import CorruptError

HELD_BACK = {"global/pg_control": 8 << 10, "backup_label": 64 << 10, "tablespace_map": 1 << 20}
"""Files that are placed last, whichever partition has them, and the bytes each may have."""

LEFT_OUT = frozenset(
    {"postmaster.pid", "postmaster.opts", "recovery.conf", "recovery.signal", "standby.signal"}
)
"""Files that would let the server do other than what this restore sets up."""

_EMPTIED = frozenset({"pg_wal", "pg_xlog", "pg_log", "pg_replslot"})
_TABLESPACES = "pg_tblspc"


class Link(Enum):
    """What a symbolic link in a backup becomes."""

    DIRECTORY = "an empty directory"
    TABLESPACE = "a link to the tablespace's new location"
    NOTHING = "nothing"


def split_path(name: str) -> tuple[str, ...]:
    """The parts of a member's path below the data directory; raises CorruptError if it escapes.

    WAL-G and WAL-E begin theirs with a slash, which stands for the data directory; the server's
    own, which WAL-G passes on from the replication protocol, may begin with a dot.
    """
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts or "\0" in name:
        raise CorruptError(f'the backup holds "{name}", which leads out of the data directory')
    return parts


def tablespace_of(parts: tuple[str, ...]) -> int | None:
    """The OID of the tablespace that a path is in or is the link of."""
    if len(parts) < 2 or parts[0] != _TABLESPACES:
        return None
    oid = parts[1]
    return int(oid) if oid.isascii() and oid.isdecimal() and oid == str(int(oid)) else None


def judge_link(parts: tuple[str, ...], tablespaces: frozenset[int]) -> Link:
    """Tell what becomes of a symbolic link; raises CorruptError for an unknown tablespace's.

    None is made as it was: where it led belongs to the host that was backed up. WAL-E stores
    `pg_wal` as a link if it was one, and the WAL there may be a living server's.
    """
    if len(parts) == 1 and parts[0] in _EMPTIED:
        return Link.DIRECTORY
    oid = tablespace_of(parts)
    if oid is None or len(parts) > 2:
        return Link.NOTHING
    if oid not in tablespaces:
        raise CorruptError(
            f"the backup holds a link to tablespace {oid}, which its sentinel does not name"
        )
    return Link.TABLESPACE


class Members:
    """The paths met so far in all partitions of one backup; several workers add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._directories = {""}
        self._others: set[str] = set()

    def add(self, path: str, *, is_directory: bool) -> None:
        """Take note of a member by its path, as the parts of `split_path` joined.

        Raises CorruptError for a file that was there before, for one that has others below it, and
        for what is below a file or a link. A directory may be named again.
        """
        with self._lock:
            if not is_directory:
                self._add_other(path)
                path = path.rpartition("/")[0]
            while path not in self._directories:
                if path in self._others:
                    raise _contradiction(path)
                self._directories.add(path)
                path = path.rpartition("/")[0]

    def _add_other(self, path: str) -> None:
        if path in self._others:
            raise CorruptError(f'the backup holds "{path}" twice')
        if path in self._directories:
            raise _contradiction(path)
        self._others.add(path)


def _contradiction(path: str) -> CorruptError:
    return CorruptError(f'the backup holds "{path or "/"}" as a directory and as something else')
