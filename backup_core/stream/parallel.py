"""The same work on many items side by side, ended as a whole by the first error.

Threads, not processes: reading, writing, digests and compression leave the interpreter's lock
(docs/decisions/threads.md).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Advance = Callable[[int], None]


class _AbandonedError(Exception):
    """Raised in a worker after another has failed."""


def run_all(
    work: Callable[[Item, Advance], Result],
    items: Sequence[Item],
    *,
    workers: int,
    advance: Advance,
    interval: float | None = 1.0,
    watch: Callable[[], None] = lambda: None,
) -> list[Result]:
    """Call `work(item, advance)` for every item; return the results in the items' order.

    Work reports the bytes it has done through the `advance` it is given, often, for that is where
    it is ended when other work, `watch` (called every `interval` seconds) or a signal has failed.
    The first error is raised once all workers have ended.
    """
    cancelled = threading.Event()

    def report(size: int) -> None:
        if cancelled.is_set():
            raise _AbandonedError
        advance(size)

    with ThreadPoolExecutor(workers, thread_name_prefix="worker") as pool:
        futures = [pool.submit(work, item, report) for item in items]
        pending = set(futures)
        try:
            while pending:
                done, pending = wait(pending, timeout=interval, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                if pending:
                    watch()
        except BaseException:
            cancelled.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [future.result() for future in futures]


def in_order(
    pool: Executor, ahead: int, work: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """Yield `work(item)` for every item as `map` does, while up to `ahead` more are under way.

    Items are drawn in the caller's thread, so at most `ahead + 1` of them are held.
    """
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def read_ahead(pool: Executor, items: Iterator[Item]) -> Iterator[Item]:
    """Yield the same items, the next one being made while the last is used."""
    future: Future[Item | None] = pool.submit(next, items, None)
    try:
        while (item := future.result()) is not None:
            future = pool.submit(next, items, None)
            yield item
    finally:
        wait([future])
