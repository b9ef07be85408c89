"""Prefetch: have the next segments in the spool before a recovering server asks for them.

The first call of wal-fetch leaves this process behind. It keeps a window of segments in `fetched/`,
in the server's order, several on their way at once, and goes on as the shell of restore_command
moves them out. A call that finds nothing writes what it wants into `wanted` and fetches that
itself; the window then begins anew behind it.

It serves one run of one server: it ends with that, with the recovery, with the settings it was
started with, and takes along what it has not handed over.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from backup_core import log
from backup_core.archive.binding import version_of
from backup_core.archive.recovery import pid_file_time, recovers, running_server
from backup_core.archive.spool import ARRIVING, FETCHED, PREFETCHER, Spool
from backup_core.archive.watch import Watch
from backup_core.errors import PitrError
from backup_core.postgres.wal import parse_wal_name
from backup_core.repository.wal_archive import WalObject

WANTED = "wanted"
IDLE_SECONDS = 900.0
_LOOK_AROUND = 1.0
_LONGEST_PAUSE = 30.0
_LOG_PAUSE = 60.0
_LEAST_WINDOW = 2


@dataclass(frozen=True, kw_only=True)
class PrefetchJob:
    """What a prefetcher does; `limit` bounds the bytes of the window, of `segment_size` each.

    `upcoming` yields the objects behind a name, `fetch` writes one to a path, checked.
    """

    spool: Spool
    data_dir: str
    segment_size: int
    upcoming: Callable[[str], Iterator[WalObject]]
    fetch: Callable[[WalObject, Path], object]
    workers: int
    limit: int
    is_current: Callable[[], bool]
    idle_seconds: float = IDLE_SECONDS


@dataclass(frozen=True, kw_only=True)
class _Arrival:
    found: WalObject
    error: Exception | None = None


@dataclass(kw_only=True)
class _State:
    """The window: names that lie in the spool, that are on their way, and what comes then."""

    wanted: str = ""
    lying: set[str] = field(default_factory=set)
    arriving: set[str] = field(default_factory=set)
    abandoned: set[str] = field(default_factory=set)
    ahead: Iterator[WalObject] = field(default_factory=lambda: iter(()))
    again: deque[WalObject] = field(default_factory=deque)
    arrived: deque[_Arrival] = field(default_factory=deque)
    next_fetch: float = 0.0
    failures: int = 0
    last_work: float = field(default_factory=time.monotonic)
    pid_file_time: int | None = None
    last_complaint: float = -_LOG_PAUSE


class Prefetcher:
    """Prefetches until the recovery is over, or nothing was taken for long."""

    def __init__(self, job: PrefetchJob) -> None:
        self._job = job
        self._state = _State()
        self._version = version_of(job.spool)
        self._server = running_server(job.data_dir)
        self._window = max(_LEAST_WINDOW, job.limit // job.segment_size)
        self._logger = log.get("prefetch")

    def run(self) -> None:
        """Work; returns at once if another prefetcher does, or no server recovers."""
        spool = self._job.spool
        if self._version is None or not spool.become(PREFETCHER):
            return
        self._clear()
        folders = (spool.root, spool.path(FETCHED))
        with Watch(*folders) as watch, ThreadPoolExecutor(self._job.workers) as pool:
            while not self._is_over():
                self._see()
                self._fill(pool, watch)
                watch.wait(self._pause())
        if self._is_bound():
            self._clear()

    # What is wanted, and what was taken

    def _see(self) -> None:
        state = self._state
        self._receive()
        there = set(self._job.spool.names(FETCHED))
        self._keep_fresh()
        taken = state.lying - there
        state.lying &= there
        if taken:
            state.last_work = time.monotonic()
            self._drop_before(max(taken))
        wanted = wanted_name(self._job.spool)
        if wanted and wanted != state.wanted:
            state.wanted = wanted
            state.last_work = time.monotonic()
            self._begin_anew(wanted)

    def _keep_fresh(self) -> None:
        """Let the shell take what lies here although the server wrote postmaster.pid since."""
        written = pid_file_time(self._job.data_dir)
        if written == self._state.pid_file_time:
            return
        self._state.pid_file_time = written
        for name in self._state.lying:
            with suppress(OSError):
                os.utime(self._job.spool.path(FETCHED, name))

    def _begin_anew(self, wanted: str) -> None:
        """Let the window begin behind `wanted`; what lies in it and still fits may stay."""
        state = self._state
        state.ahead, state.again = self._job.upcoming(wanted), deque()
        state.abandoned |= {name for name in state.arriving if not _follows(name, wanted)}
        for name in {name for name in state.lying if not _follows(name, wanted)}:
            self._drop(name)
        state.next_fetch = 0.0

    def _drop_before(self, taken: str) -> None:
        """Remove what the server has passed over."""
        for name in {name for name in self._state.lying if _follows(taken, name)}:
            self._drop(name)

    def _drop(self, name: str) -> None:
        Path(self._job.spool.path(FETCHED, name)).unlink(missing_ok=True)
        self._state.lying.discard(name)

    # Getting more

    def _fill(self, pool: ThreadPoolExecutor, watch: Watch) -> None:
        state = self._state
        while (
            len(state.lying) + len(state.arriving) < self._window
            and len(state.arriving) < self._job.workers
            and time.monotonic() >= state.next_fetch
            and self._is_mine()
        ):
            found = self._next()
            if found is None:
                return
            state.arriving.add(found.wal.name)
            pool.submit(self._get, found, watch)

    def _next(self) -> WalObject | None:
        """The next object that is neither here nor coming; None if there is none, or no telling."""
        state = self._state
        if state.again:
            return state.again.popleft()
        try:
            for found in state.ahead:
                if found.wal.name not in state.lying | state.arriving:
                    return found
        except PitrError as error:
            state.ahead = iter(())
            state.wanted = ""
            self._fail("what comes next", error)
        return None

    def _get(self, found: WalObject, watch: Watch) -> None:
        """Fetch one object and let it appear, in a thread of the pool."""
        name, spool = found.wal.name, self._job.spool
        place = Path(spool.path(ARRIVING, name))
        error: Exception | None = None
        try:
            self._job.fetch(found, place)
            if self._is_mine():
                place.replace(spool.path(FETCHED, name))
        except Exception as trouble:
            error = trouble
        with suppress(OSError):
            place.unlink(missing_ok=True)
        self._state.arrived.append(_Arrival(found=found, error=error))
        watch.ring()

    def _receive(self) -> None:
        state = self._state
        while state.arrived:
            arrival = state.arrived.popleft()
            name = arrival.found.wal.name
            state.arriving.discard(name)
            is_abandoned = name in state.abandoned
            state.abandoned.discard(name)
            if arrival.error is not None:
                self._fail(name, arrival.error)
                if not is_abandoned:
                    state.again.append(arrival.found)
                continue
            state.failures = 0
            state.lying.add(name)
            if is_abandoned:
                self._drop(name)

    def _fail(self, name: str, error: Exception) -> None:
        """Wait longer after each failure, and say what is wrong once a minute."""
        state, now = self._state, time.monotonic()
        state.failures += 1
        state.next_fetch = now + min(2.0**state.failures, _LONGEST_PAUSE)
        if now - state.last_complaint >= _LOG_PAUSE:
            state.last_complaint = now
            message = error.message if isinstance(error, PitrError) else repr(error)
            log.event(self._logger, log.ERROR, f"cannot prefetch: {message}", seg=name)

    # The end

    def _pause(self) -> float:
        wait = self._state.next_fetch - time.monotonic()
        return min(_LOOK_AROUND, wait) if wait > 0 else _LOOK_AROUND

    def _is_over(self) -> bool:
        return not self._is_mine() or (
            time.monotonic() - self._state.last_work > self._job.idle_seconds
        )

    def _is_mine(self) -> bool:
        job = self._job
        return (
            self._server is not None
            and running_server(job.data_dir) == self._server
            and recovers(job.data_dir)
            and self._is_bound()
            and job.is_current()
        )

    def _is_bound(self) -> bool:
        return version_of(self._job.spool) == self._version

    def _clear(self) -> None:
        for folder in (FETCHED, ARRIVING):
            for name in self._job.spool.names(folder):
                with suppress(OSError):
                    Path(self._job.spool.path(folder, name)).unlink(missing_ok=True)


def wanted_name(spool: Spool) -> str:
    """The name that was asked for last; empty if there is none."""
    with suppress(OSError):
        return Path(spool.path(WANTED)).read_text().strip()
    return ""


def want(spool: Spool, name: str) -> None:
    """Tell the prefetcher what was asked for; raises OSError."""
    path = Path(spool.path(WANTED))
    temporary = path.with_name(f"{WANTED}.tmp")
    temporary.write_text(f"{name}\n")
    temporary.replace(path)


def _follows(name: str, other: str) -> bool:
    """Whether a segment comes after another one of the same timeline."""
    return parse_wal_name(name).timeline == parse_wal_name(other).timeline and name > other
