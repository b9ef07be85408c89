"""One backup at a time, and a dead holder never in the way for long."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from backup_core.errors import LockHeldError
from backup_core.repository import layout
from backup_core.repository.lock import LEASE_SECONDS, backup_lock, this_process
from backup_core.storage.base import ObjectInfo, Storage
from backup_core.storage.file import FileStorage
from backup_core.storage.memory import MemoryStorage

NOW = 1_800_000_000.0
ELSEWHERE = replace(this_process(NOW), host="other-host", pid=4711)
HOLD_LOCK = """
import sys, time
from pathlib import Path
from backup_core.repository.lock import backup_lock
from backup_core.storage.file import FileStorage
with backup_lock(FileStorage(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


class Suspended(MemoryStorage):
    """A store whose first listing is followed by a long pause, in which others go on."""

    def __init__(self, meanwhile: Callable[[MemoryStorage], None]) -> None:
        super().__init__()
        self._meanwhile: Callable[[MemoryStorage], None] | None = meanwhile

    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> Iterator[ObjectInfo]:
        found = [*super().list(prefix, delimiter=delimiter, start_after=start_after)]
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile(self)
        return iter(found)


def give(storage: Storage, holder: object, number: int = 1) -> None:
    """Let that holder have the lock, under this number."""
    storage.put(f"{layout.LOCKS}backup-{number:012d}", [json.dumps(holder).encode()])


def held_by(holder: object) -> MemoryStorage:
    """A store in which that holder has the lock."""
    storage = MemoryStorage()
    give(storage, holder)
    return storage


def locks(storage: Storage) -> list[str]:
    """The lock objects there are."""
    return [info.key for info in storage.list(layout.LOCKS)]


def test_a_second_backup_is_refused_and_told_by_whom() -> None:
    """The message names process and host; afterwards the lock is free."""
    storage = MemoryStorage()
    with (
        backup_lock(storage),
        pytest.raises(LockHeldError, match=r"process \d+ on "),
        backup_lock(storage),
    ):
        pass
    assert locks(storage) == []
    with backup_lock(storage):
        assert len(locks(storage)) == 1


def test_a_process_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    """On the same host this is seen at once, whatever its lease says."""
    storage = FileStorage(tmp_path)
    command = [sys.executable, "-c", HOLD_LOCK, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(LockHeldError, match=f"process {child.pid} on "), backup_lock(storage):
            pass
        child.kill()
        child.wait()
    with backup_lock(storage):
        assert locks(storage) == [f"{layout.LOCKS}backup-000000000002"]


def test_a_reused_process_number_is_another_process() -> None:
    """The start time tells them apart."""
    with backup_lock(held_by(asdict(replace(this_process(NOW), started=1))), clock=lambda: NOW):
        pass


@pytest.mark.parametrize(("passed", "free"), [(LEASE_SECONDS - 1, False), (LEASE_SECONDS, True)])
def test_another_host_holds_it_until_its_lease_ends(passed: float, free: bool) -> None:
    """Nobody can look into another host, so time must pass."""
    storage = held_by(asdict(ELSEWHERE))
    if free:
        with backup_lock(storage, clock=lambda: NOW + passed):
            return
    with (
        pytest.raises(LockHeldError, match="other-host"),
        backup_lock(storage, clock=lambda: NOW + passed),
    ):
        pass


def test_who_looked_long_ago_does_not_overtake_a_renewed_lock() -> None:
    """The holder has moved on to another number than the one that seemed free."""
    storage = Suspended(lambda store: give(store, asdict(ELSEWHERE), number=2))
    with (
        pytest.raises(LockHeldError, match="other-host"),
        backup_lock(storage, clock=lambda: NOW),
    ):
        pass
    assert locks(storage) == [f"{layout.LOCKS}backup-000000000002"]


def test_an_unreadable_lock_does_not_hold_for_ever() -> None:
    """A lock object that nobody can have written whole is passed over."""
    with backup_lock(held_by("nonsense")):
        pass


def test_a_holder_learns_that_its_lease_ran_out() -> None:
    """A backup that was suspended too long must not write its sentinel."""
    now = NOW
    with backup_lock(MemoryStorage(), clock=lambda: now) as check:
        check()
        now += LEASE_SECONDS
        with pytest.raises(LockHeldError, match="lost"):
            check()


def test_of_many_at_once_exactly_one_gets_it() -> None:
    """Whatever the interleaving."""
    storage = MemoryStorage()
    gate, done = threading.Barrier(8), threading.Event()
    outcomes: list[str] = []

    def note(outcome: str) -> None:
        outcomes.append(outcome)
        if len(outcomes) == 8:
            done.set()

    def take() -> None:
        gate.wait()
        try:
            with backup_lock(storage):
                note("held")
                done.wait(60)
        except LockHeldError:
            note("refused")

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("held") == 1
