"""Many items side by side, ended as a whole by the first error."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from backup_core.stream.parallel import Advance, in_order, read_ahead, run_all


def test_results_come_in_the_order_of_the_items() -> None:
    """Whichever worker is done first."""

    def work(item: int, advance: Advance) -> int:
        time.sleep(0.01 * (3 - item % 3))
        advance(item)
        return item * 2

    done: list[int] = []
    assert run_all(work, range(9), workers=3, advance=done.append) == [n * 2 for n in range(9)]
    assert sorted(done) == list(range(9))


def test_the_first_error_ends_all_workers() -> None:
    """Work that goes on for ever stops where it reports its progress."""
    started = threading.Event()

    def work(item: int, advance: Advance) -> None:
        if item == 1:
            started.wait(5)
            raise ValueError("item 1")
        while True:
            started.set()
            advance(1)
            time.sleep(0.001)

    with pytest.raises(ValueError, match="item 1"):
        run_all(work, [0, 1], workers=2, advance=lambda _: None)


def test_a_failing_watch_ends_all_workers() -> None:
    """The backup's connection is watched while its parts are uploaded."""

    def work(item: int, advance: Advance) -> None:
        while True:
            advance(item)
            time.sleep(0.001)

    def watch() -> None:
        raise ValueError("connection lost")

    with pytest.raises(ValueError, match="connection lost"):
        run_all(work, [0], workers=1, advance=lambda _: None, interval=0.01, watch=watch)


def test_frames_keep_their_order_and_few_are_held() -> None:
    """No more items are drawn than are allowed to be under way."""
    drawn: list[int] = []

    def items() -> Iterator[int]:
        for item in range(20):
            drawn.append(item)
            yield item

    with ThreadPoolExecutor(2) as pool:
        results = in_order(pool, 2, lambda item: item * 2, items())
        assert next(results) == 0
        assert len(drawn) <= 3
        assert list(results) == [item * 2 for item in range(1, 20)]


def test_reading_ahead_changes_nothing_but_the_time() -> None:
    """The same items in the same order, and an error where it occurs."""

    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("third")

    with ThreadPoolExecutor(1) as pool:
        ahead = read_ahead(pool, items())
        assert [next(ahead), next(ahead)] == [1, 2]
        with pytest.raises(ValueError, match="third"):
            next(ahead)
