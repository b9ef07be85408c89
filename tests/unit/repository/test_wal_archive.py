"""The archived WAL: one listing and the arithmetic over it."""

import os
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError, NotFoundError, WalHeaderError
from backup_core.postgres.wal import LONG_HEADER_SIZE, WalKind, segment_name
from backup_core.repository.wal_archive import (
    WalObject,
    WalRange,
    find_wal,
    first_objects,
    latest_timeline,
    list_segments,
    list_wal,
    missing,
    ranges,
    read_header,
    read_history,
    read_wal,
    some_segment,
)
from backup_core.storage.memory import MemoryStorage
from backup_core.stream.compress import encode
from tests.support.segments import segment

MB = 1 << 20
NAME = "000000010000000000000002"


def archive(*keys: str) -> MemoryStorage:
    """A store that holds objects of these names below wal_005."""
    storage = MemoryStorage()
    for key in keys:
        storage.put(f"wal_005/{key}", [b"x"])
    return storage


def test_every_codec_and_kind_is_recognised() -> None:
    """The name tells the file, its extension the codec."""
    storage = archive(
        f"{NAME}.lz4", f"{NAME}.partial.zst", "00000002.history", f"{NAME}.00000028.backup.br"
    )
    found = {(item.wal.kind, item.extension) for item in list_wal(storage)}
    assert found == {
        (WalKind.SEGMENT, "lz4"),
        (WalKind.PARTIAL, "zst"),
        (WalKind.HISTORY, ""),
        (WalKind.BACKUP, "br"),
    }


def test_foreign_objects_are_passed_over() -> None:
    """WAL-G keeps deltas and JSON beside the WAL, and uploads leave pieces."""
    storage = archive(f"{NAME}_delta.zst", f"{NAME}.json", "notes.txt", f"{NAME}.zst_chunks/chunk1")
    assert list(list_wal(storage)) == []


def test_a_segment_is_not_taken_for_its_partial() -> None:
    """Their names begin alike."""
    assert find_wal(archive(f"{NAME}.partial.zst"), NAME) is None
    found = find_wal(archive(f"{NAME}.partial.zst", f"{NAME}.zst"), NAME)
    assert found is not None
    assert found.key == f"wal_005/{NAME}.zst"


def test_a_header_is_read_from_the_beginning_of_the_object() -> None:
    """And the whole file comes back as it was."""
    content = segment(NAME, size=MB)
    storage = MemoryStorage()
    storage.put(f"wal_005/{NAME}.zst", encode([content], method="zstd", level=1))
    found = find_wal(storage, NAME)
    assert found is not None
    assert read_header(storage, found).segment_size == MB
    assert b"".join(read_wal(storage, found)) == content


def test_a_timeline_without_its_history_is_an_error() -> None:
    """But the first has none."""
    assert read_history(MemoryStorage(), 1).switches == ()
    with pytest.raises(NotFoundError, match=r"00000002\.history"):
        read_history(MemoryStorage(), 2)


def test_a_missing_history_hides_what_is_above() -> None:
    """The server looks for the next one until there is none."""
    assert latest_timeline({2, 3, 5}, 1) == 3
    assert latest_timeline({2, 3, 5}, 4) == 5
    assert latest_timeline(set(), 7) == 7


@given(numbers=st.sets(st.integers(0, 40)), size=st.sampled_from([MB, 16 * MB, 1024 * MB]))
def test_ranges_hold_exactly_what_is_archived(numbers: set[int], size: int) -> None:
    """Consecutive segments make one range, also across a log id's end; the rest is missing."""
    storage = archive(*(f"{segment_name(1, number, size)}.zst" for number in numbers))
    objects: list[WalObject] = list(list_wal(storage))
    found = ranges(objects, size)
    spanned = [number for run in found for number in range(run.first, run.last + 1)]
    assert spanned == sorted(numbers)
    assert all(two.first > one.last + 1 for one, two in pairwise(found))
    names = {item.wal.name for item in objects}
    lacking = missing(names, 1, 0, 40, size)
    assert lacking == [segment_name(1, n, size) for n in range(41) if n not in numbers]


def test_a_range_counts_both_its_ends() -> None:
    """As people count."""
    assert WalRange(timeline=1, first=3, last=5).count == 3


@pytest.mark.parametrize("level", [1, 3, 19])
def test_the_header_of_a_segment_that_does_not_compress_is_found(level: int) -> None:
    """Its first compressed block is as large as blocks can be."""
    content = segment(NAME, size=MB)
    content = content[:LONG_HEADER_SIZE] + os.urandom(len(content) - LONG_HEADER_SIZE)
    storage = MemoryStorage()
    storage.put(f"wal_005/{NAME}.zst", encode([content], method="zstd", level=level))
    found = find_wal(storage, NAME)
    assert found is not None
    assert read_header(storage, found).segment_size == MB


@pytest.mark.parametrize("content", [b"", b"no timeline", b"\xff\xfe"])
def test_a_damaged_history_is_corrupt(content: bytes) -> None:
    """An object without a byte too, though an empty history would be a legal one."""
    storage = MemoryStorage()
    stored = [content] if content == b"" else encode([content], method="zstd", level=1)
    storage.put("wal_005/00000002.history.zst", stored)
    with pytest.raises(CorruptError):
        read_history(storage, 2)


@pytest.mark.parametrize("beginning", [b"", b"\0" * 100])
def test_a_segment_without_a_header_is_corrupt(beginning: bytes) -> None:
    """The error names the object."""
    storage = MemoryStorage()
    storage.put(f"wal_005/{NAME}", [beginning])
    found = find_wal(storage, NAME)
    assert found is not None
    with pytest.raises(WalHeaderError, match=f"wal_005/{NAME}"):
        read_header(storage, found)


def test_a_listing_can_begin_behind_a_name() -> None:
    """As a fetch looks for what comes next."""
    names = [segment_name(1, number, MB) for number in range(1, 5)]
    storage = archive(*(f"{name}.zst" for name in names))
    after = list_wal(storage, start_after=f"{names[1]}.zst")
    assert [found.wal.name for found in after] == names[2:]


@given(
    numbers=st.sets(st.integers(0, 40)),
    first=st.integers(0, 41),
    last=st.none() | st.integers(0, 45),
)
def test_segments_are_listed_from_one_to_another(
    numbers: set[int], first: int, last: int | None
) -> None:
    """Both included; what else bears their names, and other timelines, is left out."""
    storage = archive(*(f"{segment_name(1, number, 16 * MB)}.zst" for number in numbers))
    for name in (segment_name(1, 7, 16 * MB) + ".partial.zst", segment_name(2, 7, 16 * MB)):
        storage.put(f"wal_005/{name}", [b"x"])
    found = list_segments(storage, 1, first, 16 * MB, last=last)
    end = 40 if last is None else last
    assert [item.wal.segment_number(16 * MB) for item in found] == [
        number for number in sorted(numbers) if first <= number <= end
    ]


def test_a_segment_without_a_codec_is_the_first_of_a_list_too() -> None:
    """Its key is its very name."""
    [found] = list_segments(archive(NAME), 1, 2, 16 * MB)
    assert found.wal.name == NAME


def test_each_timeline_is_found_by_its_first_object() -> None:
    """That is its history, where it was archived."""
    storage = archive(
        *("00000002.history.zst", "00000004.history", "000000040000000000000009.zst"),
        *(f"{segment_name(timeline, 7, MB)}.zst" for timeline in (1, 2, 3)),
        f"{segment_name(3, 8, MB)}.zst",
    )
    found = [(item.wal.timeline, item.wal.kind) for item in first_objects(storage)]
    assert found == [
        (1, WalKind.SEGMENT),
        (2, WalKind.HISTORY),
        (3, WalKind.SEGMENT),
        (4, WalKind.HISTORY),
    ]


def test_some_segment_is_of_the_newest_timeline_that_has_one() -> None:
    """A history alone is none, nor is a .partial."""
    storage = archive(
        *("00000002.history.zst", "00000003.history", f"{NAME}.zst"),
        f"{segment_name(2, 7, MB)}.zst",
        f"{segment_name(3, 7, MB)}.partial.zst",
    )
    found = some_segment(storage, list(first_objects(storage)))
    assert found is not None
    assert found.wal.name == segment_name(2, 7, MB)
    assert some_segment(MemoryStorage(), []) is None


def test_ranges_do_not_depend_on_the_order_of_the_listing() -> None:
    """Nor on a segment that is there under two codecs."""
    numbers = (9, 3, 2, 2, 5, 1, 3)
    names = [f"{segment_name(1, number, MB)}" for number in numbers]
    objects = [
        next(list_wal(archive(f"{name}.{extension}")))
        for name, extension in zip(
            names, ("zst", "lz4", "zst", "br", "gz", "zst", "zst"), strict=True
        )
    ]
    assert [(run.first, run.last) for run in ranges(objects, MB)] == [(1, 3), (5, 5), (9, 9)]
