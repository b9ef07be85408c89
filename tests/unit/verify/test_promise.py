"""A promise is kept or it is not; nothing in between is reported as kept."""

from dataclasses import replace
from datetime import timedelta

from backup_core.verify.promise import Promise, judge
from backup_core.verify.window import Recovery, RecoveryWindow
from tests.support.archives import SEGMENT, backup_at
from tests.support.backups import NOON

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
BACKUP = backup_at(1, 2 * SEGMENT, 100)
WINDOW = RecoveryWindow(
    timeline=1,
    system_identifier=7,
    backups=(replace(BACKUP, finish_time=NOON),),
    end_lsn=BACKUP.finish_lsn,
    last_segment="000000010000000000000002",
    end_time=NOON + 10 * DAY,
)
FOUND = Recovery(windows=(WINDOW,), oldest_backup=NOON)
NOW = NOON + 10 * DAY + 5 * MINUTE


def broken(found: Recovery, promise: Promise) -> list[str]:
    return [breach.promise for breach in judge(found, promise, NOW)]


def test_without_a_promise_nothing_is_broken() -> None:
    """Not even by an empty repository."""
    assert broken(Recovery(windows=()), Promise()) == []


def test_an_empty_repository_breaks_every_promise() -> None:
    """There is nothing to recover from."""
    promise = Promise(window=DAY, freshness=DAY)
    assert broken(Recovery(windows=()), promise) == ["recovery_window", "recovery_freshness"]


def test_the_window_is_to_reach_back_to_its_first_moment() -> None:
    """To the second: a backup that ended later leaves a hole."""
    assert broken(FOUND, Promise(window=10 * DAY)) == []
    assert broken(FOUND, Promise(window=10 * DAY + 6 * MINUTE)) == ["recovery_window"]


def test_the_newest_moment_is_to_be_young_enough() -> None:
    """What cannot be told counts as too old."""
    assert broken(FOUND, Promise(freshness=5 * MINUTE)) == []
    assert broken(FOUND, Promise(freshness=4 * MINUTE)) == ["recovery_freshness"]
    unknown = replace(FOUND, windows=(replace(WINDOW, end_time=None),))
    assert broken(unknown, Promise(freshness=DAY)) == ["recovery_freshness"]


def test_a_young_repository_is_to_reach_back_to_its_oldest_backup() -> None:
    """It cannot reach back to before it was; a gap since then is a gap."""
    young = replace(FOUND, began=NOON - MINUTE)
    assert broken(young, Promise(window=30 * DAY)) == []
    gap = replace(young, oldest_backup=NOON - DAY)
    assert broken(gap, Promise(window=30 * DAY)) == ["recovery_window"]


def test_only_the_newest_timeline_counts() -> None:
    """What an abandoned one could still recover is not where the data is now."""
    later = replace(BACKUP, finish_time=NOON + 9 * DAY)
    current = replace(WINDOW, timeline=2, backups=(later,), end_time=NOW)
    found = replace(FOUND, windows=(WINDOW, current))
    assert broken(found, Promise(window=5 * DAY, freshness=MINUTE)) == ["recovery_window"]
