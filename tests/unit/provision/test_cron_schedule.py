"""Times as cron writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.cron_schedule import parse
from provision.errors import InputError

# a Wednesday
START = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


class TestReading:
    """Five fields, strictly."""

    @pytest.mark.parametrize(
        ("text", "canonical"),
        [
            ("30 3 * * *", "30 3 * * *"),
            ("  30\t03 * * * ", "30 3 * * *"),
            ("*/15 * * * *", "*/15 * * * *"),
            ("0 2-6/2,22 * JAN-mar mon", "0 2-6/2,22 * 1-3 1"),
            ("0 0 * * fri-sun", "0 0 * * 5-7"),
            ("0 0 1,15 * *", "0 0 1,15 * *"),
        ],
    )
    def test_fields_are_written_in_numbers(self, text: str, canonical: str) -> None:
        """Every cron reads numbers; lists of names are read by some."""
        assert parse(text).text == canonical

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "* * * *",
            "* * * * * *",
            "@daily",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "* * * * L",
            "* * * * monday",
            "* * ? * *",
            "5/10 * * * *",
            "*/0 * * * *",
            "*/60 * * * *",
            "10-5 * * * *",
            "1,,2 * * * *",
            "1- * * * *",
            "-1 * * * *",
            "+1 * * * *",
            "٣ * * * *",
            "1e1 * * * *",
        ],
    )
    def test_what_crons_read_differently_is_refused(self, text: str) -> None:
        """Also what none of them reads."""
        with pytest.raises(InputError):
            parse(text)

    @pytest.mark.parametrize("text", ["0 0 31 2 *", "0 0 30 feb *", "0 0 31 4,6,9,11 *"])
    def test_a_day_that_never_comes_is_refused(self, text: str) -> None:
        """A backup that never runs looks like one that is scheduled."""
        with pytest.raises(InputError, match="never runs"):
            parse(text)

    def test_a_day_that_never_comes_may_stand_beside_a_weekday(self) -> None:
        """cron takes either, so the weekday remains."""
        assert parse("0 0 31 2 1").next_runs(START, 1) == [datetime(2025, 2, 3, tzinfo=UTC)]


class TestRunTimes:
    """When a line runs."""

    @pytest.mark.parametrize(
        ("text", "runs"),
        [
            ("30 3 * * *", ["2024-05-02 03:30", "2024-05-03 03:30"]),
            ("0 12 * * *", ["2024-05-02 12:00", "2024-05-03 12:00"]),
            ("*/30 * * * *", ["2024-05-01 12:30", "2024-05-01 13:00"]),
            ("0 0 1 * *", ["2024-06-01 00:00", "2024-07-01 00:00"]),
            ("0 0 29 2 *", ["2028-02-29 00:00", "2032-02-29 00:00"]),
            ("15 4 * * sun", ["2024-05-05 04:15", "2024-05-12 04:15"]),
            ("15 4 * * 7", ["2024-05-05 04:15", "2024-05-12 04:15"]),
            ("0 6 3 * sun", ["2024-05-03 06:00", "2024-05-05 06:00"]),
            ("0 6 */2 * sun", ["2024-05-05 06:00", "2024-05-19 06:00"]),
        ],
    )
    def test_runs_follow_each_other(self, text: str, runs: list[str]) -> None:
        """Both days restricted means either of them, unless one begins with a star."""
        expected = [datetime.fromisoformat(f"{run}+00:00") for run in runs]
        assert parse(text).next_runs(START, 2) == expected

    @given(days=st.integers(0, 36_500), seconds=st.integers(0, 86_399))
    def test_every_quarter_of_an_hour_is_a_quarter_apart(self, days: int, seconds: int) -> None:
        """Also over the ends of days, months and years."""
        moment = START + timedelta(days=days, seconds=seconds)
        runs = parse("*/15 * * * *").next_runs(moment, 5)
        assert moment < runs[0] <= moment + timedelta(minutes=15)
        assert {later - earlier for earlier, later in pairwise(runs)} == {timedelta(minutes=15)}

    @pytest.mark.parametrize(("text", "expected"), [("0 2 * * *", True), ("0 3 * * *", False)])
    def test_runs_that_a_clock_change_may_skip_are_known(self, text: str, expected: bool) -> None:
        """The hours from 1 to 3 are those that clocks repeat or leave out."""
        assert parse(text).in_clock_change is expected


class TestSystemd:
    """The same times for a timer."""

    @pytest.mark.parametrize(
        ("text", "calendar"),
        [
            ("30 3 * * *", "*-*-* 03:30:00"),
            ("*/20 * * * *", "*-*-* *:00,20,40:00"),
            ("0 4 1 1,7 *", "*-01,07-01 04:00:00"),
            ("0 4 * * 0,6", "Sun,Sat *-*-* 04:00:00"),
        ],
    )
    def test_times_are_said_in_systemds_words(self, text: str, calendar: str) -> None:
        """Lists are written out."""
        assert parse(text).on_calendar() == calendar

    def test_a_zone_stands_at_the_end(self) -> None:
        """Otherwise the host's applies, as with cron."""
        assert parse("0 4 * * *").on_calendar("UTC") == "*-*-* 04:00:00 UTC"

    def test_either_of_two_days_cannot_be_said(self) -> None:
        """systemd would run on Sundays that are the 13th."""
        with pytest.raises(InputError, match="restricts both days"):
            parse("0 4 13 * 0").on_calendar()


class TestDelay:
    """The same schedule, later on another host."""

    @pytest.mark.parametrize(
        ("minutes", "expected"), [(0, "30 3,15 * * 1"), (29, "59 3,15 * * 1"), (95, "5 5,17 * * 1")]
    )
    def test_hours_carry(self, minutes: int, expected: str) -> None:
        """Minutes beyond the hour move the hours on."""
        assert parse("30 3,15 * * mon").delayed(minutes).text == expected

    @pytest.mark.parametrize("text", ["*/5 3 * * *", "30 * * * *", "30 23 * * *"])
    def test_what_would_change_the_days_or_the_rhythm_is_refused(self, text: str) -> None:
        """The next day may be another weekday."""
        with pytest.raises(InputError):
            parse(text).delayed(45)


def test_a_schedule_that_is_not_moved_may_be_any() -> None:
    """A job every five minutes has no spread, and needs none."""
    assert parse("*/5 * * * *").delayed(0).text == "*/5 * * * *"
