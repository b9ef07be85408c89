"""The spool: one directory by which the calls of PostgreSQL and the workers tell each other.

No socket and no daemon to supervise: what is in the directory is the whole protocol, and a shell
can read it. A segment that was pushed ahead has two empty files, `ok/NAME` one nanosecond younger
and `at/NAME` one nanosecond older than the segment itself was when it was read. So the shell's

    [ SPOOL/ok/%f -nt %p ] && [ SPOOL/at/%f -ot %p ]

holds only for a file with that very time. A segment written after the push is younger; one that
came from another copy of the data directory, older or younger; neither the time at which a marker
was made nor a clock that was set back has a say. Where times are kept in whole seconds, by the
file system or by the shell, the test never holds, and each call goes the long way.

Who works on what is told by record locks on one file, since the kernel drops those of a process
that was killed: there is no stale state to recognise.

Paths are strings and the imports few: a process starts a segment, and this is most of it.
"""

# ruff: noqa: PTH100, PTH104, PTH108, PTH110, PTH116, PTH118, PTH119, PTH120, PTH208

from __future__ import annotations

import fcntl
import os
import time

OK, AT, FETCHED, ARRIVING = FOLDERS = ("ok", "at", "fetched", "arriving")
PUSHER, PREFETCHER, OWNER = range(3)
"""Locks: of the worker that pushes, of the one that prefetches, of who changes the binding."""

_ATTEMPTS = 20
_FIRST_CLAIM = 1 << 8
_CLAIMS = (1 << 61) - 1
_COARSE = 1_000_000_000
_TICK_NS = 12_000_000
_COARSE_NS = 2_000_000_000


class Spool:
    """The paths, markers and locks of one spool directory; the directory is checked elsewhere."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._lock_file: int | None = None

    def path(self, *parts: str) -> str:
        """A path below the spool."""
        return os.path.join(self.root, *parts)

    # Whose it is

    def serves(self, data_dir: str) -> bool:
        """Whether the spool is bound to this data directory, as the shell tests it by -ef."""
        try:
            return os.path.samestat(os.stat(self.path("pgdata")), os.stat(data_dir))
        except OSError:
            return False

    # Markers

    def mark(self, name: str, modified: int) -> None:
        """Say that the file of this name and time, in nanoseconds, is archived durably.

        Raises OSError if the file system does not keep such times or has no room.
        """
        for folder, stamp in ((AT, modified - 1), (OK, modified + 1)):
            temporary = self.path(f"{folder}.{name}.{os.getpid()}")
            try:
                self._stamp(temporary, stamp)
                os.rename(temporary, self.path(folder, name))
            except BaseException:
                _unlink(temporary)
                raise

    def _stamp(self, path: str, stamp: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        try:
            os.utime(descriptor, ns=(stamp, stamp))
            if os.fstat(descriptor).st_mtime_ns != stamp:
                raise OSError(0, "the file system does not keep times to the nanosecond")
        finally:
            os.close(descriptor)

    def is_marked(self, name: str, modified: int) -> bool:
        """Whether the file of this name and time was pushed."""
        try:
            after = os.stat(self.path(OK, name)).st_mtime_ns
            before = os.stat(self.path(AT, name)).st_mtime_ns
        except OSError:
            return False
        return before == modified - 1 and after == modified + 1

    def unmark(self, name: str) -> None:
        """Forget a marker; nothing happens if there is none."""
        for folder in (OK, AT):
            _unlink(self.path(folder, name))

    def names(self, folder: str) -> list[str]:
        """The files of one of the spool's folders, sorted; none if it is not there."""
        try:
            return sorted(os.listdir(self.path(folder)))
        except OSError:
            return []

    # Locks; of a process, so its threads must not use them against each other

    def try_lock(self, number: int) -> bool:
        """Take a lock if no other process has it; the process's end releases it."""
        return self._lock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def become(self, number: int) -> bool:
        """Take the lock of a worker; False if another has it.

        A call that only looks whether there is one holds it for a moment, so this tries for some.
        """
        for _ in range(_ATTEMPTS):
            if self.try_lock(number):
                return True
            time.sleep(0.005)
        return False

    def lock(self, number: int) -> None:
        """Take a lock, waiting for it if need be."""
        self._lock(number, fcntl.LOCK_EX)

    def unlock(self, number: int) -> None:
        """Release a lock."""
        self._lock(number, fcntl.LOCK_UN)

    def is_locked(self, number: int) -> bool:
        """Whether another process has a lock."""
        if not self._lock(number, fcntl.LOCK_SH | fcntl.LOCK_NB):
            return True
        self.unlock(number)
        return False

    def wait_for(self, number: int) -> None:
        """Wait until no other process has a lock."""
        self._lock(number, fcntl.LOCK_SH)
        self.unlock(number)

    def _lock(self, number: int, operation: int) -> bool:
        if self._lock_file is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
            self._lock_file = os.open(self.path("lock"), flags, 0o600)
        try:
            fcntl.lockf(self._lock_file, operation, 1, number)
        except (BlockingIOError, PermissionError):
            return False
        return True


def _unlink(path: str) -> None:
    try:  # contextlib would be a third of what the quickest call imports
        os.unlink(path)
    except OSError:
        return


def claim_of(name: str) -> int:
    """The lock of who pushes the file of this name; two names may rarely share one."""
    return _FIRST_CLAIM + int.from_bytes(name.encode(), "big") % _CLAIMS


def is_unchanged(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether two looks at a path saw the same file, not written meanwhile."""
    return (before.st_ino, before.st_size, before.st_mtime_ns) == (
        after.st_ino,
        after.st_size,
        after.st_mtime_ns,
    )


def pause_before_reading(modified: int, now: int) -> float | None:
    """Seconds after which a write to a file can no longer leave its time unchanged.

    Both in nanoseconds. A file's time moves in the kernel's ticks, or in seconds where the file
    system keeps no more. None for a time that lies ahead, which no waiting makes safe.
    """
    room = _TICK_NS if modified % _COARSE else _COARSE_NS
    if modified > now + room:
        return None
    return max(0, modified + room - now) / 1e9


def data_directory(path: str) -> str | None:
    """The data directory whose WAL the file at `path` is; None if it lies elsewhere."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.basename(folder) not in ("pg_wal", "pg_xlog"):
        return None
    candidate = os.path.dirname(folder)
    return candidate if os.path.exists(os.path.join(candidate, "global", "pg_control")) else None
