"""Trying again what may pass: which trouble, how often, and for how long.

A store's client raises PassingError for trouble that another attempt may not meet (a throttled or
failed server, a broken connection, silence) and anything else for what stays as it is (no
permission, no such object). Pauses grow and are drawn at random, so that many clients which failed
together do not come back together.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from backup_core import log
from backup_core.errors import StorageError

Result = TypeVar("Result")
_DOUBLINGS = 64  # no pause is longer, and no float has room for a thousand


class PassingError(StorageError):
    """Trouble that may be over at the next attempt; `after` is the pause the server asked for."""

    def __init__(self, message: str, *, hint: str | None = None, after: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.after = after


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How long and how often; times in seconds."""

    timeout: float = 120.0
    max_retries: int = 15
    first_pause: float = 0.1
    longest_pause: float = 15.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[float, float], float] | None = None


class Attempts:
    """The attempts at one piece of work, counted from the last progress."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self.progress()

    def progress(self) -> None:
        """Forget earlier failures: the work has come further since."""
        self._failed = 0
        self._began = self._policy.clock()

    def pause(self, error: PassingError) -> None:
        """Wait before the next attempt; raises StorageError if there is to be none."""
        policy = self._policy
        self._failed += 1
        pause = self._next_pause(error)
        spent = policy.clock() - self._began
        if self._failed > policy.max_retries or spent + pause > policy.timeout:
            raise StorageError(
                f"{error.message} (tried {self._failed} times in {spent:.0f} s)", hint=error.hint
            ) from error
        log.event(
            log.get("storage"),
            log.WARNING,
            error.message,
            attempt=self._failed,
            again_in=f"{pause:.1f}s",
        )
        policy.sleep(pause)

    def _next_pause(self, error: PassingError) -> float:
        policy = self._policy
        from random import uniform

        doublings = min(self._failed - 1, _DOUBLINGS)
        bound = min(policy.longest_pause, policy.first_pause * 2**doublings)
        return max((policy.draw or uniform)(bound / 2, bound), error.after)


def retried(attempt: Callable[[], Result], policy: RetryPolicy) -> Result:
    """Return `attempt()`, called again after each PassingError, as far as the policy goes."""
    attempts = Attempts(policy)
    while True:
        try:
            return attempt()
        except PassingError as error:
            attempts.pause(error)
