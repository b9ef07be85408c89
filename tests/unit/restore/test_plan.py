"""What a restore decides before its first byte: the backup, the timeline, the places."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from backup_core.errors import CorruptError, NotFoundError, RefusedError, UsageError
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.recovery import RecoveryTarget
from backup_core.postgres.timeline import TimelineHistory, TimelineSwitch, history_of_first
from backup_core.repository.catalog import Catalog, UnreadableBackup
from backup_core.repository.sentinel import Backup, Tablespace
from backup_core.restore.plan import (
    Destination,
    TablespacePlacement,
    check_destinations,
    check_locations,
    check_timeline,
    choose_backup,
    place_tablespaces,
    target_timeline,
    wal_goal,
)
from backup_core.verify.continuity import is_on_timeline
from tests.support.backups import BACKUP, NOON

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
GIBIBYTE = 1 << 30


def backup_at(hour: int) -> Backup:
    """A backup that ended that many hours after noon, at 0x<hour>000100."""
    return replace(
        BACKUP,
        name=f"base_00000001000000000000000{hour}",
        start_lsn=Lsn((hour << 24) + 0x28),
        finish_lsn=Lsn((hour << 24) + 0x100),
        start_time=NOON + hour * HOUR - timedelta(minutes=5),
        finish_time=NOON + hour * HOUR,
    )


FIRST, SECOND_BACKUP, THIRD = (backup_at(hour) for hour in (1, 2, 3))
CATALOG = Catalog(
    backups=(FIRST, SECOND_BACKUP, THIRD),
    unreadable=(UnreadableBackup(name=backup_at(9).name, reason="not JSON", modified=None),),
    unfinished=(),
)
EMPTY = Catalog(backups=(), unreadable=(), unfinished=())


class TestChooseBackup:
    """Without a name, the newest backup that ended before the target."""

    @pytest.mark.parametrize(
        ("target", "chosen"),
        [
            (RecoveryTarget(), THIRD),
            (RecoveryTarget(immediate=True), THIRD),
            (RecoveryTarget(time=THIRD.finish_time), THIRD),
            (RecoveryTarget(time=THIRD.finish_time - SECOND), SECOND_BACKUP),
            (RecoveryTarget(time=FIRST.finish_time), FIRST),
            (RecoveryTarget(lsn=THIRD.finish_lsn), THIRD),
            (RecoveryTarget(lsn=Lsn(THIRD.finish_lsn - 1)), SECOND_BACKUP),
            (RecoveryTarget(lsn=FIRST.finish_lsn), FIRST),
        ],
    )
    def test_by_the_target(self, target: RecoveryTarget, chosen: Backup) -> None:
        """The target may be the very end of the backup, where the cluster becomes consistent."""
        assert choose_backup(CATALOG, None, target) == chosen

    @pytest.mark.parametrize(
        "target",
        [
            RecoveryTarget(time=FIRST.finish_time - SECOND),
            RecoveryTarget(lsn=Lsn(FIRST.finish_lsn - 1)),
        ],
    )
    def test_a_target_before_all_backups_is_refused(self, target: RecoveryTarget) -> None:
        """The message tells what the earliest target is."""
        with pytest.raises(RefusedError, match=f"no backup ended.*{FIRST.name}.*0/1000100"):
            choose_backup(CATALOG, None, target)

    @pytest.mark.parametrize("target", [RecoveryTarget(xid=777), RecoveryTarget(name="release")])
    def test_a_target_without_a_place_in_time_needs_a_name(self, target: RecoveryTarget) -> None:
        """Only the operator knows which backup lies before it."""
        with pytest.raises(UsageError, match="does not tell which backup"):
            choose_backup(CATALOG, None, target)
        assert choose_backup(CATALOG, FIRST.name, target) == FIRST

    def test_a_named_backup_that_ended_after_the_target_is_refused(self) -> None:
        """The server could not stop there, for the cluster is not consistent before."""
        target = RecoveryTarget(time=FIRST.finish_time + SECOND)
        assert choose_backup(CATALOG, FIRST.name, target) == FIRST
        with pytest.raises(RefusedError, match=f"before the end of {THIRD.name}"):
            choose_backup(CATALOG, THIRD.name, target)

    def test_latest_is_held_against_the_target_too(self) -> None:
        """LATEST is a name, and not a wish for whatever fits."""
        assert choose_backup(CATALOG, "LATEST", RecoveryTarget()) == THIRD
        with pytest.raises(RefusedError):
            choose_backup(CATALOG, "LATEST", RecoveryTarget(time=NOON + 2 * HOUR))

    def test_a_backup_on_another_branch_is_passed_over(self) -> None:
        """The newest may have been taken on a timeline that was abandoned."""
        found = choose_backup(CATALOG, None, RecoveryTarget(), reachable=lambda one: one != THIRD)
        assert found == SECOND_BACKUP

    def test_if_none_is_reachable_the_newest_will_say_why(self) -> None:
        """The check of the timeline has the better message."""
        assert choose_backup(CATALOG, None, RecoveryTarget(), reachable=lambda _: False) == THIRD

    def test_an_unreadable_backup_is_an_error_by_its_name_only(self) -> None:
        """The reason is passed on."""
        with pytest.raises(CorruptError, match="not JSON"):
            choose_backup(CATALOG, backup_at(9).name, RecoveryTarget())

    def test_an_empty_repository_says_so(self) -> None:
        """With a target or without."""
        for target in (RecoveryTarget(), RecoveryTarget(time=NOON)):
            with pytest.raises(NotFoundError, match="no usable backup"):
                choose_backup(EMPTY, None, target)


class TestTimeline:
    """The timeline to be followed must contain the whole backup."""

    HISTORY = TimelineHistory(
        timeline=3,
        switches=(
            TimelineSwitch(timeline=1, end=FIRST.finish_lsn, reason=""),
            TimelineSwitch(timeline=2, end=Lsn(0x3000000), reason=""),
        ),
    )

    def test_a_backup_may_end_where_its_timeline_was_left(self) -> None:
        """But not a byte later."""
        late = replace(FIRST, finish_lsn=Lsn(FIRST.finish_lsn + 1))
        assert is_on_timeline(FIRST, self.HISTORY)
        assert not is_on_timeline(late, self.HISTORY)
        check_timeline(FIRST, self.HISTORY)
        with pytest.raises(RefusedError, match=f"timeline 3 does not contain backup {late.name}"):
            check_timeline(late, self.HISTORY)

    def test_a_timeline_that_is_no_ancestor_is_refused(self) -> None:
        """Timeline 2 is not on the way to timeline 1, whatever its LSNs."""
        with pytest.raises(RefusedError):
            check_timeline(replace(FIRST, timeline=2), history_of_first())

    @pytest.mark.parametrize(
        ("wanted", "followed"), [(None, 5), ("latest", 5), ("current", 2), ("4", 4), ("1", 1)]
    )
    def test_the_target_names_it(self, wanted: str | None, followed: int) -> None:
        """Timeline 1 needs no history file, and latest is the server's default since 12."""
        target = RecoveryTarget(timeline=wanted)
        backup = replace(FIRST, timeline=2)
        assert target_timeline(target, backup, latest=5, timelines={2, 4, 5}) == followed

    def test_one_without_a_history_file_is_not_found(self) -> None:
        """The server would stop at its start."""
        with pytest.raises(NotFoundError, match="timeline 7 has no history file"):
            target_timeline(RecoveryTarget(timeline="7"), FIRST, latest=5, timelines={2, 5})


class TestTablespaces:
    """Each goes where it was, or where it is told to."""

    BACKUP = replace(
        BACKUP,
        tablespaces=(Tablespace(oid=16, location="/fast"), Tablespace(oid=17, location="/big")),
    )

    def test_without_a_mapping_they_go_where_they_were(self) -> None:
        """As recorded in the sentinel."""
        assert [item.location for item in place_tablespaces(self.BACKUP, {})] == ["/fast", "/big"]

    def test_a_location_or_an_oid_maps_them(self) -> None:
        """The location is what an operator of pg_basebackup writes."""
        assert place_tablespaces(self.BACKUP, {"/fast": "/new/1", "17": "/new/2"}) == (
            TablespacePlacement(oid=16, original="/fast", location="/new/1"),
            TablespacePlacement(oid=17, original="/big", location="/new/2"),
        )

    def test_a_mapping_of_nothing_is_a_mistake(self) -> None:
        """A typing error must not send gigabytes to the old place; the hint shows the names."""
        with pytest.raises(UsageError, match='no tablespace "/fats"') as caught:
            place_tablespaces(self.BACKUP, {"/fats": "/new"})
        assert caught.value.hint == "It has: 16 (/fast), 17 (/big)."

    def test_a_relative_place_is_refused(self) -> None:
        """The server refuses it too, but after the restore."""
        with pytest.raises(UsageError, match='tablespace 16 cannot go to "new"'):
            place_tablespaces(self.BACKUP, {"16": "new"})

    @pytest.mark.parametrize("place", ["/data", "/data/pg_tblspc/x", "/other/../data/x"])
    def test_a_place_inside_the_data_directory_is_refused(self, place: str) -> None:
        """No later base backup could tell its files from the directory's own."""
        with pytest.raises(UsageError, match="inside the data directory"):
            check_locations(Path("/data"), place_tablespaces(self.BACKUP, {"16": place}))

    def test_two_in_one_place_are_refused(self) -> None:
        """However the place is written."""
        with pytest.raises(UsageError, match="tablespaces 16 and 17 cannot go to /big and /big"):
            check_locations(Path("/data"), place_tablespaces(self.BACKUP, {"16": "/new/../big"}))

    @pytest.mark.parametrize("place", ["/big/inner", "/"])
    def test_one_within_the_other_is_refused(self, place: str) -> None:
        """The outer one would not be empty."""
        placed = place_tablespaces(self.BACKUP, {"16": place})
        with pytest.raises(UsageError, match="tablespaces 16 and 17 cannot go to"):
            check_locations(Path("/data"), placed)

    def test_places_beside_the_data_directory_are_fine(self) -> None:
        """A common beginning of the names means nothing."""
        check_locations(Path("/data"), place_tablespaces(self.BACKUP, {"16": "/data2"}))


class TestDestinations:
    """Nothing in use is touched, and nothing begun that cannot be ended."""

    PLACE = Destination(
        path=Path("/data"), needed=GIBIBYTE, free=3 * GIBIBYTE, filesystem=1, is_empty=True
    )

    def test_an_empty_directory_with_space_will_do(self) -> None:
        """Tablespaces on another file system have their own space."""
        check_destinations([self.PLACE, replace(self.PLACE, needed=2 * GIBIBYTE, filesystem=2)])

    def test_a_running_server_is_refused(self) -> None:
        """First of all, for its directory is not empty either."""
        running = replace(self.PLACE, server_pid=77, is_empty=False)
        with pytest.raises(RefusedError, match=r"a server is running in /data \(process 77\)"):
            check_destinations([running])

    def test_content_is_refused_and_never_said_to_be_deleted(self) -> None:
        """Its WAL may be the only copy."""
        with pytest.raises(RefusedError, match="/data is not empty") as caught:
            check_destinations([replace(self.PLACE, is_empty=False)])
        assert "do not delete it" in str(caught.value.hint)

    def test_places_on_one_file_system_share_its_space(self) -> None:
        """Each alone would fit, and both together would not."""
        half = replace(self.PLACE, needed=3 * GIBIBYTE // 2)
        check_destinations([half])
        with pytest.raises(RefusedError, match="3072 MiB free, the restore needs 3136 MiB"):
            check_destinations([half, replace(half, path=Path("/space"))])


class TestOffline:
    """A backup that WAL-E took of a stopped server has no WAL position of its own."""

    OFFLINE = replace(FIRST, origin="wal-e", finish_lsn=FIRST.start_lsn)
    CATALOG = Catalog(backups=(OFFLINE,), unreadable=(), unfinished=())

    def test_it_is_not_chosen_for_an_lsn(self) -> None:
        """It might lie on either side."""
        with pytest.raises(RefusedError, match="no backup ended before"):
            choose_backup(self.CATALOG, None, RecoveryTarget(lsn=Lsn(1 << 40)))

    @pytest.mark.parametrize("lsn", [1, 1 << 40])
    def test_it_may_be_named_for_any_lsn(self, lsn: int) -> None:
        """Its pg_control decides once it is there."""
        target = RecoveryTarget(lsn=Lsn(lsn))
        assert choose_backup(self.CATALOG, self.OFFLINE.name, target) is self.OFFLINE

    def test_it_is_on_its_timeline_and_what_came_of_it(self) -> None:
        """Wherever that was left."""
        left = TimelineHistory(
            timeline=2, switches=(TimelineSwitch(timeline=1, end=Lsn(1), reason=""),)
        )
        assert is_on_timeline(self.OFFLINE, left)
        assert is_on_timeline(replace(self.OFFLINE, timeline=2), left)
        assert not is_on_timeline(replace(self.OFFLINE, timeline=3), left)

    def test_it_tells_nothing_of_how_far_a_time_is(self) -> None:
        """Another backup's start would."""
        later = replace(self.OFFLINE, start_lsn=THIRD.start_lsn, start_time=NOON + 5 * HOUR)
        target = RecoveryTarget(time=NOON + 4 * HOUR)
        backups = [FIRST, replace(later, finish_lsn=THIRD.start_lsn)]
        assert wal_goal(FIRST, target, backups, history_of_first()) is None
