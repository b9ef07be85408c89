"""What the operating system refuses, in words that tell an operator what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from backup_core.errors import StorageError

_HINTS = {
    errno.ENOSPC: "Free space or inodes on the file system of {path}, or enlarge it.",
    errno.EDQUOT: "Raise this user's disk quota on the file system of {path}, or free space there.",
    errno.EFBIG: "Raise the limit on file sizes (ulimit -f) or check what the file system of "
    "{path} allows.",
    errno.EACCES: "Let the user that runs pitr read and write {path} and search every directory "
    "above it.",
    errno.EROFS: "Remount the file system of {path} read-write.",
    errno.EIO: "Check the disk under {path} and the kernel's log.",
    errno.EMFILE: "Raise the limit on open files (ulimit -n) of the process that writes {path}.",
    errno.ENAMETOOLONG: "Names below {path} may be no longer than the file system allows, less "
    "38 bytes for the temporary name.",
    errno.ENOTDIR: "One of the names above {path} is a file: an object cannot also be a directory.",
    errno.EISDIR: "There is a directory at {path}: an object cannot also be a directory.",
    errno.ESTALE: "Remount the network file system that holds {path}.",
}
_NO_LINKS = (
    "The file system of {path} cannot make hard links, which pitr needs to create an object "
    "only if it is absent: move the repository to one that can."
)
_LINK_ERRORS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


@contextmanager
def reported(action: str, path: bytes) -> Iterator[None]:
    """Turn an OSError into a StorageError that says which `action` failed on which `path`."""
    try:
        yield
    except OSError as error:
        raise _storage_error(action, os.fsdecode(path), error) from error


def check_root(root: bytes) -> None:
    """Raise StorageError unless the repository's directory, which ends in a slash, is there.

    Absence of an object means something only where the repository itself is present.
    """
    try:
        os.stat(root)  # noqa: PTH116 (bytes, with their slash)
    except OSError as error:
        raise StorageError(
            f"cannot open the repository's directory {os.fsdecode(root)}: "
            f"{os.strerror(error.errno or 0).lower()}",
            hint="Mount the disk that holds the repository; for a new one, create the "
            "directory and let the user that runs pitr write to it.",
        ) from None


def _storage_error(action: str, path: str, error: OSError) -> StorageError:
    code = error.errno or 0
    reason = os.strerror(code)
    linking = action == "link" and code in _LINK_ERRORS
    hint = _NO_LINKS if linking else _HINTS.get(code, "Check {path} and the disk that holds it.")
    return StorageError(
        f"cannot {action} {path}: {reason[:1].lower()}{reason[1:]}", hint=hint.format(path=path)
    )
