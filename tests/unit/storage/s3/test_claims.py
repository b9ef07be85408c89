"""Taking turns at a key: who comes first, who is waited for, and who is passed over."""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta

import pytest

from backup_core.errors import AlreadyExistsError, StorageError
from backup_core.storage.base import ObjectInfo, Storage
from backup_core.storage.memory import MemoryStorage
from backup_core.storage.s3.claims import Fence, claim


class Aged(MemoryStorage):
    """A store in which some objects are older than they are."""

    def __init__(self, age: timedelta) -> None:
        super().__init__()
        self.age = age
        self.old: set[str] = set()

    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> Iterator[ObjectInfo]:
        for info in super().list(prefix, delimiter=delimiter, start_after=start_after):
            assert info.modified is not None
            age = self.age if info.key in self.old else timedelta()
            yield replace(info, modified=info.modified - age)


def claimed(store: Storage, key: str, fence: Fence | None = None) -> AbstractContextManager[None]:
    """The claim of a writer whose upload is called `mine`."""
    return claim(store, key, upload="mine", fence=fence)


def no_fence(_upload: str) -> None:
    """Nothing has to be done."""


class TestClaims:
    def test_one_writer_at_a_time(self) -> None:
        """Eight who want the same key come one after the other, and nothing is left."""
        store = MemoryStorage()
        inside: list[int] = []
        most = 0

        def write(number: int) -> None:
            nonlocal most
            with claimed(store, "key"):
                inside.append(number)
                most = max(most, len(inside))
                time.sleep(0.005)
                inside.remove(number)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(8)))
        assert most == 1
        assert list(store.list()) == []

    def test_writers_of_other_keys_are_not_waited_for(self) -> None:
        """A claim is for one key, also if another begins like it."""
        store = MemoryStorage()
        with claimed(store, "key"), claimed(store, "key2"), claimed(store, "key/2"):
            assert len(list(store.list())) == 3

    def test_the_claim_of_a_writer_that_failed_stays(self) -> None:
        """What he has sent may still arrive."""
        store = MemoryStorage()
        with pytest.raises(StorageError, match="silence"), claimed(store, "key"):
            raise StorageError("silence")
        assert len(list(store.list())) == 1

    def test_a_claim_ends_when_the_key_is_taken(self) -> None:
        """Nothing was sent, or it was refused."""
        store = MemoryStorage()
        with pytest.raises(AlreadyExistsError), claimed(store, "key"):
            raise AlreadyExistsError("taken")
        assert list(store.list()) == []

    def test_the_claim_of_a_stalled_writer_is_removed(self) -> None:
        """Once his upload cannot do harm any more, and not before."""
        store = stalled(timedelta(minutes=6))
        fenced = []

        def fence(upload: str) -> None:
            assert len(list(store.list())) == 2
            fenced.append(upload)

        with claimed(store, "key", fence):
            assert fenced == ["his"]
            assert len(list(store.list())) == 1
        assert list(store.list()) == []

    def test_without_need_of_a_fence_seconds_are_enough(self) -> None:
        """The server refuses what comes late."""
        store = stalled(timedelta(seconds=21))
        with claimed(store, "key"):
            assert len(list(store.list())) == 1

    def test_who_cannot_be_fenced_is_not_passed_over(self) -> None:
        """His claim stays as it is."""
        store = stalled(timedelta(minutes=6))

        def fence(upload: str) -> None:
            raise StorageError("denied")

        with pytest.raises(StorageError, match="denied"), claimed(store, "key", fence):
            pytest.fail("two writers at once")
        assert "pitr/claims/key/his" in {info.key for info in store.list()}

    def test_a_writer_that_was_passed_over_does_not_say_yes(self) -> None:
        """Whether what stands there is his own he cannot know."""
        store = MemoryStorage()
        with (
            pytest.raises(StorageError, match="did not wait for this one"),
            claimed(store, "key", no_fence),
        ):
            store.delete([info.key for info in store.list()])

    @pytest.mark.parametrize(
        ("age", "fence"), [(timedelta(seconds=19), None), (timedelta(minutes=4), no_fence)]
    )
    def test_the_claim_of_a_slow_writer_is_waited_for(
        self, age: timedelta, fence: Fence | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Until patience ends; the claims are named."""
        store = stalled(age)
        now = [0.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        monkeypatch.setattr(time, "sleep", lambda _: now.__setitem__(0, now[0] + 50))
        with (
            pytest.raises(StorageError, match='do not finish with "key"') as raised,
            claimed(store, "key", fence),
        ):
            pytest.fail("two writers at once")
        assert "pitr/claims/" in (raised.value.hint or "")
        assert [info.key for info in store.list()] == ["pitr/claims/key/his"]

    def test_who_may_not_delete_says_so_instead_of_waiting(self) -> None:
        """He has to let another go first, who would wait for him."""
        store = Keeping(timedelta(seconds=1))
        store.put("pitr/claims/key/his", [b"his"])
        with pytest.raises(StorageError, match="denied") as raised, claimed(store, "key"):
            pytest.fail("two writers at once")
        assert "s3:DeleteObject" in (raised.value.hint or "")

    def test_who_was_taken_for_stalled_himself_claims_anew(self) -> None:
        """Somebody removed his claim while he was about to look."""
        store = Hasty()
        with claimed(store, "key"):
            assert store.removed == 1
            assert len(list(store.list())) == 1


def stalled(age: timedelta) -> Aged:
    """A store with a claim on `key` that is so old, of a writer whose upload is called `his`."""
    store = Aged(age)
    store.put("pitr/claims/key/his", [b"his"])
    store.old.add("pitr/claims/key/his")
    return store


class Keeping(Aged):
    """A store in which nothing may be deleted."""

    def delete(self, keys: Iterable[str]) -> dict[str, str | None]:
        return dict.fromkeys(keys, "denied")


class Hasty(MemoryStorage):
    """A store in which another writer removes the first claim that is made."""

    removed = 0

    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> Iterator[ObjectInfo]:
        if not self.removed:
            self.removed = len(self.delete([info.key for info in super().list(prefix)]))
        return super().list(prefix, delimiter=delimiter, start_after=start_after)
