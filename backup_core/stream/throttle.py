"""A bound on the bytes that pass in a second, for all threads together.

The bytes of the past are a debt that time pays off: whoever takes some waits until it is paid. A
pause of the caller earns no more than a short burst, so that the limit is one over any second, and
not only over the whole backup.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_BURST_SECONDS = 0.25


class Throttle:
    """Lets `rate` bytes a second pass."""

    def __init__(
        self,
        rate: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._paid_at = clock()

    def take(self, size: int) -> None:
        """Count so many bytes; return when they may have passed."""
        with self._lock:
            now = self._clock()
            self._paid_at = max(self._paid_at, now - _BURST_SECONDS) + size / self._rate
            wait = self._paid_at - now
        if wait > 0:
            self._sleep(wait)


def paced_advance(advance: Callable[[int], None], rate: int | None) -> Callable[[int], None]:
    """What counts bytes as `advance` does, at most `rate` of them a second; None is no limit."""
    if rate is None:
        return advance
    throttle = Throttle(rate)

    def counted(size: int) -> None:
        throttle.take(size)
        advance(size)

    return counted
