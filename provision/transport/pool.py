"""The same work on many hosts, some at a time.

Threads of our own: fabric's group starts one a host whatever their number, collapses hosts that
are equal, and waits for all of them when the engineer presses Ctrl-C; so does the standard pool,
at the end of the process. Results come in the order of the targets.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Generic, TypeVar

from provision.errors import ProvisionError, UnreachableError
from provision.transport.session import AskPassword, Session
from provision.transport.target import Target

T = TypeVar("T")

PARALLEL = 10
SECONDS_TO_STOP = 2


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[T]):
    """What the work on a host returned, or why it failed: exactly one of them."""

    target: Target
    value: T | None = None
    error: ProvisionError | None = None


def run_on(
    targets: Sequence[Target],
    work: Callable[[Session], T],
    *,
    parallel: int = PARALLEL,
    password: AskPassword | None = None,
    started: Callable[[Target], None] | None = None,
    finished: Callable[[Outcome[T]], None] | None = None,
) -> tuple[Outcome[T], ...]:
    """Do `work` on each target in a session of its own, `parallel` at a time.

    One connection to a gateway serves all hosts behind it. `started` is called in a host's own
    thread before it is connected to, `finished` in this thread as hosts end. ProvisionErrors
    become outcomes; any other exception stops everything and is raised, as KeyboardInterrupt is:
    sessions are closed, and what runs on hosts goes on to its end there.
    """
    run = _Run(targets, work, password, started)
    workers = [
        threading.Thread(target=run.worker, name=f"ssh-{number}", daemon=True)
        for number in range(min(parallel, len(targets)))
    ]
    for worker in workers:
        worker.start()
    outcomes: dict[int, Outcome[T]] = {}
    try:
        for _ in targets:
            number, outcome = run.next_outcome()
            outcomes[number] = outcome
            if finished is not None:
                finished(outcome)
    finally:
        run.stop()
        for worker in workers:
            worker.join(SECONDS_TO_STOP)
    return tuple(outcomes[number] for number in range(len(targets)))


class _Run(Generic[T]):
    """What the workers of one call share."""

    def __init__(
        self,
        targets: Sequence[Target],
        work: Callable[[Session], T],
        password: AskPassword | None,
        started: Callable[[Target], None] | None,
    ) -> None:
        self._work = work
        self._password = password
        self._started = started
        self._gateways = _Gateways()
        self._lock = threading.Lock()
        self._stopped = False
        self._open: set[Session] = set()
        self._waiting: queue.SimpleQueue[tuple[int, Target]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[int, Outcome[T] | BaseException]] = queue.SimpleQueue()
        for numbered in enumerate(targets):
            self._waiting.put(numbered)

    def worker(self) -> None:
        """Work on hosts until none is left."""
        while not self._stopped:
            try:
                number, target = self._waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self._done.put((number, self._outcome(target)))
            except BaseException as error:
                self._done.put((number, error))

    def next_outcome(self) -> tuple[int, Outcome[T]]:
        """Wait for a host; raise what its work raised when that is no ProvisionError."""
        number, outcome = self._done.get()
        if isinstance(outcome, BaseException):
            raise outcome
        return number, outcome

    def stop(self) -> None:
        """Start no more hosts and close what is open."""
        with self._lock:
            self._stopped = True
            sessions = list(self._open)
        for session in sessions:
            session.close()
        self._gateways.close()

    def _outcome(self, target: Target) -> Outcome[T]:
        if self._started is not None:
            self._started(target)
        try:
            gateway = self._gateways.session(target.gateway) if target.gateway else None
            session = Session(target, password=self._password, gateway=gateway)
            with session:
                self._register(session)
                try:
                    return Outcome(target=target, value=self._work(session))
                finally:
                    with self._lock:
                        self._open.discard(session)
        except ProvisionError as error:
            return Outcome(target=target, error=error)

    def _register(self, session: Session) -> None:
        with self._lock:
            self._open.add(session)
            if self._stopped:
                raise UnreachableError(f"{session.target.name}: interrupted")


class _Gateways:
    """Open connections to gateways, one each; a gateway that failed is not tried again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[Target, threading.Lock] = {}
        self._found: dict[Target, Session | ProvisionError] = {}
        self._opened = ExitStack()

    def session(self, target: Target) -> Session:
        with self._lock:
            lock = self._locks.setdefault(target, threading.Lock())
        with lock:
            if target not in self._found:
                self._found[target] = self._try(target)
            found = self._found[target]
        if isinstance(found, ProvisionError):
            raise found
        return found

    def close(self) -> None:
        self._opened.close()

    def _try(self, target: Target) -> Session | ProvisionError:
        outer = self.session(target.gateway) if target.gateway else None
        try:
            return self._opened.enter_context(Session(target, gateway=outer))
        except ProvisionError as error:
            return error
