"""The catalog is what the objects say, in the order of the metadata's times."""

from dataclasses import replace
from datetime import timedelta

import pytest

from backup_core.errors import CorruptError, NotFoundError, UsageError
from backup_core.repository import layout
from backup_core.repository.catalog import read_catalog, read_index
from backup_core.repository.sentinel import Backup, render_metadata, render_sentinel
from backup_core.storage.memory import MemoryStorage
from tests.support.backups import BACKUP, NOON

OTHER = "base_000000010000000000000009"


def stored(*backups: Backup) -> MemoryStorage:
    """A store that holds the backups' documents."""
    storage = MemoryStorage()
    for backup in backups:
        storage.put(layout.metadata(backup.name), [render_metadata(backup)])
        storage.put(layout.sentinel(backup.name), [render_sentinel(backup)])
    return storage


def test_backups_are_ordered_by_the_time_they_finished() -> None:
    """Neither by name nor by the age of their objects, which copying changes."""
    late = BACKUP
    early = replace(BACKUP, name=OTHER, finish_time=NOON - timedelta(days=1))
    catalog = read_catalog(stored(late, early))
    assert [backup.name for backup in catalog.backups] == [early.name, late.name]
    assert catalog.named("LATEST").name == late.name


def test_an_unreadable_sentinel_does_not_hide_the_others() -> None:
    """It is listed with the reason."""
    storage = stored(BACKUP)
    storage.put(layout.sentinel(OTHER), [b"{"])
    catalog = read_catalog(storage)
    assert [broken.name for broken in catalog.unreadable] == [OTHER]
    assert [backup.name for backup in catalog.backups] == [BACKUP.name]
    with pytest.raises(CorruptError, match=OTHER):
        catalog.named(OTHER)


def test_a_backup_without_a_sentinel_does_not_exist() -> None:
    """Its folder is listed as unfinished."""
    storage = MemoryStorage()
    storage.put(layout.partition(OTHER, "part_001", "zst"), [b"x"])
    catalog = read_catalog(storage)
    assert (catalog.backups, catalog.unfinished) == ((), (OTHER,))


def test_corrupt_pages_are_counted() -> None:
    """The mark is an object of its own, which wal-g passes over."""
    storage = stored(BACKUP)
    document = b'{"version": 1, "files": {"base/1/1": [3, 4], "base/1/2": [0]}}'
    storage.put(layout.corrupt_pages(BACKUP.name), [document])
    assert read_catalog(storage).backups[0].corrupt_pages == 3


@pytest.mark.parametrize(
    ("name", "error"), [("base_1", UsageError), (OTHER, NotFoundError), ("LATEST", NotFoundError)]
)
def test_a_name_that_is_not_there_says_so(name: str, error: type[Exception]) -> None:
    """A name that cannot be one is another mistake than one that is gone."""
    with pytest.raises(error):
        read_catalog(MemoryStorage()).named(name)


def test_the_newest_of_backups_that_cannot_be_used_is_told() -> None:
    """Not that there is none, which would send the operator to look for another repository."""
    storage = MemoryStorage()
    storage.put(layout.sentinel(OTHER), [b"{"])
    with pytest.raises(CorruptError, match=f"the newest, {OTHER}, for this: "):
        read_catalog(storage).named("LATEST")


def test_backups_of_other_tools_have_no_index() -> None:
    """Which is not an error."""
    assert read_index(stored(BACKUP), BACKUP.name) is None


def test_each_broken_document_is_the_reason_of_its_own_backup_only() -> None:
    """Sentinels and metadata, whatever is wrong with them."""
    readable = b'{"LSN": 1, "FinishLSN": 2, "PgVersion": 150000'
    broken = [b"", b"null", b"\xff", b"[" * 100_000, readable + b', "Spec": {"tablespaces": 5}}']
    storage = stored(BACKUP)
    for number, data in enumerate(broken):
        storage.put(layout.sentinel(f"base_00000001000000000000010{number}"), [data])
    storage.put(layout.sentinel(OTHER), [readable + b"}"])
    storage.put(layout.metadata(OTHER), [b"{"])
    catalog = read_catalog(storage)
    assert [backup.name for backup in catalog.backups] == [BACKUP.name]
    assert len(catalog.unreadable) == len(broken) + 1
    assert all(one.name in one.reason for one in catalog.unreadable)


def test_a_sentinel_of_no_backup_name_is_unreadable() -> None:
    """It might be anything; it is shown and not used."""
    storage = stored(BACKUP)
    storage.put(f"{layout.BACKUPS}stream_20261122{layout.SENTINEL_SUFFIX}", [b"{}"])
    catalog = read_catalog(storage)
    assert [broken.name for broken in catalog.unreadable] == ["stream_20261122"]
    assert catalog.named("LATEST").name == BACKUP.name


def test_a_damaged_index_is_corrupt() -> None:
    """An empty object is one, and never taken for a backup without an index."""
    storage = stored(BACKUP)
    for data in (b"", b"not zstd"):
        storage.put(layout.index(BACKUP.name), [data])
        with pytest.raises(CorruptError, match=r"index\.json\.zst"):
            read_index(storage, BACKUP.name)
