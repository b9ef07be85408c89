"""What can be recovered, from what is there: the promise that everything else rests on."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.postgres.lsn import Lsn
from backup_core.postgres.recovery import RecoveryTarget
from backup_core.postgres.timeline import TimelineHistory, TimelineSwitch
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalRange
from backup_core.restore.plan import wal_goal
from backup_core.verify.continuity import among, gaps_among, is_on_timeline, wal_spans
from backup_core.verify.window import (
    ClusterWal,
    Facts,
    RecoveryWindow,
    histories_of,
    recovery,
)
from tests.support.archives import SEGMENT, archives, backup_at
from tests.support.segments import SYSTEM_IDENTIFIER

LEFT_AT_5 = TimelineHistory(
    timeline=2, switches=(TimelineSwitch(timeline=1, end=Lsn(5 * SEGMENT + 100), reason=""),)
)


def run(timeline: int, first: int, last: int) -> WalRange:
    return WalRange(timeline=timeline, first=first, last=last)


def facts(*backups: Backup, runs: list[WalRange], **others: object) -> Facts:
    wal = (ClusterWal(system_identifier=SYSTEM_IDENTIFIER, runs=tuple(runs)),)
    return replace(
        Facts(backups=backups, wal=wal, histories={}, segment_size=SEGMENT),
        **others,  # type: ignore[arg-type]
    )


def in_segment(number: int, timeline: int = 1) -> Backup:
    return backup_at(timeline, number * SEGMENT + 0x28, 0x100)


def shape(window: RecoveryWindow) -> tuple[int, list[str], int, str]:
    """Timeline, segments in which the backups start, end in segments, last file."""
    return (
        window.timeline,
        [backup.name[-2:] for backup in window.backups],
        window.end_lsn // SEGMENT,
        window.last_segment,
    )


def test_an_empty_repository_recovers_nothing() -> None:
    """There is no window, and no current one."""
    found = recovery(facts(runs=[]))
    assert found.windows == ()
    assert found.current is None


def test_a_window_goes_from_the_first_backups_end_to_the_last_segment() -> None:
    """Each backup serves from its own end on, the newest possible."""
    one, two = in_segment(2), in_segment(4)
    [window] = recovery(facts(one, two, runs=[run(1, 1, 9)])).windows
    assert shape(window) == (1, ["02", "04"], 10, "000000010000000000000009")
    assert (window.begin_lsn, window.begin_time) == (one.finish_lsn, one.finish_time)
    assert window.backup_for(one.finish_lsn) == one
    assert window.backup_for(two.finish_lsn) == two
    assert window.backup_for(Lsn(one.finish_lsn - 1)) is None
    assert window.backup_for(window.end_lsn) is None


def test_a_gap_ends_a_window_and_the_next_backup_opens_another() -> None:
    """What lies between them is lost."""
    found = recovery(facts(in_segment(2), in_segment(7), runs=[run(1, 1, 4), run(1, 6, 9)]))
    assert [shape(window)[1:3] for window in found.windows] == [(["02"], 5), (["07"], 10)]
    assert found.current == found.windows[1]


def test_a_backup_without_its_own_wal_is_in_no_window() -> None:
    """It says which segment it lacks."""
    backup = backup_at(1, 2 * SEGMENT, 3 * SEGMENT)
    found = recovery(facts(backup, runs=[run(1, 1, 3), run(1, 5, 9)]))
    assert found.windows == ()
    assert [(item.name, item.reason) for item in found.unusable] == [
        (
            backup.name,
            "WAL segment 000000010000000000000004, without which it is not consistent, is missing",
        )
    ]


def test_a_promotion_goes_on_with_the_window() -> None:
    """The old timeline keeps its own, to the end of what the old primary archived."""
    found = recovery(
        facts(in_segment(2), runs=[run(1, 1, 6), run(2, 5, 9)], histories={2: LEFT_AT_5})
    )
    assert [shape(window) for window in found.windows] == [
        (1, ["02"], 7, "000000010000000000000006"),
        (2, ["02"], 10, "000000020000000000000009"),
    ]
    assert found.current == found.windows[1]


def test_what_the_new_timeline_lacks_the_old_ones_copy_serves_up_to_the_switch() -> None:
    """That way is the old timeline's, and not listed twice."""
    found = recovery(facts(in_segment(2), runs=[run(1, 1, 5)], histories={2: LEFT_AT_5}))
    assert [shape(window)[:3] for window in found.windows] == [(1, ["02"], 6)]


def test_a_timeline_without_its_history_file_cannot_be_followed() -> None:
    """A restore would not find the way either."""
    found = recovery(facts(in_segment(6, 2), runs=[run(1, 1, 5), run(2, 5, 9)]))
    assert found.windows == ()
    assert found.unusable[0].reason == "the history file of its timeline 2 is not archived"


def test_a_backup_that_the_timeline_left_behind_stays_on_its_own() -> None:
    """It was taken by the old primary after the promotion."""
    found = recovery(
        facts(
            in_segment(2),
            in_segment(6),
            runs=[run(1, 1, 8), run(2, 5, 9)],
            histories={2: LEFT_AT_5},
        )
    )
    assert [shape(window)[:2] for window in found.windows] == [(1, ["02", "06"]), (2, ["02"])]


def test_a_delta_needs_all_that_it_is_made_on() -> None:
    """Without its parent it recovers nothing, whatever WAL there is."""
    parent = in_segment(2)
    delta = replace(
        in_segment(4),
        name="base_000000010000000000000004_D_000000010000000000000002",
        delta_from=parent.name,
        delta_full_name=parent.name,
        delta_lsn=parent.start_lsn,
        delta_count=1,
    )
    [window] = recovery(facts(parent, delta, runs=[run(1, 1, 9)])).windows
    assert window.backups == (parent, delta)
    found = recovery(facts(delta, runs=[run(1, 1, 9)]))
    assert found.windows == ()
    assert "which cannot be read or is not there" in found.unusable[0].reason


def test_a_cluster_that_followed_another_has_windows_of_its_own() -> None:
    """After pg_upgrade names go on where the old cluster's ended; its WAL does not."""
    old = in_segment(2)
    new = replace(in_segment(7), system_identifier=8, finish_time=old.finish_time + timedelta(9))
    found = recovery(
        facts(
            old,
            new,
            runs=[],
            wal=(
                ClusterWal(system_identifier=SYSTEM_IDENTIFIER, runs=(run(1, 1, 5),)),
                ClusterWal(system_identifier=8, runs=(run(1, 6, 9),)),
            ),
        )
    )
    assert [(w.system_identifier, w.backups, w.end_lsn) for w in found.windows] == [
        (SYSTEM_IDENTIFIER, (old,), 6 * SEGMENT),
        (8, (new,), 10 * SEGMENT),
    ]
    assert found.current == found.windows[1]


def can_restore(archive: Facts, backup: Backup, timeline: int, lsn: Lsn) -> bool:
    """What the plan of a restore to this LSN would say."""
    history = next((h for h in histories_of(archive) if h.timeline == timeline), None)
    if history is None or backup.finish_lsn > lsn or not is_on_timeline(backup, history):
        return False
    runs = archive.wal[0].runs
    goal = wal_goal(backup, RecoveryTarget(lsn=lsn), archive.backups, history)
    spans = wal_spans(backup, history, goal, among(runs), SEGMENT)
    return not gaps_among(runs, spans)


@given(archives(), st.data())
def test_what_a_window_promises_a_restore_accepts(archive: Facts, data: st.DataObject) -> None:
    """Every LSN of it, by the backup that it names, and none from its end on."""
    for window in recovery(archive).windows:
        for lsn in [
            window.begin_lsn,
            Lsn(window.end_lsn - 1),
            Lsn(data.draw(st.integers(window.begin_lsn, window.end_lsn - 1))),
        ]:
            backup = window.backup_for(lsn)
            assert backup is not None
            assert can_restore(archive, backup, window.timeline, lsn)
        for backup in window.backups:
            assert not can_restore(archive, backup, window.timeline, window.end_lsn)


@given(archives(), st.data())
def test_what_a_restore_accepts_a_window_promises(archive: Facts, data: st.DataObject) -> None:
    """On the target's timeline, or on the ancestor that the way does not leave."""
    windows = recovery(archive).windows
    for backup in archive.backups:
        lsn = Lsn(backup.finish_lsn + data.draw(st.integers(0, 12 * SEGMENT)))
        for history in histories_of(archive):
            if can_restore(archive, backup, history.timeline, lsn):
                timelines = {history.timeline, history.timeline_at(lsn)}
                assert any(
                    backup in window.backups and lsn < window.end_lsn
                    for window in windows
                    if window.timeline in timelines
                )


@pytest.mark.parametrize("lost", [2, 4, 7])
def test_losing_a_segment_never_adds_a_moment(lost: int) -> None:
    """The end of a window moves down, or the window is split."""
    backups = (in_segment(2), in_segment(5))
    before = recovery(facts(*backups, runs=[run(1, 1, 9)]))
    after = recovery(facts(*backups, runs=[run(1, 1, lost - 1), run(1, lost + 1, 9)]))
    for window in after.windows:
        assert window.begin_lsn >= before.windows[0].begin_lsn
        assert window.end_lsn <= before.windows[0].end_lsn
    assert not any(w.begin_lsn < lost * SEGMENT < w.end_lsn for w in after.windows)
