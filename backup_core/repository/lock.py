"""One backup at a time in a repository, whichever host takes it.

Objects are never rewritten, so the lock is a numbered series: whoever creates the next number
holds it, and conditional creation lets exactly one do so. A holder shows that it lives by moving on
to the next number in time; a lock that was not renewed, or whose process is gone from this host, is
free. Whoever took a number looks once more: a taker that was suspended after its first look may
find that the series went on without it.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from backup_core.errors import AlreadyExistsError, LockHeldError, NotFoundError, PitrError
from backup_core.repository import layout
from backup_core.storage.base import Storage

LEASE_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a lock and until when (seconds since the epoch)."""

    host: str
    boot_id: str
    pid: int
    started: int
    expires: float

    def is_gone(self, now: float) -> bool:
        """Tell whether the lease ran out or, on this host, the process ended."""
        if now >= self.expires:
            return True
        mine = this_process(now)
        if self.host != mine.host:
            return False
        return self.boot_id != mine.boot_id or _process_start(self.pid) != self.started


def this_process(now: float) -> Holder:
    """Describe the calling process as a holder from `now` on."""
    return Holder(
        host=socket.gethostname(),
        boot_id=_read("/proc/sys/kernel/random/boot_id"),
        pid=os.getpid(),
        started=_process_start(os.getpid()),
        expires=now + LEASE_SECONDS,
    )


@contextmanager
def backup_lock(
    storage: Storage, *, clock: Callable[[], float] = time.time
) -> Iterator[Callable[[], None]]:
    """Hold the repository's backup lock; raises LockHeldError naming the holder.

    Yields a function that raises LockHeldError once the lock has been lost.
    """
    lease = _Lease(storage, clock)
    lease.acquire()
    stop = threading.Event()
    renewer = threading.Thread(target=lease.keep, args=(stop,), name="backup-lock", daemon=True)
    renewer.start()
    try:
        yield lease.check
    finally:
        stop.set()
        renewer.join()
        lease.release()


class _Lease:
    def __init__(self, storage: Storage, clock: Callable[[], float]) -> None:
        self._storage = storage
        self._clock = clock
        self._number = 0
        self._expires = 0.0
        self._lost = False

    def acquire(self) -> None:
        numbers = self._numbers()
        if numbers:
            self._check_gone(numbers[-1])
        self._take(numbers[-1] + 1 if numbers else 1)
        self._storage.delete([_key(number) for number in numbers])
        try:
            for number in set(self._numbers()) - {self._number}:
                self._check_gone(number)
        except PitrError:
            self.release()
            raise

    def _numbers(self) -> list[int]:
        keys = (info.key for info in self._storage.list(f"{layout.LOCKS}backup-"))
        tails = (key.removeprefix(f"{layout.LOCKS}backup-") for key in keys)
        return sorted(int(tail) for tail in tails if tail.isdecimal())

    def _check_gone(self, number: int) -> None:
        holder = self._holder(number)
        if holder is not None and not holder.is_gone(self._clock()):
            raise _held(holder)

    def keep(self, stop: threading.Event) -> None:
        while not stop.wait(LEASE_SECONDS / 4):
            if self._clock() >= self._expires:
                self._lost = True
                return
            with suppress(PitrError):
                self._renew()

    def check(self) -> None:
        if self._lost or self._clock() >= self._expires:
            raise LockHeldError(
                "the backup lock was lost: it could not be renewed in time",
                hint="Check the connection to the repository and this host's clock.",
            )

    def release(self) -> None:
        with suppress(PitrError):
            self._storage.delete([_key(self._number)])

    def _renew(self) -> None:
        old = self._number
        try:
            self._take(old + 1)
        except LockHeldError:
            self._lost = True
            raise
        self._storage.delete([_key(old)])

    def _take(self, number: int) -> None:
        holder = this_process(self._clock())
        try:
            self._storage.put(_key(number), [json.dumps(asdict(holder)).encode()], if_absent=True)
        except AlreadyExistsError:
            raise _held(self._holder(number)) from None
        self._number, self._expires = number, holder.expires

    def _holder(self, number: int) -> Holder | None:
        try:
            return Holder(**json.loads(b"".join(self._storage.get(_key(number)))))
        except (NotFoundError, ValueError, TypeError):
            return None


def _key(number: int) -> str:
    return f"{layout.LOCKS}backup-{number:012d}"


def _held(holder: Holder | None) -> LockHeldError:
    who = f"process {holder.pid} on {holder.host}" if holder else "another process"
    return LockHeldError(
        f"another backup is running: {who} holds the lock",
        hint="Wait for it to end. A dead host's lock frees itself within "
        f"{LEASE_SECONDS / 60:.0f} minutes.",
    )


def _process_start(pid: int) -> int:
    """The process's start in clock ticks since boot, 0 if there is no such process (proc(5))."""
    stat = _read(f"/proc/{pid}/stat")
    return int(stat.rpartition(")")[2].split()[19]) if stat else 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
