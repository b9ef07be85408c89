"""Which backup a drill takes, and how far it replays."""

from dataclasses import replace
from datetime import timedelta

import pytest

from backup_core.drill.request import choose_oldest, target_after
from backup_core.errors import NotFoundError
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.wal import parse_wal_name, segment_name
from backup_core.repository.catalog import Catalog
from backup_core.repository.wal_archive import WalObject
from tests.support.backups import BACKUP, NOON

SIZE = 16 << 20
DAY = timedelta(days=1)


def segment(number: int, hours: float) -> WalObject:
    """A segment that was stored so many hours after noon."""
    name = segment_name(1, number, SIZE)
    return WalObject(
        wal=parse_wal_name(name),
        key=name,
        extension="",
        size=1,
        modified=NOON + timedelta(hours=hours),
    )


def later(hours: float, segment_number: int, **changes: object) -> object:
    """A backup that began so many hours after noon, in this segment."""
    return replace(
        BACKUP,
        start_time=NOON + timedelta(hours=hours),
        start_lsn=Lsn(segment_number * SIZE + 40),
        **changes,  # type: ignore[arg-type]
    )


SEGMENTS = [segment(number, hours) for number, hours in [(0, 0), (1, 1), (2, 23), (3, 25), (4, 30)]]


def test_a_day_ends_where_the_first_backup_after_it_began() -> None:
    """Its start is a position that the WAL has, whatever a copy did to the store's times."""
    backups = [BACKUP, later(12, 9), later(26, 12), later(30, 15)]
    target = target_after(BACKUP, DAY, backups, SEGMENTS, SIZE)  # type: ignore[arg-type]
    assert target is not None
    assert (target.lsn, target.action) == (12 * SIZE + 40, "promote")


def test_without_such_a_backup_it_ends_where_a_later_segment_begins() -> None:
    """All before it had been stored a day after the backup."""
    target = target_after(BACKUP, DAY, [BACKUP, later(26, 12, timeline=2)], SEGMENTS, SIZE)  # type: ignore[list-item]
    assert target is not None
    assert target.lsn == 3 * SIZE


def test_a_day_that_the_archive_does_not_have_has_no_target() -> None:
    """Then all that is archived is replayed."""
    assert target_after(BACKUP, 2 * DAY, [BACKUP], SEGMENTS, SIZE) is None


def test_the_oldest_is_of_the_newest_ones_cluster() -> None:
    """After pg_upgrade the former cluster's backups stay in the repository for a while."""
    former = replace(BACKUP, name="base_000000010000000000000001", system_identifier=1)
    second = replace(BACKUP, name="base_000000010000000000000009")
    catalog = Catalog(backups=(former, BACKUP, second), unreadable=(), unfinished=())
    assert choose_oldest(catalog) == BACKUP
    with pytest.raises(NotFoundError):
        choose_oldest(Catalog(backups=(), unreadable=(), unfinished=()))
