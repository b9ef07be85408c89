"""What a restore learns of the archived WAL, and that it looks no further than it must."""

from collections.abc import Iterator

import pytest

from backup_core.errors import PitrError
from backup_core.postgres.wal import segment_name
from backup_core.repository.wal_archive import WalRange
from backup_core.restore.preflight import read_archive, read_segment_size
from backup_core.storage.base import ObjectInfo
from backup_core.storage.memory import MemoryStorage
from tests.support.segments import segment

MEBIBYTE = 1 << 20


class Listed(MemoryStorage):
    """A store that notes which keys were listed."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[str] = []

    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> Iterator[ObjectInfo]:
        """List, and note each key that is asked for."""
        for info in super().list(prefix, delimiter=delimiter, start_after=start_after):
            self.keys.append(info.key)
            yield info


def archive(*names: str) -> Listed:
    """A store that holds WAL files of these names."""
    storage = Listed()
    for name in names:
        storage.put(f"wal_005/{name}", [b"x"])
    return storage


def segments(timeline: int, *numbers: int) -> list[str]:
    return [segment_name(timeline, number, MEBIBYTE) for number in numbers]


def run(timeline: int, first: int, last: int) -> WalRange:
    return WalRange(timeline=timeline, first=first, last=last)


def test_timelines_are_those_with_a_history() -> None:
    """Up to the first that is missing, as the server looks for them."""
    found = read_archive(archive("00000002.history", "00000004.history", *segments(3, 1)))
    assert found.timelines == {2, 4}
    assert found.latest_from(1) == 2


def test_the_end_of_a_timeline_is_looked_for_from_the_backup_on() -> None:
    """What is before it stays unlisted."""
    storage = archive(*segments(1, 1, 2, 3, 4, 5, 6, 8), *segments(2, 8, 9))
    found = read_archive(storage)
    storage.keys.clear()
    assert found.runs_from(MEBIBYTE)(1, 5) == [run(1, 5, 6), run(1, 8, 8)]
    assert storage.keys == [f"wal_005/{name}" for name in segments(1, 5, 6, 8)]


def test_a_timeline_without_wal_has_no_runs() -> None:
    """There is nothing to be replayed on it."""
    found = read_archive(archive(*segments(1, 1, 2)))
    assert found.runs_from(MEBIBYTE)(1, 3) == []
    assert found.runs_from(MEBIBYTE)(2, 3) == []


def test_the_wal_of_a_span_is_told_in_runs() -> None:
    """Those that were seen on the way to the end are not listed again."""
    storage = archive(*segments(1, 4, 5, 7, 8, 9))
    found = read_archive(storage)
    span = WalRange(timeline=1, first=4, last=8)
    assert list(found.numbers(MEBIBYTE)(span)) == [run(1, 4, 5), run(1, 7, 8)]
    found.runs_from(MEBIBYTE)(1, 4)
    storage.keys.clear()
    assert list(found.numbers(MEBIBYTE)(span)) == [run(1, 4, 5), run(1, 7, 9)]
    assert storage.keys == []


def test_the_end_seen_from_later_on_does_not_stand_for_what_is_before() -> None:
    """A span that begins earlier is listed."""
    found = read_archive(archive(*segments(1, 4, 5, 7)))
    found.runs_from(MEBIBYTE)(1, 7)
    span = WalRange(timeline=1, first=4, last=7)
    assert list(found.numbers(MEBIBYTE)(span)) == [run(1, 4, 5), run(1, 7, 7)]


def test_a_gap_behind_a_span_is_seen_and_the_end_of_the_archive_is_none() -> None:
    """The server must not read ahead into the one, and may into the other."""
    found = read_archive(archive(*segments(1, 4, 5, 7)))
    assert not found.has_gap_after(run(1, 4, 4), MEBIBYTE)
    assert found.has_gap_after(run(1, 4, 5), MEBIBYTE)
    assert not found.has_gap_after(run(1, 4, 7), MEBIBYTE)


def test_without_an_index_a_segment_tells_the_size() -> None:
    """Backups that other tools wrote have none."""
    storage = archive("00000002.history")
    name = segment_name(1, 3, MEBIBYTE)
    storage.put(f"wal_005/{name}", [segment(name, size=MEBIBYTE)])
    assert read_segment_size(storage, read_archive(storage), None) == MEBIBYTE


def test_without_any_segment_the_size_cannot_be_told() -> None:
    """Then no backup can be restored either."""
    storage = archive("00000002.history")
    with pytest.raises(PitrError, match="holds no WAL segment"):
        read_segment_size(storage, read_archive(storage), None)
