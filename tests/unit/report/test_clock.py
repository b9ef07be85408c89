"""When WAL was written: times go on with positions, whatever the clocks said."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from backup_core.report.clock import Anchor, anchors, time_at
from tests.support.backups import NOON

MINUTE = timedelta(minutes=1)
POSITIONS = st.integers(0, 1000)
TIMES = st.integers(-1000, 1000).map(lambda minutes: NOON + minutes * MINUTE)
ANCHORS = st.lists(st.tuples(POSITIONS, TIMES), max_size=12)


def at(position: int, minutes: int) -> Anchor:
    return position, NOON + minutes * MINUTE


@given(ANCHORS, ANCHORS, st.lists(POSITIONS, min_size=2, max_size=5))
def test_time_never_goes_back(
    trusted: list[Anchor], stored: list[Anchor], positions: list[int]
) -> None:
    """However much clocks contradict each other and themselves."""
    known = anchors(trusted, stored)
    times = [time_at(position, known) for position in sorted(positions)]
    found = [time for time in times if time is not None]
    assert found == sorted(found)
    assert len(found) in (0, len(times))


@given(ANCHORS, ANCHORS)
def test_what_is_trusted_is_not_changed_by_the_store(
    trusted: list[Anchor], stored: list[Anchor]
) -> None:
    """The store's clock only adds to it."""
    assert set(anchors(trusted, ())) <= set(anchors(trusted, stored))


def test_between_two_anchors_time_goes_evenly() -> None:
    """A segment in the middle was written half-way."""
    known = anchors([at(0, 0), at(100, 60)], ())
    assert time_at(50, known) == NOON + 30 * MINUTE


def test_beyond_the_anchors_it_stands_still() -> None:
    """Nothing is made up."""
    known = anchors([at(10, 0), at(20, 5)], ())
    assert (time_at(0, known), time_at(99, known)) == (NOON, NOON + 5 * MINUTE)


def test_the_times_of_a_copy_do_not_count() -> None:
    """All of it was stored after the last backup that the archive itself knows of."""
    known = anchors([at(0, 0), at(100, 60)], [at(10, 9000), at(50, 9000), at(100, 9000)])
    assert time_at(10, known) == NOON + 6 * MINUTE


def test_without_an_anchor_no_time_is_told() -> None:
    """Not even a guess."""
    assert time_at(5, ()) is None


def test_the_store_tells_what_nobody_else_does() -> None:
    """The end of the archive, long after the newest backup."""
    later: datetime = NOON + 90 * MINUTE
    assert time_at(200, anchors([at(0, 0)], [(200, later)])) == later
