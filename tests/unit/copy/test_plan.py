"""What a copy brings over, and what it refuses before the first byte."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from backup_core.copy.choice import choose
from backup_core.copy.items import CopyPlan, Kind, PartDigest, Source, Target
from backup_core.copy.plan import plan_copy
from backup_core.errors import (
    ClusterMismatchError,
    CorruptError,
    NotFoundError,
    RefusedError,
    WalConflictError,
)
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.timeline import TimelineHistory, TimelineSwitch
from backup_core.postgres.wal import parse_wal_name
from backup_core.repository import layout
from backup_core.repository.catalog import Catalog, UnreadableBackup
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalObject
from backup_core.storage.base import ObjectInfo
from tests.support.backups import BACKUP, NOON
from tests.support.segments import SYSTEM_IDENTIFIER

SIZE = 16 << 20
NAME = BACKUP.name
SEGMENT = "000000010000000000000002"
PART = layout.partition(NAME, "part_001", "zst")
LATER = replace(
    BACKUP,
    name="base_000000010000000000000004",
    start_lsn=Lsn.parse("0/4000028"),
    finish_lsn=Lsn.parse("0/4000100"),
    finish_time=NOON + timedelta(hours=1),
)
DELTA = replace(
    LATER,
    name="base_000000010000000000000004_D_000000010000000000000002",
    delta_from=NAME,
    delta_full_name=NAME,
    delta_lsn=BACKUP.start_lsn,
    delta_count=1,
)
OFFLINE = replace(LATER, name=f"{LATER.name}_00000004", origin="wal-e", finish_lsn=LATER.start_lsn)


def wal(*names: str, extension: str = "zst", size: int = 50) -> tuple[WalObject, ...]:
    """Archived files by their names."""
    return tuple(
        WalObject(
            wal=parse_wal_name(name),
            key=layout.wal(name, extension),
            extension=extension,
            size=size,
            modified=None,
        )
        for name in names
    )


def objects(backup: Backup) -> Sequence[ObjectInfo]:
    """What a repository has of a backup, each object of its own size."""
    keys = [
        layout.metadata(backup.name),
        layout.partition(backup.name, "part_001", "zst"),
        layout.sentinel(backup.name),
    ]
    return [ObjectInfo(key=key, size=100 + n, modified=NOON) for n, key in enumerate(keys)]


def source(*backups: Backup, archive: tuple[WalObject, ...] = ()) -> Source:
    """A repository with these backups and the WAL that they need."""
    backups = backups or (BACKUP,)
    segments = [backup.name[5:29] for backup in backups]
    return Source(
        url="memory://source",
        system_identifier=SYSTEM_IDENTIFIER,
        segment_size=SIZE,
        backups=backups,
        objects={backup.name: objects(backup) for backup in backups},
        digests={},
        wal=archive or wal(*segments),
        histories={},
    )


EMPTY = Target(url="memory://target", system_identifier=None, backups=(), objects={}, wal=())


def keys(plan: CopyPlan) -> list[str]:
    """The keys to be copied, in their order."""
    return [item.key for item in plan.items if item.present is None]


class TestOrder:
    """What depends on something comes after it."""

    def test_wal_then_each_backup_with_its_sentinel_last(self) -> None:
        """So a sentinel never stands for what is not there."""
        plan = plan_copy(source(BACKUP, LATER), EMPTY, with_history=False)
        assert [item.kind for item in plan.items] == [
            *(Kind.WAL, Kind.WAL),
            *(Kind.MARKS, Kind.OBJECT, Kind.SENTINEL),
            *(Kind.MARKS, Kind.OBJECT, Kind.SENTINEL),
        ]
        assert [item.backup.name for item in plan.backups] == [NAME, LATER.name]

    def test_the_size_is_that_of_what_is_missing(self) -> None:
        """What is there already is not counted."""
        there = replace(EMPTY, objects={PART: 101}, wal=wal(SEGMENT))
        assert plan_copy(source(), EMPTY, with_history=False).missing_size == 50 + 303
        assert plan_copy(source(), there, with_history=False).missing_size == 202


class TestWalMarks:
    """By which a host that has a public key alone goes on where the copied WAL ends."""

    MARKS = tuple(
        ObjectInfo(key=layout.digest_mark(layout.wal(name, "zst"), head), size=48, modified=NOON)
        for name, head in ((SEGMENT, b"1"), (SEGMENT, b"2"), ("000000010000000000000003", b"3"))
    )

    def test_come_before_the_wal_that_they_are_of(self) -> None:
        """All of a segment's, for it may have been pushed more than once; no others."""
        facts = replace(source(), marks=self.MARKS)
        plan = plan_copy(facts, EMPTY, with_history=False)
        wanted = [mark.key for mark in self.MARKS[:2]]
        assert keys(plan)[:3] == [*wanted, layout.wal(SEGMENT, "zst")]

    def test_are_not_copied_again(self) -> None:
        """But looked at, as everything is."""
        there = replace(EMPTY, objects={self.MARKS[0].key: 48})
        plan = plan_copy(replace(source(), marks=self.MARKS), there, with_history=False)
        assert [item.present for item in plan.wal_marks] == [self.MARKS[0].key, None]


class TestWal:
    """Which files of the archive come along."""

    ARCHIVE = (
        *("000000010000000000000001", SEGMENT, f"{SEGMENT}.00000028.backup"),
        *("000000010000000000000003", "000000010000000000000004.partial"),
        *("00000002.history", "000000020000000000000004"),
    )
    HISTORY = TimelineHistory(
        timeline=2, switches=(TimelineSwitch(timeline=1, end=Lsn(4 * SIZE + 9), reason=""),)
    )

    def names(self, *, with_history: bool) -> list[str]:
        facts = replace(source(archive=wal(*self.ARCHIVE)), histories={2: self.HISTORY})
        plan = plan_copy(facts, EMPTY, with_history=with_history)
        return [item.wal.name for item in plan.wal if item.wal is not None]

    def test_from_start_to_finish_with_the_backup_history_file(self) -> None:
        """A later timeline's history is not among it, for its WAL is not either."""
        assert self.names(with_history=False) == [SEGMENT, f"{SEGMENT}.00000028.backup"]

    def test_with_history_everything_from_the_start_on(self) -> None:
        """The partial segment in which the old timeline ended included."""
        assert self.names(with_history=True) == list(self.ARCHIVE[1:])

    def test_the_history_of_the_backups_own_timeline_comes_along(self) -> None:
        """A server that recovers on it reads it first."""
        own = replace(BACKUP, timeline=2, name="base_000000020000000000000005")
        own = replace(own, start_lsn=Lsn(5 * SIZE), finish_lsn=Lsn(5 * SIZE + 9))
        archive = wal("00000002.history", "00000003.history", "000000020000000000000005")
        facts = replace(source(own, archive=archive), histories={2: self.HISTORY})
        plan = plan_copy(facts, EMPTY, with_history=False)
        assert [item.key for item in plan.wal] == [archive[0].key, archive[2].key]

    def test_a_file_stored_under_two_codecs_comes_once(self) -> None:
        """Readers take the first."""
        archive = wal(SEGMENT, extension="") + wal(SEGMENT)
        plan = plan_copy(source(archive=archive), EMPTY, with_history=False)
        assert [item.key for item in plan.wal] == [layout.wal(SEGMENT, "")]

    def test_a_file_that_the_target_has_under_another_codec_is_there(self) -> None:
        """It is compared and not stored twice."""
        there = replace(EMPTY, wal=wal(SEGMENT, extension="", size=SIZE))
        plan = plan_copy(source(), there, with_history=False)
        assert plan.wal[0].present == layout.wal(SEGMENT, "")

    def test_a_missing_segment_is_refused(self) -> None:
        """Before anything is copied."""
        with pytest.raises(RefusedError, match=SEGMENT):
            plan_copy(source(archive=wal("000000010000000000000001")), EMPTY, with_history=False)


class TestRefusals:
    """What stops a copy before it begins."""

    def test_another_clusters_target(self) -> None:
        """By its identity or, without one, by the backups in it."""
        for target in (
            replace(EMPTY, system_identifier=42),
            replace(EMPTY, backups=(replace(LATER, system_identifier=42),)),
        ):
            with pytest.raises(ClusterMismatchError, match="42"):
                plan_copy(source(), target, with_history=False)

    def test_backups_of_two_clusters(self) -> None:
        """They would be one repository afterwards."""
        with pytest.raises(ClusterMismatchError, match="42"):
            plan_copy(
                source(BACKUP, replace(LATER, system_identifier=42)), EMPTY, with_history=False
            )

    def test_another_size_under_the_same_key(self) -> None:
        """The sizes alone prove that the content differs."""
        with pytest.raises(RefusedError, match=PART):
            plan_copy(source(), replace(EMPTY, objects={PART: 7}), with_history=False)
        with pytest.raises(WalConflictError, match=SEGMENT):
            plan_copy(source(), replace(EMPTY, wal=wal(SEGMENT, size=51)), with_history=False)

    def test_other_marks_are_no_conflict(self) -> None:
        """The one document that is rewritten is metadata.json."""
        marked = replace(EMPTY, objects={layout.metadata(NAME): 7})
        assert layout.metadata(NAME) not in keys(plan_copy(source(), marked, with_history=False))

    def test_a_part_that_the_source_has_not(self) -> None:
        """It may be of another backup of this name."""
        stray = layout.partition(NAME, "part_002", "zst")
        with pytest.raises(RefusedError, match="part_002"):
            plan_copy(source(), replace(EMPTY, objects={stray: 7}), with_history=False)

    @pytest.mark.parametrize("digest", [PartDigest(size=1 << 20, sha256="")])
    @pytest.mark.parametrize("part", ["part_001", "part_002"])
    def test_a_part_that_is_not_as_the_index_says(self, part: str, digest: PartDigest) -> None:
        """Missing, or smaller."""
        facts = replace(source(), digests={layout.partition(NAME, part, "zst"): digest})
        with pytest.raises(CorruptError, match=part):
            plan_copy(facts, EMPTY, with_history=False)

    def test_a_backup_without_parts(self) -> None:
        """Its sentinel is all that is left of it."""
        facts = replace(source(), objects={NAME: objects(BACKUP)[2:]})
        with pytest.raises(CorruptError, match="no partitions"):
            plan_copy(facts, EMPTY, with_history=False)


class TestChoice:
    """Which backups are meant."""

    CATALOG = Catalog(backups=(BACKUP, LATER, DELTA), unreadable=(), unfinished=())

    def chosen(self, *names: str, everything: bool = False) -> list[str]:
        return [item.name for item in choose(self.CATALOG, names, everything=everything)]

    def test_by_name_oldest_first_and_once(self) -> None:
        """However they are given."""
        assert self.chosen(LATER.name, NAME, LATER.name) == [NAME, LATER.name]

    def test_a_delta_brings_what_it_builds_on(self) -> None:
        """Before itself."""
        assert self.chosen("LATEST") == [NAME, DELTA.name]

    def test_a_delta_without_its_base_is_refused(self) -> None:
        """It could not be restored."""
        with pytest.raises(NotFoundError, match=NAME):
            choose(
                Catalog(backups=(DELTA,), unreadable=(), unfinished=()),
                ["LATEST"],
                everything=False,
            )

    def test_a_delta_that_builds_on_itself_is_refused(self) -> None:
        """Damage must not make an endless walk."""
        loop = replace(DELTA, delta_from=DELTA.name)
        with pytest.raises(CorruptError, match="made on itself"):
            choose(
                Catalog(backups=(loop,), unreadable=(), unfinished=()), ["LATEST"], everything=False
            )

    def test_a_backup_whose_wal_is_not_known_is_refused(self) -> None:
        """WAL-E's of a server that was not running: the copy could lack what it needs."""
        catalog = Catalog(backups=(OFFLINE,), unreadable=(), unfinished=())
        with pytest.raises(RefusedError, match="pg_control tells which WAL it needs"):
            choose(catalog, ["LATEST"], everything=False)

    def test_all_does_not_pass_over_one_that_cannot_be_read(self) -> None:
        """A copy that says it is everything is everything."""
        assert self.chosen(everything=True) == [NAME, LATER.name, DELTA.name]
        broken = UnreadableBackup(name="base_000000010000000000000009", reason="x", modified=None)
        with pytest.raises(CorruptError, match=broken.name):
            choose(replace(self.CATALOG, unreadable=(broken,)), [], everything=True)

    def test_all_of_nothing_is_an_error(self) -> None:
        """A script that copies an empty repository should hear of it."""
        with pytest.raises(NotFoundError):
            choose(Catalog(backups=(), unreadable=(), unfinished=()), [], everything=True)


def test_a_newer_backup_in_the_target_is_warned_of() -> None:
    """The older sentinel will be the younger object, and wal-g goes by that."""
    [warning] = plan_copy(source(), replace(EMPTY, backups=(LATER,)), with_history=False).warnings
    assert LATER.name in warning
    assert plan_copy(source(), EMPTY, with_history=False).warnings == ()
