"""The keys below a directory, in the order of their bytes.

Directory by directory is not that order by itself: `a-b` and `a.b` come before `a/b`, `a0` after
it. It becomes so when a directory sorts under its name with the slash, which begins each of its
keys. So a listing needs one directory in memory at a time, and a prefix that ends inside a name
needs one directory in all.
"""

# ruff: noqa: PTH116

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from backup_core.storage.base import ObjectInfo
from backup_core.storage.file_errors import check_root, reported

_TEMPORARY = re.compile(rb"\.tmp\.\d{8}T\d{6}Z-[0-9a-f]{16}(?:/|\Z)")


def list_objects(root: bytes, prefix: bytes, above: bytes, *, deep: bool) -> Iterator[ObjectInfo]:
    """Yield the objects whose keys start with `prefix` and come after `above`.

    Unless `deep`, a directory stands for the objects in it, and an empty one for nothing. Raises
    StorageError for a directory that cannot be read.
    """
    return _walk(root, prefix[: prefix.rfind(b"/") + 1], prefix, above, deep=deep)


def temporary_suffix() -> bytes:
    """Make the ending of a temporary name, as WAL-G's directory store does."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return f".tmp.{moment}-{os.urandom(8).hex()}".encode()


def is_temporary(key: bytes) -> bool:
    """Tell whether a name in the key is one of a temporary file, which no listing shows."""
    return b".tmp." in key and _TEMPORARY.search(key) is not None


def status_of(path: bytes) -> os.stat_result | None:
    """Look at a path; None if nothing is there."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def object_info(key: str, status: os.stat_result) -> ObjectInfo:
    """Describe an object by its file's status."""
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    return ObjectInfo(key=key, size=status.st_size, modified=modified)


def _walk(
    root: bytes, parent: bytes, prefix: bytes, above: bytes, *, deep: bool
) -> Iterator[ObjectInfo]:
    for key in _scan(root, parent, prefix, above):
        if not key.endswith(b"/"):
            status = _listed_status(root + key)
            if status is not None and stat.S_ISREG(status.st_mode):
                yield object_info(key.decode(), status)
        elif deep:
            yield from _walk(root, key, prefix, above, deep=True)
        elif key > above and any(_walk(root, key, prefix, above, deep=True)):
            yield ObjectInfo(key=key.decode(), size=0, modified=None)


def _listed_status(path: bytes) -> os.stat_result | None:
    """As status_of, for one of perhaps a hundred thousand files: nothing is set up for each."""
    try:
        return status_of(path)
    except OSError:
        with reported("read", path):
            raise


def _scan(root: bytes, parent: bytes, prefix: bytes, above: bytes) -> Iterable[bytes]:
    """Sort one directory's keys; one that ends in a slash begins the keys of a directory."""
    wanted = prefix[len(parent) :]
    with reported("list", root + parent):
        try:
            with os.scandir(root + parent) as entries:
                found = [entry for entry in entries if entry.name.startswith(wanted)]
        except (FileNotFoundError, NotADirectoryError):
            check_root(root)
            return []
        except PermissionError:
            if parent == b"lost+found/":  # the file system's own, where root is a mount point
                return []
            raise
        keys = [parent + entry.name + (b"/" if entry.is_dir() else b"") for entry in found]
    return sorted(key for key in keys if _is_wanted(key, above))


def _is_wanted(key: bytes, above: bytes) -> bool:
    """Tell whether a key, or one that it begins, comes after `above` and is an object's."""
    if key <= above and not (key.endswith(b"/") and above.startswith(key)):
        return False
    return not is_temporary(key) and _is_utf8(key)


def _is_utf8(key: bytes) -> bool:
    if key.isascii():
        return True
    try:
        key.decode()
    except UnicodeDecodeError:
        return False
    return True
