"""The forms of delete: what goes, what stays and why, from a repository as it is stored."""

import shutil
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from backup_core.errors import (
    MissingKeyError,
    NotFoundError,
    RefusedError,
    StorageError,
    UsageError,
)
from backup_core.postgres.wal import segment_name
from backup_core.repository import layout
from backup_core.repository.identity import claim_repository
from backup_core.repository.sentinel import Backup
from backup_core.retention.apply import apply_retention
from backup_core.retention.mark import mark_backup
from backup_core.retention.policy import RetentionPlan, plan_retention
from backup_core.retention.request import (
    Before,
    Everything,
    Garbage,
    Request,
    Retain,
    Target,
)
from backup_core.retention.survey import read_holdings
from backup_core.storage.base import ObjectInfo
from backup_core.storage.file import FileStorage
from backup_core.verify.facts import read_facts
from backup_core.verify.window import recovery
from tests.support.archives import SEGMENT
from tests.support.backups import NOON
from tests.support.history import HOUR, Life

DAY = timedelta(days=1)


def a_week(life: Life, *, days: int = 7, delta_after: int = 0) -> list[Backup]:
    """A backup each day, a segment each hour; so many deltas between two full backups."""
    taken = []
    for day in range(days):
        is_delta = bool(delta_after) and day % (delta_after + 1) != 0
        taken.append(life.backup(permanent=False, delta=is_delta))
        life.archive(22)
    return [backup for backup in taken if backup is not None]


def plan(
    life: Life, request: Request, *, promised: timedelta | None = None, cluster: int | None = None
) -> RetentionPlan:
    held = read_holdings(life.storage, now=life.now, promised=promised, cluster=cluster)
    return plan_retention(request, held)


def removed(plan: RetentionPlan) -> list[str]:
    return sorted(item.name for item in plan.backups)


def reasons(plan: RetentionPlan) -> dict[str, str]:
    return {verdict.name: verdict.reason for verdict in plan.verdicts if verdict.keep}


def names(backups: list[Backup]) -> list[str]:
    return sorted(backup.name for backup in backups)


def wal(plan: RetentionPlan) -> list[tuple[int, int, int]]:
    return [(run.timeline, run.first, run.last) for run in plan.wal_ranges]


class TestRetain:
    """Keep by number."""

    def test_the_newest_n_stay_and_wal_from_the_oldest_of_them_on(self) -> None:
        """Nothing before it has a use."""
        life = Life()
        taken = a_week(life)
        found = plan(life, Retain(count=3))
        assert removed(found) == names(taken[:4])
        assert wal(found) == [(1, 1, taken[4].start_lsn // SEGMENT - 1)]

    def test_with_fewer_backups_than_that_nothing_goes(self) -> None:
        """They may be all that there is."""
        life = Life()
        a_week(life, days=2)
        found = plan(life, Retain(count=3))
        assert removed(found) == []

    def test_a_delta_cannot_be_the_oldest(self) -> None:
        """As wal-g says it; FULL counts full ones, FIND_FULL goes back to one."""
        life = Life()
        taken = a_week(life, days=6, delta_after=2)
        with pytest.raises(UsageError, match="is a delta backup"):
            plan(life, Retain(count=2))
        assert removed(plan(life, Retain(count=1, kind="full"))) == names(taken[:3])
        assert removed(plan(life, Retain(count=2, kind="find_full"))) == names(taken[:3])
        assert removed(plan(life, Retain(count=2, kind="full"))) == []

    def test_backups_that_cannot_be_restored_do_not_count(self) -> None:
        """Seven broken ones would push the last good one out."""
        life = Life()
        taken = a_week(life)
        for backup in taken[4:]:
            name = segment_name(1, backup.start_lsn // SEGMENT, SEGMENT)
            life.storage.delete([layout.wal(name, "")])
        found = plan(life, Retain(count=2))
        assert removed(found) == names(taken[:2])
        assert reasons(found)[taken[6].name].startswith("not older than")

    def test_after_keeps_from_a_backup_or_a_time_on(self) -> None:
        """Beside the number."""
        life = Life()
        taken = a_week(life)
        for point in (taken[2].name, taken[2].finish_time):
            assert removed(plan(life, Retain(count=1, after=point))) == names(taken[:2])

    def test_after_a_time_means_every_moment_from_then_on(self) -> None:
        """So the backup before it stays; wal-g would remove it, and with it the first hours."""
        life = Life()
        taken = a_week(life)
        point = taken[2].finish_time + HOUR
        assert removed(plan(life, Retain(count=1, after=point))) == names(taken[:2])

    def test_a_window_keeps_the_backup_that_opens_it(self) -> None:
        """Without it the first hours of the window would be lost."""
        life = Life()
        taken = a_week(life)
        found = plan(life, Retain(window=3 * DAY))
        assert removed(found) == names(taken[:3])
        assert reasons(found)[taken[3].name] == "it opens the recovery window"

    def test_grandfathers_keep_wal_around_themselves_only(self) -> None:
        """The newest of each week is consistent, and not the start of a month of WAL."""
        life = Life()
        taken = a_week(life, days=16)
        found = plan(life, Retain(count=2, weekly=3))
        kept = [backup for backup in taken if backup.name not in removed(found)]
        weeks = {backup.finish_time.isocalendar()[:2]: backup.name for backup in taken}
        expected = {*list(weeks.values())[-3:], *names(taken[-2:])}
        assert names(kept) == sorted(expected)
        gone = {number for _, first, last in wal(found) for number in range(first, last + 1)}
        for backup in kept:
            needed = range(backup.start_lsn // SEGMENT, backup.finish_lsn // SEGMENT + 1)
            assert gone.isdisjoint(needed)
        assert taken[-2].start_lsn // SEGMENT - 1 in gone

    def test_wal_can_be_kept_around_the_counted_ones_as_well(self) -> None:
        """From the last good one on it stays whole."""
        life = Life()
        taken = a_week(life)
        found = plan(life, Retain(count=3, around=True))
        assert removed(found) == names(taken[:4])
        last = taken[-1].start_lsn // SEGMENT
        assert wal(found)[-1] == (1, taken[-2].finish_lsn // SEGMENT + 1, last - 1)

    def test_what_was_promised_outranks_the_policy(self) -> None:
        """The setting recovery_window is what must remain."""
        life = Life()
        taken = a_week(life)
        found = plan(life, Retain(count=1), promised=3 * DAY)
        assert removed(found) == names(taken[:3])
        assert reasons(found)[taken[4].name] == "inside the promised recovery window"


class TestBefore:
    """Remove what is older."""

    def test_a_name_stays_and_what_is_older_goes(self) -> None:
        """A time means the oldest backup that is not older."""
        life = Life()
        taken = a_week(life)
        for point in (taken[3].name, taken[3].finish_time, taken[2].finish_time + HOUR):
            assert removed(plan(life, Before(point=point))) == names(taken[:3])

    def test_a_time_after_all_backups_leaves_the_last_good_one(self) -> None:
        """Deleting everything is another command."""
        life = Life()
        taken = a_week(life)
        assert removed(plan(life, Before(point=life.now + DAY))) == names(taken[:-1])

    def test_a_delta_needs_find_full(self) -> None:
        """Then its full backup is the oldest that stays."""
        life = Life()
        taken = a_week(life, days=6, delta_after=2)
        with pytest.raises(UsageError, match="is a delta backup"):
            plan(life, Before(point=taken[4].name))
        found = plan(life, Before(point=taken[4].name, find_full=True))
        assert removed(found) == names(taken[:3])

    def test_an_unknown_name_is_an_error(self) -> None:
        """It would otherwise mean all, or nothing."""
        life = Life()
        a_week(life, days=1)
        with pytest.raises(NotFoundError):
            plan(life, Before(point="base_0000000100000000000000FF"))


class TestTarget:
    """Remove one family or a part of it."""

    def test_it_takes_what_is_made_on_it_and_no_wal(self) -> None:
        """find_full takes the whole family."""
        life = Life()
        taken = a_week(life, days=4, delta_after=2)
        assert removed(plan(life, Target(name=taken[1].name))) == names(taken[1:3])
        found = plan(life, Target(name=taken[1].name, find_full=True))
        assert removed(found) == names(taken[:3])
        assert found.wal == ()
        assert [item.name for item in found.backups][-1] == taken[0].name

    def test_the_last_good_one_is_refused(self) -> None:
        """Also if it is among those that are made on the named one."""
        life = Life()
        taken = a_week(life, days=2, delta_after=1)
        with pytest.raises(RefusedError, match="last good"):
            plan(life, Target(name=taken[0].name))

    def test_a_permanent_one_is_refused(self) -> None:
        """wal-g compares other names than it means to, and removes it."""
        life = Life()
        taken = a_week(life, days=3)
        mark_backup(life.storage, taken[0].name, permanent=True)
        with pytest.raises(RefusedError, match="marked permanent"):
            plan(life, Target(name=taken[0].name))


class TestGarbage:
    """Remove what no backup needs."""

    def test_wal_before_the_oldest_backup_goes(self) -> None:
        """The backups stay."""
        life = Life()
        life.archive(5)
        taken = a_week(life, days=2)
        found = plan(life, Garbage())
        assert removed(found) == []
        assert wal(found) == [(1, 1, taken[0].start_lsn // SEGMENT - 1)]

    def test_a_folder_without_a_sentinel_goes_once_it_is_idle(self) -> None:
        """Within a day somebody may be writing into it."""
        life = Life()
        a_week(life, days=1)
        folder = "base_000000010000000000000040"
        life.storage.put(layout.partition(folder, "part_001", "zst"), [b"half"])
        assert removed(plan(life, Garbage())) == []
        life.archive(25)
        assert removed(plan(life, Garbage(backups=False))) == []
        assert removed(plan(life, Garbage())) == [folder]

    def test_without_a_backup_no_wal_goes(self) -> None:
        """The first may be being taken."""
        life = Life()
        life.archive(30)
        assert plan(life, Garbage()).is_empty


class TestEverything:
    """Remove all."""

    def test_it_takes_all_backups_and_wal_but_not_permanent_ones(self) -> None:
        """FORCE takes those, too."""
        life = Life()
        taken = a_week(life, days=3)
        life.promote()
        mark_backup(life.storage, taken[0].name, permanent=True)
        with pytest.raises(RefusedError, match="marked permanent"):
            plan(life, Everything())
        apply_retention(life.storage, plan(life, Everything(force=True)))
        assert list(life.storage.list()) == []


class TestClusters:
    """After pg_upgrade the old cluster's names are beside the new one's."""

    def test_a_policy_sees_the_newest_cluster_only(self) -> None:
        """The old one's go when they are meant."""
        life = Life()
        old = a_week(life, days=3)
        life.promote()
        life.archive(3)
        life.upgrade()
        new = a_week(life, days=3)
        found = plan(life, Retain(count=1))
        assert removed(found) == names(new[:2])
        assert reasons(found)[old[0].name] == "of another cluster, 1001"
        its = plan(life, Retain(count=1), cluster=1001)
        assert removed(its) == names(old[:2])
        with pytest.raises(NotFoundError):
            plan(life, Retain(count=1), cluster=5)

    def test_wal_of_the_other_cluster_stays(self) -> None:
        """Though it is older than all that is kept."""
        life = Life()
        a_week(life, days=2)
        life.upgrade()
        first = life.current.position // SEGMENT
        a_week(life, days=2)
        assert all(run[1] >= first for run in wal(plan(life, Retain(count=1))))


class TestTimelines:
    """After a promotion."""

    def test_the_abandoned_timelines_wal_goes_with_its_backups(self) -> None:
        """Its history stays: a server that looks for the newest timeline must find each."""
        life = Life()
        a_week(life, days=2)
        life.promote()
        life.archive_abandoned(5)
        a_week(life, days=2)
        found = plan(life, Retain(count=1))
        assert {run[0] for run in wal(found)} == {1, 2}
        assert not [info for info in found.wal if "history" in info.key]

    def test_a_timeline_above_all_backups_is_kept(self) -> None:
        """Its first backup may be still to come."""
        life = Life()
        a_week(life, days=2)
        life.promote()
        life.archive(5)
        life.storage.delete([layout.wal("00000002.history", "")])
        assert {run[0] for run in wal(plan(life, Retain(count=1)))} == {1}

    def test_without_the_key_to_a_history_its_timeline_is_kept(self) -> None:
        """It may lead on from any backup that stays."""
        life = Life()
        a_week(life, days=3)
        life.promote()
        a_week(life, days=2)
        claim_repository(life.storage, 1001, SEGMENT)
        get = life.storage.get

        def without_key(key: str, **kwargs: int) -> Iterator[bytes]:
            if key.startswith(layout.WAL):
                raise MissingKeyError("no key")
            return get(key, **kwargs)

        life.storage.get = without_key  # type: ignore[method-assign, assignment]
        assert {run[0] for run in wal(plan(life, Retain(count=4)))} == {1}
        assert wal(plan(life, Retain(count=3)))[-1][0] == 1


class TestWalE:
    """WAL-E's own archive."""

    def test_its_backups_and_wal_are_understood(self, tmp_path: Path) -> None:
        """What precedes the backup goes, what it needs stays."""
        archive = Path(__file__).parents[2] / "fixtures/wal-e-archives/plain/archive"
        shutil.copytree(archive, tmp_path / "archive")
        storage = FileStorage(tmp_path / "archive")
        held = read_holdings(storage, now=NOON)
        found = plan_retention(Garbage(), held)
        assert wal(found) == [(1, 9, 10)]
        apply_retention(storage, found)
        (window,) = recovery(read_facts(storage)).windows
        assert window.backups == held.windows[0].backups
        assert window.end_lsn == held.windows[0].end_lsn
        with pytest.raises(RefusedError, match="no place for a mark"):
            mark_backup(storage, window.backups[0].name, permanent=True)


class TestPermanent:
    """What is marked stays, with what it needs."""

    def test_a_permanent_backup_and_its_own_wal_stay(self) -> None:
        """The WAL after it goes."""
        life = Life()
        taken = a_week(life)
        mark_backup(life.storage, taken[0].name, permanent=True)
        found = plan(life, Retain(count=1))
        assert removed(found) == names(taken[1:-1])
        assert wal(found)[0][1] == taken[0].finish_lsn // SEGMENT + 1

    def test_marking_a_delta_marks_what_it_is_made_on(self) -> None:
        """And the mark of the lower one cannot be taken away before that of the upper."""
        life = Life()
        taken = a_week(life, days=3, delta_after=2)
        assert mark_backup(life.storage, taken[1].name, permanent=True) == (
            taken[1].name,
            taken[0].name,
        )
        with pytest.raises(RefusedError, match="is made on"):
            mark_backup(life.storage, taken[0].name, permanent=False)
        assert mark_backup(life.storage, taken[1].name, permanent=False) == (taken[1].name,)


class TestUnreadable:
    """What is not understood is not removed."""

    def test_a_backup_with_a_broken_sentinel_stays_with_its_wal(self) -> None:
        """It may be mended."""
        life = Life()
        taken = a_week(life)
        life.storage.put(layout.sentinel(taken[2].name), [b"{"])
        found = plan(life, Retain(count=1))
        assert taken[2].name not in removed(found)
        assert wal(found) == [(1, 1, taken[2].start_lsn // SEGMENT - 1)]


class TestApply:
    """The plan is carried out as it is."""

    def test_sentinels_go_first_and_a_kept_sentinel_keeps_the_rest(self) -> None:
        """A half deletion leaves no backup that cannot be restored."""
        life = Life()
        taken = a_week(life, days=3)
        found = plan(life, Retain(count=1))
        stubborn = layout.sentinel(taken[0].name)
        store = Stubborn(life, stubborn)
        outcome = apply_retention(store, found)
        assert outcome.failed == {stubborn: "it is locked"}
        assert [key for key in store.asked if "_sentinel" in key] == store.asked[:2]
        assert not any(
            key.startswith((layout.WAL, layout.backup_folder(taken[0].name))) for key in store.asked
        )
        assert layout.partition(taken[1].name, "part_001", "zst") in store.asked

    def test_a_listing_that_fails_ends_it(self) -> None:
        """wal-g takes a failed listing of the permanent backups for none."""
        life = Life()
        a_week(life, days=3)

        def broken(*_args: object, **_kwargs: object) -> list[ObjectInfo]:
            raise StorageError("the store is away")

        life.storage.list = broken  # type: ignore[assignment]
        with pytest.raises(StorageError):
            plan(life, Retain(count=1))


class Stubborn:
    """A store that will not let one object go, and remembers what it was asked."""

    def __init__(self, life: Life, key: str) -> None:
        self._inner = life.storage
        self._key = key
        self.url = self._inner.url
        self.asked: list[str] = []
        self.put, self.get = self._inner.put, self._inner.get
        self.stat, self.list = self._inner.stat, self._inner.list

    def delete(self, keys: Iterable[str]) -> dict[str, str | None]:
        """Refuse the one key."""
        keys = list(keys)
        self.asked += keys
        outcome = self._inner.delete([key for key in keys if key != self._key])
        return outcome | ({self._key: "it is locked"} if self._key in keys else {})
