"""What commands ask of a repository with 100,000 segments: one listing, and a handful of keys."""

import argparse
from bisect import bisect_left
from collections.abc import Iterator

import pytest

from backup_core.cli import backup_list, wal_show
from backup_core.config import Loaded, Settings
from backup_core.repository import layout
from backup_core.repository.identity import claim_repository
from backup_core.storage.base import ObjectInfo
from backup_core.storage.memory import MemoryStorage
from tests.support.backups import BACKUP, store
from tests.support.segments import SYSTEM_IDENTIFIER

SEGMENTS = 100_000
KEYS = [
    layout.wal(f"{1:08X}{number // 256:08X}{number % 256:08X}", "zst")
    for number in range(1, SEGMENTS + 1)
]


class Archive(MemoryStorage):
    """Has the segments beside what is stored in it, and counts the keys that it lists."""

    def __init__(self) -> None:
        super().__init__()
        self.listed: list[int] = []

    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> Iterator[ObjectInfo]:
        """List, counting the keys that the caller takes."""
        call = len(self.listed)
        self.listed.append(0)
        for info in self._found(prefix, delimiter, start_after):
            self.listed[call] += 1
            yield info

    def _found(
        self, prefix: str, delimiter: str | None, start_after: str | None
    ) -> Iterator[ObjectInfo]:
        if not prefix.startswith(layout.WAL):
            yield from super().list(prefix, delimiter=delimiter, start_after=start_after)
            return
        for key in KEYS[bisect_left(KEYS, max(prefix, f"{start_after or ''}\0")) :]:
            if not key.startswith(prefix):
                return
            yield ObjectInfo(key=key, size=1000, modified=None)


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Archive:
    """A repository with a backup, that the commands open."""
    storage = Archive()
    claim_repository(storage, SYSTEM_IDENTIFIER, 16 << 20)
    store(storage, BACKUP)
    loaded = Loaded(settings=Settings(repository="memory:"), origins={})
    for command in (backup_list, wal_show):
        monkeypatch.setattr(command, "load_settings", lambda _: loaded)
        monkeypatch.setattr(command, "open_repository", lambda _: storage)
    return storage


def test_wal_show_lists_the_wal_once(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    """What else it asks for stops at the first key."""
    assert wal_show.run(argparse.Namespace(json=False)) == 0
    assert f"{SEGMENTS} segments" in capsys.readouterr().out
    assert max(archive.listed) == SEGMENTS
    assert sum(archive.listed) <= SEGMENTS + 5


def test_backup_list_lists_no_wal(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    """Only backups."""
    assert backup_list.run(argparse.Namespace(json=False)) == 0
    assert BACKUP.name in capsys.readouterr().out
    assert sum(archive.listed) < 10
