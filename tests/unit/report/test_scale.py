"""The time axis: every moment has a place on it, and its marks are few and round."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.report.scale import Scale, marks, scale_over
from tests.support.backups import NOON

MOMENTS = st.integers(-739_900 * 86400, 2_912_000 * 86400).map(
    lambda seconds: NOON + timedelta(seconds=seconds)
)
"""From the year 1 to 9999, as far as a wrong clock goes."""


@given(st.lists(MOMENTS, max_size=5), MOMENTS)
def test_every_moment_lies_between_the_ends(times: list[datetime], now: datetime) -> None:
    """Also when there is one only, and when clocks are ahead."""
    scale = scale_over(times, now)
    assert all(0 <= scale.place(time) <= 100 for time in (*times, now))


@given(st.lists(MOMENTS, max_size=2), MOMENTS)
def test_marks_are_few_and_lie_on_the_axis(times: list[datetime], now: datetime) -> None:
    """From seconds to centuries."""
    scale = scale_over(times, now)
    found = marks(scale)
    assert len(found) <= 12
    assert all(scale.begin <= mark.time <= scale.end for mark in found)


@pytest.mark.parametrize(
    ("length", "labels"),
    [
        (timedelta(minutes=3), ["12:00:00", "12:00:30"]),
        (timedelta(hours=8), ["12:00", "13:00"]),
        (timedelta(days=9), ["23 Nov", "24 Nov"]),
        (timedelta(days=400), ["2027", "Mar", "May"]),
    ],
)
def test_marks_are_round(length: timedelta, labels: list[str]) -> None:
    """And say no more than tells one from the next."""
    found = [mark.label for mark in marks(Scale(begin=NOON, end=NOON + length))]
    assert found[: len(labels)] == labels


def test_beyond_the_ends_is_at_the_ends() -> None:
    """So that a bar which began before the axis is drawn from its edge."""
    scale = Scale(begin=NOON, end=NOON + timedelta(hours=1))
    assert scale.place(NOON - timedelta(days=1)) == 0
    assert scale.place(NOON + timedelta(days=1)) == 100
