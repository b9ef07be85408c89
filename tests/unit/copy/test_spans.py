"""Which segments belong to a copy."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.copy.spans import check_wal, spans_to_the_end, spans_within
from backup_core.errors import RefusedError
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.timeline import TimelineHistory, TimelineSwitch
from backup_core.postgres.wal import parse_wal_name, segment_name
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalObject, WalRange
from tests.support.backups import BACKUP

SIZE = 16 << 20


def span(timeline: int, first: int, last: int) -> WalRange:
    return WalRange(timeline=timeline, first=first, last=last)


def backup(first: int, last: int, timeline: int = 1) -> Backup:
    """A backup that starts in one segment and ends in another."""
    name = f"base_{segment_name(timeline, first, SIZE)}"
    start, finish = Lsn(first * SIZE + 0x28), Lsn(last * SIZE + 0x100)
    return replace(BACKUP, name=name, timeline=timeline, start_lsn=start, finish_lsn=finish)


def archived(timeline: int, *numbers: int) -> list[WalObject]:
    """These segments of a timeline, as the archive lists them."""
    names = [segment_name(timeline, number, SIZE) for number in numbers]
    return [
        WalObject(
            wal=parse_wal_name(name),
            key=f"wal_005/{name}.zst",
            extension="zst",
            size=1,
            modified=None,
        )
        for name in names
    ]


def history(timeline: int, *switches: tuple[int, int]) -> TimelineHistory:
    """The history of a timeline, by its ancestors and the segments in whose midst each ended."""
    return TimelineHistory(
        timeline=timeline,
        switches=tuple(
            TimelineSwitch(timeline=ancestor, end=Lsn(number * SIZE + 500), reason="")
            for ancestor, number in switches
        ),
    )


class TestWithin:
    """What makes each backup consistent, and no more."""

    def test_from_the_start_to_the_finish(self) -> None:
        """Both segments included."""
        assert spans_within([backup(5, 7)], SIZE) == (span(1, 5, 7),)

    def test_a_finish_at_the_end_of_a_segment_needs_nothing_of_the_next(self) -> None:
        """The finish is exclusive."""
        exact = replace(backup(5, 7), finish_lsn=Lsn(7 * SIZE))
        assert spans_within([exact], SIZE) == (span(1, 5, 6),)

    def test_neighbours_are_joined(self) -> None:
        """Whether they overlap or touch."""
        found = spans_within([backup(5, 7), backup(7, 8), backup(9, 9), backup(11, 11)], SIZE)
        assert found == (span(1, 5, 9), span(1, 11, 11))


class TestToTheEnd:
    """What follows the backups, on every timeline that they lead to."""

    def test_on_one_timeline(self) -> None:
        """To the highest segment there is."""
        wal = archived(1, *range(2, 12))
        assert spans_to_the_end([backup(5, 6)], {}, wal, SIZE) == (span(1, 5, 11),)

    def test_both_branches_of_a_switch(self) -> None:
        """For either can be restored: the old one is what --target-timeline names."""
        wal = archived(1, *range(2, 12)) + archived(2, 8, 9)
        found = spans_to_the_end([backup(5, 6)], {2: history(2, (1, 8))}, wal, SIZE)
        assert found == (span(1, 5, 11), span(2, 8, 9))

    def test_a_branch_that_left_before_the_backup_is_not_its_own(self) -> None:
        """Nothing on it can be reached."""
        wal = archived(1, *range(2, 12)) + archived(2, 3, 4)
        found = spans_to_the_end([backup(5, 6)], {2: history(2, (1, 3))}, wal, SIZE)
        assert found == (span(1, 5, 11),)

    def test_the_way_to_a_later_timeline_is_needed_even_if_it_is_not_archived(self) -> None:
        """The old timeline has to reach the switch."""
        wal = archived(1, 5, 6) + archived(2, 8, 9)
        found = spans_to_the_end([backup(5, 6)], {2: history(2, (1, 8))}, wal, SIZE)
        assert found == (span(1, 5, 7), span(2, 8, 9))

    def test_a_grandchild_is_reached_over_its_parent(self) -> None:
        """Also if the parent's own history is missing."""
        wal = archived(1, 5, 6, 7) + archived(2, 8, 9) + archived(3, 9)
        histories = {3: history(3, (1, 8), (2, 9))}
        found = spans_to_the_end([backup(5, 6)], histories, wal, SIZE)
        assert found == (span(1, 5, 7), span(2, 8, 8), span(3, 9, 9))

    def test_a_backup_of_a_later_timeline_needs_nothing_of_its_ancestors(self) -> None:
        """It began after the switch."""
        wal = archived(1, 5, 6, 7) + archived(2, 8, 9, 10)
        found = spans_to_the_end([backup(9, 9, timeline=2)], {2: history(2, (1, 8))}, wal, SIZE)
        assert found == (span(2, 9, 10),)


@given(numbers=st.sets(st.integers(1, 40)), first=st.integers(1, 40), length=st.integers(0, 40))
def test_exactly_the_gaps_are_refused(numbers: set[int], first: int, length: int) -> None:
    """The first segment that is missing is named."""
    wanted = range(first, first + length + 1)
    lacking = [number for number in wanted if number not in numbers]
    arguments = ([span(1, wanted[0], wanted[-1])], archived(1, *numbers), SIZE)
    if not lacking:
        check_wal(*arguments, where="here")
        return
    with pytest.raises(RefusedError, match=segment_name(1, lacking[0], SIZE)) as caught:
        check_wal(*arguments, where="here")
    assert (f"{len(lacking) - 1} more" in caught.value.message) == (len(lacking) > 1)


def test_a_finish_that_a_damaged_sentinel_puts_far_away_is_refused_at_once() -> None:
    """The effort depends on what is archived, not on what is asked for."""
    with pytest.raises(RefusedError, match="more on the way"):
        check_wal([span(1, 5, 1 << 40)], archived(1, 5, 6), SIZE, where="here")
