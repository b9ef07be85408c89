"""Which segments a recovering server will ask for next."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.archive.upcoming import Leg, legs, upcoming
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.timeline import TimelineHistory, TimelineSwitch
from backup_core.postgres.wal import parse_wal_name, segment_name
from backup_core.storage.file import FileStorage

MIB = 1 << 20


def history(*ends: float) -> TimelineHistory:
    """Timelines 1, 2, ... left at these numbers of segments."""
    switches = tuple(
        TimelineSwitch(timeline=number, end=Lsn(int(end * MIB)), reason="")
        for number, end in enumerate(ends, start=1)
    )
    return TimelineHistory(timeline=len(ends) + 1, switches=switches)


@pytest.mark.parametrize(
    ("way", "timeline", "number", "expected"),
    [
        (history(), 1, 4, [Leg(timeline=1, first=5, last=None)]),
        (
            history(8.5),
            1,
            4,
            [Leg(timeline=1, first=5, last=7), Leg(timeline=2, first=8, last=None)],
        ),
        (history(8.5), 1, 7, [Leg(timeline=2, first=8, last=None)]),
        (history(8.5), 1, 8, [Leg(timeline=1, first=9, last=None)]),
        (history(8.5), 2, 8, [Leg(timeline=2, first=9, last=None)]),
        (
            history(8.2, 8.7, 10),
            1,
            6,
            [
                Leg(timeline=1, first=7, last=7),
                Leg(timeline=3, first=8, last=9),
                Leg(timeline=4, first=10, last=None),
            ],
        ),
    ],
)
def test_the_successor_has_the_segment_of_the_switch(
    way: TimelineHistory, timeline: int, number: int, expected: list[Leg]
) -> None:
    """And a server that is past the point where the way leaves its timeline stays on it."""
    assert legs(way, timeline, number, MIB) == expected


@given(
    ends=st.lists(st.integers(1, 40 * MIB), max_size=4).map(sorted),
    number=st.integers(0, 45),
    data=st.data(),
)
def test_the_legs_are_one_way_without_gap(
    ends: list[int], number: int, data: st.DataObject
) -> None:
    """Each begins where the one before ended, timelines rise, and the last is open."""
    way = history(*(end / MIB for end in ends))
    timeline = data.draw(st.integers(1, way.timeline))
    found = legs(way, timeline, number, MIB)
    assert found[0].first == number + 1
    assert found[-1].last is None
    for before, after in itertools.pairwise(found):
        assert before.last is not None
        assert after.first == before.last + 1
        assert after.timeline > before.timeline


def archive(root: Path, *names: str) -> FileStorage:
    """A repository that holds these names."""
    storage = FileStorage(root)
    for name in names:
        storage.put(f"wal_005/{name}", [b"x"])
    return storage


def test_what_comes_is_taken_from_the_listing_up_to_the_first_gap(tmp_path: Path) -> None:
    """Other codecs, partial segments and other timelines between do not disturb it."""
    names = [segment_name(1, number, MIB) for number in (3, 4, 5, 7)]
    storage = archive(
        tmp_path,
        f"{names[0]}.zst",
        f"{names[1]}.lz4",
        f"{names[1]}.partial.zst",
        f"{names[2]}.zst",
        f"{names[3]}.zst",
    )
    found = upcoming(storage, parse_wal_name(names[0]), MIB)
    assert [item.wal.name for item in found] == names[1:3]
