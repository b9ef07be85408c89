"""Times, lengths and sizes as a page says them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.report.words import length, moment, number, short, volume


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (-5, "0 seconds"),
        (1, "1 second"),
        (61, "1 minute 1 second"),
        (3600, "1 hour"),
        (3605, "1 hour"),
        (90061, "1 day 1 hour"),
        (86400 * 400, "400 days"),
    ],
)
def test_a_length_is_told_in_its_two_largest_units(seconds: int, words: str) -> None:
    """What is smaller is left out."""
    assert length(timedelta(seconds=seconds)) == words


def test_a_length_in_short() -> None:
    """For where there is little room."""
    assert short(timedelta(days=3, hours=4)) == "3 d 4 h"


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "0.977 KiB"),
        (1 << 30, "1 GiB"),
        (1 << 75, "3.28e+04 EiB"),
    ],
)
def test_a_size_has_three_digits(count: int, words: str) -> None:
    """From nothing to more than there is."""
    assert volume(count) == words


@given(st.integers(0, 1 << 69))
def test_no_size_is_told_in_powers_of_ten(count: int) -> None:
    """Nobody reads 1e+03."""
    assert "e" not in volume(count).replace("bytes", "")


def test_moments_are_utc() -> None:
    """Wherever the report was made; and the end of all time is one, too."""
    there = datetime(2026, 11, 22, 1, 0, tzinfo=timezone(timedelta(hours=2)))
    assert moment(there) == "21 Nov 2026, 23:00:00"
    assert moment(datetime.max.replace(tzinfo=timezone(-timedelta(hours=2)))).startswith("31 Dec")
    assert moment(datetime(2026, 1, 2, tzinfo=UTC)) == "2 Jan 2026, 00:00:00"


def test_a_count_agrees_with_its_unit() -> None:
    """One promise is, two promises are."""
    assert number(1, "backup") == "1 backup"
    assert number(2, "promise is", "promises are") == "2 promises are"
    assert number(1000, "backup") == "1,000 backups"
