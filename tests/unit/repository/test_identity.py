"""One cluster to a repository."""

import threading
from dataclasses import replace

import pytest

from backup_core.errors import ClusterMismatchError, CorruptError
from backup_core.repository import layout
from backup_core.repository.identity import claim_repository, load_identity
from backup_core.repository.sentinel import render_sentinel
from backup_core.storage.memory import MemoryStorage
from tests.support.backups import BACKUP


def test_the_first_push_claims_the_repository() -> None:
    """The same cluster may come again, another may not."""
    storage = MemoryStorage()
    claim_repository(storage, 11)
    assert claim_repository(storage, 11).system_identifier == 11
    with pytest.raises(ClusterMismatchError, match="11"):
        claim_repository(storage, 12)


def test_the_segment_size_is_recorded_with_the_claim() -> None:
    """Records of early versions lack it, which is no error."""
    storage = MemoryStorage()
    claim_repository(storage, 11, 1 << 20)
    assert claim_repository(storage, 11).wal_segment_size == 1 << 20
    older = MemoryStorage()
    older.put(layout.IDENTITY, [b'{"system_identifier": 11}'])
    assert claim_repository(older, 11, 1 << 20).wal_segment_size is None


def test_of_two_clusters_at_once_one_wins() -> None:
    """Both find the repository unclaimed; conditional creation decides."""
    storage = MemoryStorage()
    refused: list[int] = []
    gate = threading.Barrier(8)

    def claim(number: int) -> None:
        gate.wait()
        try:
            claim_repository(storage, number)
        except ClusterMismatchError:
            refused.append(number)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    identity = load_identity(storage)
    assert identity is not None
    assert sorted([*refused, identity.system_identifier]) == list(range(1, 9))


def test_the_backups_of_another_tool_speak_for_its_cluster() -> None:
    """A repository that WAL-G began has no record of ours."""
    storage = MemoryStorage()
    backup = replace(BACKUP, system_identifier=5)
    storage.put(layout.sentinel(backup.name), [render_sentinel(backup)])
    with pytest.raises(ClusterMismatchError, match="5"):
        claim_repository(storage, 6)
    assert claim_repository(storage, 5).system_identifier == 5


@pytest.mark.parametrize("record", [b"", b"[]", b"{}", b'{"system_identifier": "x"}'])
def test_a_record_that_cannot_be_read_is_an_error(record: bytes) -> None:
    """It is never taken for an unclaimed repository."""
    storage = MemoryStorage()
    storage.put(layout.IDENTITY, [record])
    with pytest.raises(CorruptError, match="identity"):
        claim_repository(storage, 1)
