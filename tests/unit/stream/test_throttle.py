"""No second passes more than its share, whoever takes it."""

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from backup_core.storage.memory import MemoryStorage
from backup_core.storage.throttled import ThrottledStorage
from backup_core.stream.throttle import Throttle, paced_advance


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        assert seconds > 0
        self.now += seconds


@given(
    rate=st.integers(1, 10**9),
    steps=st.lists(st.tuples(st.integers(0, 1 << 22), st.floats(0, 3)), max_size=60),
)
def test_what_passed_never_exceeds_the_rate_and_a_short_burst(
    rate: int, steps: list[tuple[int, float]]
) -> None:
    """From any moment to any later one, pauses of the caller included."""
    clock = Clock()
    throttle = Throttle(rate, clock=clock, sleep=clock.sleep)
    passed: list[tuple[float, int]] = []
    for size, pause in steps:
        clock.now += pause
        asked = clock.now
        throttle.take(size)
        passed.append((asked, size))
        for number, (begun, _) in enumerate(passed):
            since = sum(each for _, each in passed[number:])
            assert since <= (clock.now - begun + 0.25) * rate * 1.001 + 1


def test_two_threads_share_one_rate() -> None:
    """By a real clock; late it may be, early it may not."""
    counted = paced_advance(lambda _: None, 1_000_000)
    began = time.monotonic()
    threads = [
        threading.Thread(target=lambda: [counted(25_000) for _ in range(10)]) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.24 < time.monotonic() - began < 5


def test_no_limit_is_no_detour() -> None:
    """The very function is handed back."""
    assert paced_advance(print, None) is print


def test_a_store_is_written_and_read_at_its_rate() -> None:
    """Both ways count, and what comes is what went."""
    storage = ThrottledStorage(MemoryStorage(), Throttle(1_000_000).take)
    chunks = [bytes([number]) * 30_000 for number in range(10)]
    began = time.monotonic()
    storage.put("key", chunks)
    half = time.monotonic()
    assert b"".join(storage.get("key", start=0)) == b"".join(chunks)
    assert half - began > 0.04
    assert time.monotonic() - half > 0.04
    assert [info.size for info in storage.list("")] == [300_000]
    assert storage.delete(["key"]) == {"key": None}
