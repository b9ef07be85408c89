"""What is noted of a listing while it passes by."""

from dataclasses import replace
from datetime import timedelta

from backup_core.postgres.wal import parse_wal_name, segment_name
from backup_core.report.listing import Listing, growth
from backup_core.repository.wal_archive import WalObject
from tests.support.archives import SEGMENT
from tests.support.backups import BACKUP, NOON

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def archived(timeline: int, number: int) -> WalObject:
    """A segment that was stored in the minute of its number, of as many bytes."""
    name = segment_name(timeline, number, SEGMENT)
    return WalObject(
        wal=parse_wal_name(name),
        key=f"wal_005/{name}",
        extension="",
        size=number,
        modified=NOON + number * MINUTE,
    )


def passed(*objects: WalObject) -> Listing:
    listing = Listing(SEGMENT)
    assert list(listing.noting(objects)) == list(objects)
    return listing


def test_only_the_ends_of_each_run_are_kept() -> None:
    """However long the run is."""
    found = passed(*(archived(1, n) for n in (1, 2, 3, 4, 7)), *(archived(2, n) for n in (8, 9)))
    assert sorted(found.stored) == [(1, 1), (1, 4), (1, 7), (2, 8), (2, 9)]
    assert found.stored[(1, 4)] == NOON + 4 * MINUTE


def test_a_segment_under_two_codecs_does_not_end_a_run() -> None:
    """Both are stored, and both are counted."""
    found = passed(*(archived(1, n) for n in (1, 2, 2, 3)))
    assert sorted(found.stored) == [(1, 1), (1, 3)]
    assert sum(found.by_hour.values()) == 8


def test_growth_adds_up_to_all_that_is_stored() -> None:
    """Backups by their ends, WAL by the store's clock."""
    backups = [replace(BACKUP, finish_time=NOON + n * DAY, compressed_size=100) for n in range(3)]
    points = growth(backups, {NOON: 7, NOON + 2 * DAY: 5})
    assert [(point.backups, point.wal) for point in points] == [(100, 7), (200, 7), (300, 12)]
    assert points[0].until == NOON + timedelta(hours=1)


def test_a_long_history_is_told_in_larger_steps() -> None:
    """Not in thousands of points."""
    hours = {NOON + n * DAY / 4: 1 for n in range(4 * 730)}
    points = growth((), hours)
    assert len(points) < 400
    assert points[-1].wal == len(hours)


def test_of_nothing_there_is_no_growth() -> None:
    """And no chart of it."""
    assert growth((), {}) == ()
