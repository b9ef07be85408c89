"""When a window ends is read from the WAL itself; the store's clock would promise too much."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from backup_core.errors import CorruptError, MissingKeyError
from backup_core.postgres.wal import segment_name
from backup_core.repository import layout
from backup_core.repository.identity import claim_repository
from backup_core.repository.sentinel import Backup
from backup_core.storage.memory import MemoryStorage
from backup_core.verify.ends import read_recovery
from backup_core.verify.window import RecoveryWindow
from tests.support.archives import SEGMENT, backup_at
from tests.support.backups import NOON, store
from tests.support.segments import SYSTEM_IDENTIFIER, segment, segment_of_commits

MINUTE = timedelta(minutes=1)
BACKUP = replace(backup_at(1, 2 * SEGMENT + 40, 100), start_time=NOON, finish_time=NOON)
OTHER = 8_000_000_000_000_000_008


def name(number: int) -> str:
    return segment_name(1, number, SEGMENT)


def repository(
    *backups: Backup, last: int, claimed: bool = True, into: MemoryStorage | None = None
) -> MemoryStorage:
    """Segments up to number `last`, in each of which a transaction ended at that minute."""
    storage = into or MemoryStorage()
    if claimed:
        claim_repository(storage, SYSTEM_IDENTIFIER, SEGMENT)
    for backup in backups or (BACKUP,):
        store(storage, backup)
    for number in range(1, last + 1):
        put(storage, number, segment_of_commits(name(number), NOON + number * MINUTE))
    return storage


def put(storage: MemoryStorage, number: int, content: bytes) -> None:
    storage.put(layout.wal(name(number), ""), [content])


def only(storage: MemoryStorage) -> RecoveryWindow:
    (window,) = read_recovery(storage)[0].windows
    return window


def test_a_window_ends_with_the_last_transaction_in_its_wal() -> None:
    """However much later the segment came to the store."""
    window = only(repository(last=5))
    assert window.end_time == NOON + 5 * MINUTE
    assert window.end_source == "wal"
    assert window.last_stored is not None


def test_of_transactions_that_overtook_each_other_the_latest_counts() -> None:
    """Recovery to a time stops at the first that ended after it, wherever it stands."""
    storage = repository(last=4)
    put(storage, 5, segment_of_commits(name(5), NOON + 9 * MINUTE, NOON + 8 * MINUTE))
    assert only(storage).end_time == NOON + 9 * MINUTE


def test_a_segment_without_transactions_leaves_it_to_the_one_before() -> None:
    """As one that was switched away on an idle server."""
    storage = repository(last=4)
    for number in (5, 6):
        put(storage, number, segment_of_commits(name(number)))
    window = only(storage)
    assert window.end_time == NOON + 4 * MINUTE
    assert window.end_lsn == 7 * SEGMENT


def test_without_any_transaction_the_newest_backup_tells() -> None:
    """Its end can be recovered for certain."""
    storage = repository(last=1)
    put(storage, 2, segment_of_commits(name(2)))
    window = only(storage)
    assert (window.end_time, window.end_source) == (NOON, "backup")


def test_a_damaged_segment_counts_as_missing() -> None:
    """What lies behind it cannot be recovered, and is not promised."""
    storage = repository(last=5)
    put(storage, 5, b"no segment")
    found, damaged = read_recovery(storage)
    assert found.windows[0].end_lsn == 5 * SEGMENT
    assert found.windows[0].end_time == NOON + 4 * MINUTE
    assert [item.name for item in damaged] == [name(5)]


def test_too_much_damage_ends_the_report() -> None:
    """It would promise less and less, and look like an answer."""
    storage = repository(last=2)
    for number in range(3, 30):
        put(storage, number, b"no segment")
    with pytest.raises(CorruptError, match="17 WAL segments cannot be read"):
        read_recovery(storage)


class Keyless(MemoryStorage):
    """A repository of which this host has no secret key: what is archived cannot be read."""

    def get(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Refuse WAL as a storage does that has no key for it."""
        if key.startswith(layout.WAL):
            raise MissingKeyError(f"{key} is encrypted by age, and no key for that is configured")
        return super().get(key, start=start, stop=stop)


def test_without_the_key_the_stores_clock_is_shown_and_named() -> None:
    """It is later than the last transaction, so it must not pass for that."""
    storage = repository(last=3, into=Keyless())
    window = only(storage)
    assert window.end_source == "stored"
    assert window.end_time == window.last_stored
    assert window.end_lsn == 4 * SEGMENT


def test_without_the_key_a_timeline_counts_for_its_own_backups_only() -> None:
    """Where it came from is in its history file, which is encrypted as well."""
    later = replace(
        backup_at(2, 5 * SEGMENT + 40, 100), start_time=NOON + MINUTE, finish_time=NOON + MINUTE
    )
    storage = repository(BACKUP, later, last=4, into=Keyless())
    storage.put(layout.wal("00000002.history", ""), [b"encrypted"])
    storage.put(layout.wal(segment_name(2, 5, SEGMENT), ""), [b"encrypted"])
    windows = read_recovery(storage)[0].windows
    assert [(w.timeline, w.backups) for w in windows] == [(1, (BACKUP,)), (2, (later,))]


def test_the_wal_of_a_second_cluster_is_told_apart_by_its_headers() -> None:
    """After pg_upgrade its names go on where those of the first ended."""
    storage = repository(last=7, claimed=False)
    for number in range(8, 20):
        put(storage, number, segment(name(number), system_identifier=OTHER))
    window = only(storage)
    assert window.system_identifier == SYSTEM_IDENTIFIER
    assert window.end_lsn == 8 * SEGMENT


def test_each_of_two_clusters_has_its_window() -> None:
    """The newer one's is the current."""
    second = replace(
        backup_at(1, 9 * SEGMENT + 40, 100),
        system_identifier=OTHER,
        start_time=NOON + 60 * MINUTE,
        finish_time=NOON + 60 * MINUTE,
    )
    storage = repository(BACKUP, second, last=7, claimed=False)
    for number in range(8, 20):
        put(storage, number, segment(name(number), system_identifier=OTHER))
    found, _ = read_recovery(storage)
    assert [(w.system_identifier, w.end_lsn) for w in found.windows] == [
        (SYSTEM_IDENTIFIER, 8 * SEGMENT),
        (OTHER, 20 * SEGMENT),
    ]
    assert found.current == found.windows[1]
