"""Trying again: how the pauses grow, where they end, and what is not tried again at all."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import NotFoundError, PitrError, StorageError
from backup_core.storage.retry import Attempts, PassingError, RetryPolicy, retried
from backup_core.storage.s3.errors import RefusalError

REFUSED = RefusalError("no permission", hint=None, code="AccessDenied", status=403)
ABSENT = NotFoundError("no such object")


class Clock:
    """A time that passes only in sleep, or when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def policy(
        self,
        *,
        timeout: float = 1e9,
        max_retries: int = 1000,
        draw: Callable[[float, float], float] | None = max,
    ) -> RetryPolicy:
        """A policy that reads this clock, and draws the longest pause unless told otherwise."""
        return RetryPolicy(
            timeout=timeout,
            max_retries=max_retries,
            clock=lambda: self.now,
            sleep=self.sleep,
            draw=draw,
        )


def failing(times: int, error: PitrError | None = None) -> Callable[[], str]:
    """Work that fails so many times and is done then."""
    left = iter([error or PassingError("the server is busy")] * times)

    def work() -> str:
        for trouble in left:
            raise trouble
        return "done"

    return work


def test_work_that_succeeds_is_not_delayed() -> None:
    """Nobody pays for retries that are not needed."""
    clock = Clock()
    assert retried(failing(0), clock.policy()) == "done"
    assert clock.pauses == []


def test_pauses_double_up_to_the_longest() -> None:
    """A tenth of a second at first, fifteen at most."""
    clock = Clock()
    assert retried(failing(10), clock.policy()) == "done"
    assert clock.pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0])


@given(st.integers(1, 40))
def test_pauses_are_drawn_from_the_upper_half(failures: int) -> None:
    """Clients that failed together come back apart, and none of them at once."""
    low, high, drawn = Clock(), Clock(), Clock()
    retried(failing(failures), low.policy(draw=min))
    retried(failing(failures), high.policy(draw=max))
    retried(failing(failures), drawn.policy(draw=None))
    assert low.pauses == [bound / 2 for bound in high.pauses]
    for shortest, pause, longest in zip(low.pauses, drawn.pauses, high.pauses, strict=True):
        assert shortest <= pause <= longest


def test_patience_for_days_has_no_end_in_arithmetic() -> None:
    """However often the work failed, the pause stays a number."""
    clock = Clock()
    assert retried(failing(5000), clock.policy(max_retries=5000)) == "done"
    assert clock.pauses[-1] == 15.0


def test_the_last_error_is_raised_after_max_retries() -> None:
    """Three retries are four attempts; the message has the trouble and the hint stays."""
    clock = Clock()
    error = PassingError("the server is busy", hint="Ask its operator.")
    with pytest.raises(StorageError) as raised:
        retried(failing(4, error), clock.policy(max_retries=3))
    assert not isinstance(raised.value, PassingError)
    assert raised.value.message == "the server is busy (tried 4 times in 1 s)"
    assert raised.value.hint == "Ask its operator."
    assert len(clock.pauses) == 3


def test_no_retries_at_all_can_be_asked_for() -> None:
    """With max_retries 0 the first trouble is the last."""
    clock = Clock()
    with pytest.raises(StorageError, match="tried 1 times"):
        retried(failing(1), clock.policy(max_retries=0))
    assert clock.pauses == []


@given(timeout=st.floats(0.01, 500.0))
def test_no_pause_leads_past_the_deadline(timeout: float) -> None:
    """The error comes as soon as the next attempt would be too late, not after it."""
    clock = Clock()
    with pytest.raises(StorageError):
        retried(failing(10_000), clock.policy(timeout=timeout))
    assert clock.now - 1000.0 <= timeout + 1e-6


def test_the_time_of_the_attempts_counts() -> None:
    """A server that takes its time to fail is not waited for any longer."""
    clock = Clock()

    def slow() -> str:
        clock.now += 50
        raise PassingError("timed out")

    with pytest.raises(StorageError, match=r"tried 3 times in 150 s"):
        retried(slow, clock.policy(timeout=120))


def test_the_pause_that_the_server_asks_for_is_kept() -> None:
    """Retry-After is obeyed where it is longer than the pause drawn."""
    clock = Clock()
    retried(failing(2, PassingError("slow down", after=7.0)), clock.policy())
    assert clock.pauses == [7.0, 7.0]


def test_the_pause_that_the_server_asks_for_is_never_a_shortcut() -> None:
    """A server that says zero seconds is left alone all the same."""
    clock = Clock()
    retried(failing(1, PassingError("slow down", after=0.0)), clock.policy())
    assert clock.pauses == [pytest.approx(0.1)]


def test_a_pause_longer_than_the_patience_is_not_begun() -> None:
    """There is no point in waiting a minute to say that half a minute was too long."""
    clock = Clock()
    with pytest.raises(StorageError):
        retried(failing(1, PassingError("slow down", after=60.0)), clock.policy(timeout=30))
    assert clock.pauses == []


def test_progress_forgets_earlier_failures() -> None:
    """A long transfer may fail many times, as long as it comes further between."""
    clock = Clock()
    attempts = Attempts(clock.policy(timeout=10, max_retries=2))
    for _ in range(50):
        attempts.pause(PassingError("broke off"))
        attempts.pause(PassingError("broke off"))
        attempts.progress()
    assert set(clock.pauses) == {0.1, 0.2}
    attempts.pause(PassingError("broke off"))
    attempts.pause(PassingError("broke off"))
    with pytest.raises(StorageError, match="tried 3 times in 0 s"):
        attempts.pause(PassingError("broke off"))


@pytest.mark.parametrize("error", [REFUSED, ABSENT], ids=["refused", "absent"])
def test_what_stays_as_it_is_is_said_at_once(error: PitrError) -> None:
    """No permission and no object are answers, not trouble."""
    clock = Clock()
    with pytest.raises(type(error)) as raised:
        retried(failing(1, error), clock.policy())
    assert raised.value is error
    assert clock.pauses == []
