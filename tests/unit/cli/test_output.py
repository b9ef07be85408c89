"""Sizes, durations and tables, as people read them."""

import logging
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.cli.output import duration, moment, reporter, size, table

UNITS = {"B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40, "PiB": 50}


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.977 KiB"),
        (1024, "1 KiB"),
        (1023 * 1024, "0.999 MiB"),
        (1_023_900, "0.976 MiB"),
        (16 << 20, "16 MiB"),
        (1234 << 20, "1.21 GiB"),
        (5 << 40, "5 TiB"),
    ],
)
def test_sizes_have_three_digits_and_a_binary_unit(count: int, text: str) -> None:
    """The unit changes before a fourth digit would be needed."""
    assert size(count) == text


@given(count=st.integers(0, (999 << 50) - 1))
def test_no_size_is_far_from_what_it_says(count: int) -> None:
    """Half a percent at most, and never in powers of ten."""
    number, unit = size(count).split()
    assert "e" not in number
    assert float(number) * 2 ** UNITS[unit] == pytest.approx(count, rel=0.0051)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (61, "1m01s"),
        (3599, "59m59s"),
        (3600, "1h00m"),
        (86399, "23h59m"),
        (86400, "1d00h"),
        (90 * 86400 + 7200, "90d02h"),
    ],
)
def test_durations_have_their_two_largest_units(seconds: float, text: str) -> None:
    """A clock that was set back makes none negative."""
    assert duration(timedelta(seconds=seconds)) == text


def test_moments_are_local_with_their_offset() -> None:
    """So that one can be given back as --target-time, anywhere."""
    text = "2026-11-22T12:00:00+05:30"
    shown = moment(datetime.fromisoformat(text))
    assert datetime.strptime(shown, "%Y-%m-%d %H:%M:%S%z") == datetime.fromisoformat(text)


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    """Text to the left, numbers to the right, and no blanks at the end."""
    lines = list(table(["name", "size"], [["a", "5"], ["longer", "12345"]], right=[1]))
    assert lines == ["name     size", "a           5", "longer  12345"]
    assert list(table(["n", "note"], [["1", ""], ["2", "x"]])) == ["n  note", "1", "2  x"]


def test_a_row_may_stand_across_all_columns() -> None:
    """It does not widen them."""
    lines = list(table(["a", "b"], [["1", "2"], "a remark that is longer than the table"]))
    assert lines == ["a  b", "1  2", "a remark that is longer than the table"]


def test_a_table_without_rows_has_its_heads() -> None:
    """An empty list is still a list."""
    assert list(table(["name", "size"], [])) == ["name  size"]


def test_without_a_terminal_a_step_is_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """And bytes are not reported at all."""
    logger = logging.getLogger("pitr.test")
    with caplog.at_level(logging.INFO), reporter(logger) as progress:
        progress.step("copy the data directory")
        progress.total(10)
        progress.advance(10)
    assert [record.getMessage() for record in caplog.records] == ["copy the data directory"]
