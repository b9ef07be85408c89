"""Which WAL lies on the way from a backup to the target, across timelines."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import RefusedError
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.recovery import RecoveryTarget
from backup_core.postgres.timeline import TimelineHistory, TimelineSwitch, history_of_first
from backup_core.postgres.wal import MAX_SEGMENT_SIZE, MIN_SEGMENT_SIZE
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalRange
from backup_core.restore.plan import check_wal, wal_goal
from backup_core.verify.continuity import among, missing_wal, wal_spans
from tests.support.backups import BACKUP, NOON

MINUTE = timedelta(minutes=1)
MEBIBYTE = 1 << 20
SIZES = [MIN_SEGMENT_SIZE, 16 * MEBIBYTE, 64 * MEBIBYTE, MAX_SEGMENT_SIZE]
TO_THE_END = RecoveryTarget()


def span(timeline: int, first: int, last: int) -> WalRange:
    return WalRange(timeline=timeline, first=first, last=last)


def up_to(highest: dict[int, int]) -> Callable[[int, int], list[WalRange]]:
    """An archive that holds each timeline up to this segment."""
    return among([span(timeline, 0, last) for timeline, last in highest.items()])


def holding(archived: dict[int, set[int]]) -> Callable[[WalRange], list[WalRange]]:
    """An archive of exactly these segments, each of them a run."""
    return lambda span: [
        WalRange(timeline=span.timeline, first=number, last=number)
        for number in sorted(archived.get(span.timeline, ()))
    ]


def left_at(*ends: int) -> TimelineHistory:
    """A history in which timeline 1, 2 and so on were left at these LSNs."""
    switches = [
        TimelineSwitch(timeline=n, end=Lsn(end), reason="") for n, end in enumerate(ends, 1)
    ]
    return TimelineHistory(timeline=len(ends) + 1, switches=tuple(switches))


def backup_in(segment: int, size: int) -> Backup:
    """A backup that starts and ends in that segment."""
    start = segment * size
    return replace(BACKUP, start_lsn=Lsn(start + 0x28), finish_lsn=Lsn(start + 0x100))


class TestGoal:
    """Up to where WAL is needed."""

    def goal(self, target: RecoveryTarget, *others: Backup) -> Lsn | None:
        return wal_goal(BACKUP, target, [BACKUP, *others], history_of_first())

    def test_without_a_target_it_is_the_end_of_the_archive(self) -> None:
        """Nothing tells how much there should be."""
        assert self.goal(TO_THE_END) is None
        assert self.goal(RecoveryTarget(xid=777)) is None
        assert self.goal(RecoveryTarget(name="release")) is None

    def test_for_immediate_it_is_the_end_of_the_backup(self) -> None:
        """Where the cluster becomes consistent."""
        assert self.goal(RecoveryTarget(immediate=True)) == BACKUP.finish_lsn

    @pytest.mark.parametrize("beyond", [0, 1, 1 << 40])
    def test_for_an_lsn_the_byte_there_is_needed(self, beyond: int) -> None:
        """The goal itself is exclusive, the target is not."""
        target = Lsn(BACKUP.finish_lsn + beyond)
        assert self.goal(RecoveryTarget(lsn=target)) == target + 1

    def test_for_a_time_a_backup_that_began_later_bounds_it(self) -> None:
        """The nearest of them, so that a gap behind the target is no obstacle."""
        later = [
            replace(BACKUP, start_time=NOON + minutes * MINUTE, start_lsn=Lsn(minutes << 24))
            for minutes in (30, 20, 10)
        ]
        assert self.goal(RecoveryTarget(time=NOON + 15 * MINUTE), *later) == Lsn(20 << 24)
        assert self.goal(RecoveryTarget(time=NOON + 30 * MINUTE), *later) is None

    def test_for_a_time_a_backup_of_another_branch_tells_nothing(self) -> None:
        """Its LSNs count other WAL."""
        other = replace(BACKUP, timeline=2, start_time=NOON + 20 * MINUTE, start_lsn=Lsn(20 << 24))
        assert self.goal(RecoveryTarget(time=NOON + 15 * MINUTE), other) is None


@pytest.mark.parametrize("size", SIZES)
class TestSpans:
    """The segments that are needed, timeline by timeline."""

    def test_on_one_timeline_to_the_end_of_the_archive(self, size: int) -> None:
        """From the backup's first segment to the last there is."""
        spans = wal_spans(backup_in(5, size), history_of_first(), None, up_to({1: 9}), size)
        assert spans == (span(1, 5, 9),)

    def test_what_the_backup_itself_needs_is_always_wanted(self, size: int) -> None:
        """Even if nothing is archived at all."""
        backup = replace(backup_in(5, size), finish_lsn=Lsn(7 * size + 1))
        assert wal_spans(backup, history_of_first(), None, up_to({}), size) == (span(1, 5, 7),)

    @pytest.mark.parametrize(("beyond", "last"), [(0, 7), (1, 8), (100, 8)])
    def test_the_goal_is_exclusive(self, size: int, beyond: int, last: int) -> None:
        """A goal at a segment's first byte needs nothing of that segment."""
        goal = Lsn(8 * size + beyond)
        spans = wal_spans(backup_in(5, size), history_of_first(), goal, up_to({1: 99}), size)
        assert spans == (span(1, 5, last),)

    @pytest.mark.parametrize("into", [0, 1, 500])
    def test_the_segment_of_a_switch_is_read_from_the_new_timeline(
        self, size: int, into: int
    ) -> None:
        """Also if the old timeline ends exactly where a segment does."""
        history = left_at(8 * size + into)
        spans = wal_spans(backup_in(5, size), history, None, up_to({1: 8, 2: 11}), size)
        assert spans == (span(1, 5, 7), span(2, 8, 11))

    def test_a_goal_before_the_switch_needs_nothing_of_the_new_timeline(self, size: int) -> None:
        """Although that is the timeline to be followed."""
        history = left_at(8 * size + 500)
        spans = wal_spans(
            backup_in(5, size), history, Lsn(7 * size + 9), up_to({1: 8, 2: 11}), size
        )
        assert spans == (span(1, 5, 7),)

    @pytest.mark.parametrize("into", [9, 500])
    @pytest.mark.parametrize(
        ("archived", "needed"),
        [
            ({1: 8, 2: 11}, (span(1, 5, 8),)),
            ({1: 7, 2: 11}, (span(1, 5, 7), span(2, 8, 8))),
        ],
    )
    def test_a_goal_in_the_segment_of_the_switch_is_on_either_timeline(
        self, size: int, archived: dict[int, int], needed: tuple[WalRange, ...], into: int
    ) -> None:
        """The old timeline's is often archived as a .partial only; the server takes the other."""
        history = left_at(8 * size + 500)
        goal = Lsn(8 * size + into)
        assert wal_spans(backup_in(5, size), history, goal, up_to(archived), size) == needed

    def test_a_goal_behind_the_switch_is_on_the_new_timeline(self, size: int) -> None:
        """The first segment of which is that of the switch."""
        history = left_at(8 * size + 500)
        spans = wal_spans(backup_in(5, size), history, Lsn(8 * size + 501), up_to({1: 8}), size)
        assert spans == (span(1, 5, 7), span(2, 8, 8))

    def test_two_switches_in_one_segment_skip_the_timeline_between(self, size: int) -> None:
        """It never filled a segment, so none of it is needed."""
        history = left_at(8 * size + 500, 8 * size + 900)
        spans = wal_spans(backup_in(5, size), history, None, up_to({1: 8, 2: 8, 3: 10}), size)
        assert spans == (span(1, 5, 7), span(3, 8, 10))

    def test_a_switch_in_the_backups_own_segment_leaves_nothing_of_the_old(self, size: int) -> None:
        """A standby's backup that ended just before its promotion."""
        history = left_at(5 * size + 0x200)
        assert wal_spans(backup_in(5, size), history, None, up_to({2: 6}), size) == (span(2, 5, 6),)

    def test_a_copy_that_the_old_timeline_lacks_is_taken_from_the_new_one(self, size: int) -> None:
        """What the old primary archived behind it proves nothing."""
        history = left_at(8 * size + 500)
        archived = among([span(1, 5, 7), span(1, 9, 9), span(2, 8, 9)])
        spans = wal_spans(backup_in(5, size), history, Lsn(8 * size + 100), archived, size)
        assert spans == (span(1, 5, 7), span(2, 8, 8))

    def test_ancestors_of_the_backups_timeline_do_not_matter(self, size: int) -> None:
        """Recovery begins where the backup did."""
        backup = replace(backup_in(9, size), timeline=2)
        spans = wal_spans(
            backup, left_at(4 * size, 12 * size), None, up_to({1: 4, 2: 12, 3: 13}), size
        )
        assert spans == (span(2, 9, 11), span(3, 12, 13))


@given(
    ends=st.lists(st.integers(5 * MEBIBYTE + 0x100, 30 * MEBIBYTE), max_size=4).map(sorted),
    goal=st.none() | st.integers(5 * MEBIBYTE + 0x100, 40 * MEBIBYTE).map(Lsn),
)
def test_spans_are_one_way_without_holes(ends: list[int], goal: Lsn | None) -> None:
    """Segment numbers go up by one from the first to the last, and timelines never go back."""
    archived = up_to(dict.fromkeys(range(1, 6), 40))
    spans = wal_spans(backup_in(5, MEBIBYTE), left_at(*ends), goal, archived, MEBIBYTE)
    numbers = [number for one in spans for number in range(one.first, one.last + 1)]
    last = 40 if goal is None else (goal - 1) // MEBIBYTE
    assert numbers == list(range(5, last + 1))
    assert [one.timeline for one in spans] == sorted({one.timeline for one in spans})


class TestMissing:
    """A gap on the way is found before the restore, not at its end."""

    @given(present=st.sets(st.integers(0, 60)), first=st.integers(0, 50), count=st.integers(1, 20))
    def test_gaps_are_what_is_wanted_and_not_there(
        self, present: set[int], first: int, count: int
    ) -> None:
        """Neither more nor less."""
        wanted = range(first, first + count)
        gaps = missing_wal(
            [span(1, first, first + count - 1)], holding({1: present, 2: set(wanted)})
        )
        lacking = [number for gap in gaps for number in range(gap.first, gap.last + 1)]
        assert lacking == [number for number in wanted if number not in present]

    def test_a_target_far_beyond_the_archive_is_answered_at_once(self) -> None:
        """Gaps are not counted segment by segment."""
        far = span(1, 2, 1 << 43)
        assert missing_wal([far], holding({1: {2, 3}})) == (span(1, 4, 1 << 43),)

    def test_complete_wal_passes(self) -> None:
        """Nothing is missing, nothing is said."""
        check_wal(BACKUP, [], MEBIBYTE)

    def test_the_first_missing_segment_is_named(self) -> None:
        """By its file name at this segment size, with the number of the others."""
        gaps = [span(2, 0x1001, 0x1002), span(3, 0x1005, 0x1005)]
        with pytest.raises(
            RefusedError, match=rf"^WAL segment 000000020000000100000001 and 2 more .*{BACKUP.name}"
        ):
            check_wal(BACKUP, gaps, MEBIBYTE)
