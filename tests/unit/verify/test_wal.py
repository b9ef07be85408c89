"""Timelines, ranges and gaps, from nothing but the names in the archive."""

from datetime import UTC, datetime, timedelta

from backup_core.postgres.lsn import Lsn
from backup_core.postgres.timeline import TimelineHistory, TimelineSwitch
from backup_core.postgres.wal import parse_wal_name
from backup_core.repository.wal_archive import WalObject, WalRange
from backup_core.verify.wal import timelines

MEBIBYTE = 1 << 20
NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
LEFT_AT_4 = TimelineHistory(
    timeline=2, switches=(TimelineSwitch(timeline=1, end=Lsn(0x400100), reason=""),)
)


def archived(name: str, *, size: int = 100, minute: int | None = 0) -> WalObject:
    """An object of the archive, stored so many minutes after noon."""
    modified = None if minute is None else NOON + timedelta(minutes=minute)
    wal = parse_wal_name(name)
    return WalObject(
        wal=wal, key=f"wal_005/{name}.zst", extension="zst", size=size, modified=modified
    )


def segments(timeline: int, *numbers: int) -> list[WalObject]:
    return [archived(f"{timeline:08X}00000000{number:08X}") for number in numbers]


def run(timeline: int, first: int, last: int) -> WalRange:
    return WalRange(timeline=timeline, first=first, last=last)


def test_an_empty_archive_has_no_timelines() -> None:
    """A repository begins so."""
    assert timelines([], {}, MEBIBYTE) == ()


def test_consecutive_segments_are_a_range_and_the_rest_gaps() -> None:
    """In the order of the WAL, whatever the order of the listing."""
    [found] = timelines(segments(1, 9, 3, 2, 5, 1), {}, MEBIBYTE)
    assert found.ranges == (run(1, 1, 3), run(1, 5, 5), run(1, 9, 9))
    assert found.gaps == (run(1, 4, 4), run(1, 6, 8))
    assert found.segments == 5


def test_a_range_goes_on_where_the_log_id_changes() -> None:
    """Names jump there: at this segment size FFF is followed by 1 and zeros."""
    objects = [archived("000000010000000000000FFF"), archived("000000010000000100000000")]
    [found] = timelines(objects, {}, MEBIBYTE)
    assert found.ranges == (run(1, 0xFFF, 0x1000),)
    assert found.gaps == ()


def test_each_timeline_has_ranges_of_its_own() -> None:
    """That timeline 2 begins with a copy of timeline 1's last segment is no gap."""
    one, two = timelines(segments(1, 1, 2, 4) + segments(2, 4, 5), {2: LEFT_AT_4}, MEBIBYTE)
    assert (one.timeline, one.ranges, one.parent, one.begin) == (
        1,
        (run(1, 1, 2), run(1, 4, 4)),
        None,
        None,
    )
    assert (two.timeline, two.ranges, two.parent, two.begin) == (
        2,
        (run(2, 4, 5),),
        1,
        LEFT_AT_4.begin,
    )


def test_a_timeline_may_have_a_history_and_no_wal_yet() -> None:
    """So it is right after a promotion."""
    _, two = timelines(segments(1, 1), {2: LEFT_AT_4}, MEBIBYTE)
    assert (two.timeline, two.ranges, two.segments, two.newest) == (2, (), 0, None)


def test_without_its_history_a_timeline_has_no_parent() -> None:
    """It is shown all the same, since its WAL is there."""
    [found] = timelines(segments(2, 4), {}, MEBIBYTE)
    assert (found.timeline, found.parent, found.begin) == (2, None, None)


def test_only_whole_segments_count() -> None:
    """A .partial fills no gap, and adds neither size nor age."""
    objects = [
        archived("000000010000000000000001", size=10, minute=1),
        archived("000000010000000000000002.partial", size=20, minute=2),
        archived("000000010000000000000001.00000028.backup", size=40, minute=3),
        archived("000000010000000000000003", size=80, minute=None),
    ]
    [found] = timelines(objects, {}, MEBIBYTE)
    assert found.gaps == (run(1, 2, 2),)
    assert found.size == 90
    assert found.newest == NOON + timedelta(minutes=1)
