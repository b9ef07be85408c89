"""Push ahead: upload what the server will ask for before it asks.

The server calls archive_command for one file after the other and waits for each. This process,
which the first call leaves behind, looks at all that wait, pushes several at once over connections
that stay open, and marks in the spool what is durably archived; the server's next calls find that
by a test of the shell. It says nothing else to the server, and drops nothing: a file without a
marker is pushed by the server's own call.

After a failure it begins nothing new until that is behind it: so no more than `workers` files are
archived beyond one that cannot be.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from backup_core import log
from backup_core.archive import ready
from backup_core.archive.binding import version_of
from backup_core.archive.spool import (
    AT,
    OK,
    PUSHER,
    Spool,
    claim_of,
    is_unchanged,
    pause_before_reading,
)
from backup_core.archive.status import read_status, write_status
from backup_core.archive.watch import Watch
from backup_core.errors import PitrError

if TYPE_CHECKING:
    from backup_core.archive.push import PushResult

IDLE_SECONDS = 900.0
_LONGEST_PAUSE = 30.0
_LOG_PAUSE = 60.0
_MOST_AHEAD = 2048
_LOOK_AROUND = 1.0
_SCAN_SHARE = 10


@dataclass(frozen=True, kw_only=True)
class PushJob:
    """What a worker does: push whatever `data_dir` has waiting, `limit` bytes at once at most.

    `is_current` says whether the settings that it was started with are still those in force.
    """

    spool: Spool
    data_dir: str
    push: Callable[[Path], PushResult]
    workers: int
    limit: int
    is_current: Callable[[], bool]
    idle_seconds: float = IDLE_SECONDS


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    name: str
    result: PushResult | None = None
    error: Exception | None = None


@dataclass(kw_only=True)
class _State:
    """What the worker knows: what waits and since when, what is on its way, and what failed."""

    waiting: list[str] = field(default_factory=list)
    in_flight: dict[str, int] = field(default_factory=dict)
    done: deque[_Outcome] = field(default_factory=deque)
    marked: set[str] = field(default_factory=set)
    changed: bool = True
    last_scan: float = 0.0
    next_scan: float = 0.0
    next_push: float = 0.0
    failures: int = 0
    last_work: float = field(default_factory=time.monotonic)
    last_complaint: float = -_LOG_PAUSE


class PushWorker:
    """Pushes ahead until nothing has waited for long, or the spool is no longer this job's."""

    def __init__(self, job: PushJob) -> None:
        self._job = job
        self._state = _State()
        self._version = version_of(job.spool)
        self._logger = log.get("push-ahead")

    def run(self) -> None:
        """Work; returns at once if another worker does, or nothing can be found out."""
        spool, status_dir = self._job.spool, ready.status_directory(self._job.data_dir)
        if status_dir is None or self._version is None or not spool.become(PUSHER):
            return
        with Watch(status_dir) as watch, ThreadPoolExecutor(self._job.workers) as pool:
            while not self._is_over():
                if not self._look(status_dir):
                    return
                self._settle()
                while (name := self._next()) is not None:
                    self._begin(name, pool, watch)
                if watch.wait(self._pause()):
                    self._state.changed = True

    # What waits

    def _look(self, status_dir: str) -> bool:
        """See what waits, no more often than looking is cheap; False if the server's files went."""
        state, now = self._state, time.monotonic()
        due = state.changed or now >= state.last_scan + _LOOK_AROUND
        if not due or now < state.next_scan:
            return True
        state.changed, state.last_scan = False, now
        try:
            state.waiting = ready.waiting(status_dir)
        except OSError:
            return False
        self._forget_markers()
        state.next_scan = now + _SCAN_SHARE * (time.monotonic() - now)
        if state.waiting:
            state.last_work = now
        return True

    def _forget_markers(self) -> None:
        """Remove markers that the server has taken notice of: it no longer asks for those files."""
        spool, state = self._job.spool, self._state
        marked = {*spool.names(OK), *spool.names(AT)}
        wanted = set(state.waiting)
        for name in marked - wanted - state.in_flight.keys():
            spool.unmark(name)
        state.marked = marked & wanted

    # What to do next

    def _next(self) -> str | None:
        state, job = self._state, self._job
        if time.monotonic() < state.next_push or len(state.marked) >= _MOST_AHEAD:
            return None
        if (state.failures and state.in_flight) or not self._is_mine():
            return None
        for name in state.waiting:
            if name in state.in_flight or name in state.marked:
                continue
            size = self._size_to_push(name)
            if size is None:
                continue
            room = ready.has_room(
                state.in_flight.values(), size, workers=job.workers, limit=job.limit
            )
            return name if room and job.spool.try_lock(claim_of(name)) else None
        return None

    def _size_to_push(self, name: str) -> int | None:
        """The file's size; None if it is gone, marked, or of a time that cannot be relied on."""
        try:
            status = self._path(name).stat()
        except OSError:
            return None
        if self._job.spool.is_marked(name, status.st_mtime_ns):
            self._state.marked.add(name)
            return None
        settles = pause_before_reading(status.st_mtime_ns, time.time_ns()) is not None
        return status.st_size if settles else None

    def _begin(self, name: str, pool: ThreadPoolExecutor, watch: Watch) -> None:
        state = self._state
        state.in_flight[name] = self._size_to_push(name) or 0

        def work() -> None:
            state.done.append(self._push(name))
            watch.ring()

        pool.submit(work)

    def _path(self, name: str) -> Path:
        folder = Path(self._job.data_dir) / "pg_wal"
        return (folder if folder.exists() else folder.with_name("pg_xlog")) / name

    # One file, in a thread of the pool

    def _push(self, name: str) -> _Outcome:
        """Push a file and mark it, if it is still what was read; the claim is released."""
        path = self._path(name)
        try:
            before = path.stat()
            time.sleep(pause_before_reading(before.st_mtime_ns, time.time_ns()) or 0)
            result = self._job.push(path)
            after = path.stat()
            if is_unchanged(before, after) and self._is_bound():
                self._job.spool.mark(name, before.st_mtime_ns)
            return _Outcome(name=name, result=result)
        except Exception as error:
            return _Outcome(name=name, error=error)
        finally:
            self._job.spool.unlock(claim_of(name))

    def _is_mine(self) -> bool:
        return self._is_bound() and self._job.is_current()

    def _is_bound(self) -> bool:
        return version_of(self._job.spool) == self._version

    # What became of it

    def _settle(self) -> None:
        state = self._state
        before = status = read_status(self._job.spool)
        while state.done:
            outcome = state.done.popleft()
            del state.in_flight[outcome.name]
            state.last_work = time.monotonic()
            if outcome.error is None:
                state.failures = 0
                state.marked.add(outcome.name)
                status = status.succeeded(outcome.name)
                self._tell(outcome)
            else:
                state.failures += 1
                state.next_push = time.monotonic() + min(2.0**state.failures, _LONGEST_PAUSE)
                message = _message(outcome.error)
                status = status.failed(outcome.name, message)
                self._complain(outcome.name, message)
        waiting, ahead = len(state.waiting), len(state.marked)
        if status != before or (waiting, ahead) != (before.waiting, before.ahead):
            write_status(self._job.spool, status.counted(waiting, ahead))

    def _tell(self, outcome: _Outcome) -> None:
        result = outcome.result
        if result is not None:
            log.event(
                self._logger,
                log.INFO,
                "archived",
                action="push-wal",
                key=result.key,
                seg=result.name,
                state="complete",
            )

    def _complain(self, name: str, message: str) -> None:
        """Say what is wrong, at most once a minute."""
        now, state = time.monotonic(), self._state
        if now - state.last_complaint < _LOG_PAUSE:
            return
        state.last_complaint = now
        log.event(
            self._logger,
            log.ERROR,
            f"cannot archive: {message}",
            seg=name,
            waiting=len(state.waiting),
            state="failed",
        )

    # The end

    def _pause(self) -> float:
        """How long to wait for something to happen, in seconds."""
        state, now = self._state, time.monotonic()
        until = [now + _LOOK_AROUND]
        if state.next_push > now:
            until.append(state.next_push)
        if state.changed:
            until.append(state.next_scan)
        return max(0.0, min(until) - now)

    def _is_over(self) -> bool:
        state, job = self._state, self._job
        if state.in_flight:
            return False
        if not self._is_mine():
            return True
        idle = time.monotonic() - state.last_work
        server_is_gone = not Path(job.data_dir, "postmaster.pid").exists()
        return idle > (_LOOK_AROUND if server_is_gone else job.idle_seconds)


def _message(error: Exception) -> str:
    if isinstance(error, PitrError):
        return error.message
    return f"{type(error).__name__}: {error}"
