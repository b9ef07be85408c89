"""One backup at a time, and a dead holder never in the way for long."""

import json
import subprocess
import sys
import threading
from dataclasses import asdict, replace

import pytest

from backup_core.errors import LockHeldError
from backup_core.repository import layout
from backup_core.repository.lock import LEASE_SECONDS, backup_lock, this_process
from backup_core.storage.memory import MemoryStorage

NOW = 1_800_000_000.0
ELSEWHERE = replace(this_process(NOW), host="other-host", pid=4711)


def held_by(holder: object) -> MemoryStorage:
    """A store in which that holder has the lock."""
    storage = MemoryStorage()
    storage.put(f"{layout.LOCKS}backup-000000000001", [json.dumps(holder).encode()])
    return storage


def locks(storage: MemoryStorage) -> list[str]:
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


def test_a_process_that_was_killed_holds_nothing() -> None:
    """On the same host this is seen at once, whatever its lease says."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    holder = replace(this_process(NOW), pid=child.pid, started=1)
    child.kill()
    child.communicate()
    storage = held_by(asdict(holder))
    with backup_lock(storage, clock=lambda: NOW):
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

    def take() -> None:
        gate.wait()
        try:
            with backup_lock(storage):
                outcomes.append("held")
                done.wait(10)
        except LockHeldError:
            outcomes.append("refused")
        if len(outcomes) == 8:
            done.set()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("held") == 1
