"""Cutting streams into parts: any length fits, no byte is lost, nothing is held that changes."""

from collections.abc import Iterator
from itertools import accumulate, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.storage.options import S3Options
from backup_core.storage.parts import MAX_PARTS, cut, part_sizes

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40
DEFAULT = S3Options().part_size
CHUNKS = st.lists(st.binary(max_size=40), max_size=30)


def needed(total: int, sizes: Iterator[int]) -> int:
    """How many parts a stream of this length becomes."""
    return next(n for n, held in enumerate(accumulate(sizes), start=1) if held >= total)


@given(total=st.integers(1, 5 * TIB))
def test_any_object_fits_into_the_parts_that_s3_takes(total: int) -> None:
    """Up to 5 TiB, without knowing the length."""
    assert needed(total, part_sizes(DEFAULT)) <= MAX_PARTS


@given(total=st.integers(1, 40 * TIB))
def test_a_hint_makes_even_parts_that_suffice(total: int) -> None:
    """A length that is known needs no growth: every part may have the first one's size."""
    first = next(part_sizes(DEFAULT, total))
    assert first * MAX_PARTS >= total
    assert first == DEFAULT or (first - MIB) * MAX_PARTS < total


def test_the_usual_object_is_cut_evenly() -> None:
    """Servers that want parts of one size get them, up to twenty gigabytes."""
    sizes = part_sizes(DEFAULT)
    assert {next(sizes) for _ in range(1000)} == {DEFAULT}


@given(first=st.integers(5 * MIB, 5 * GIB), hint=st.none() | st.integers(0, 5 * TIB))
def test_sizes_are_those_that_s3_takes(first: int, hint: int | None) -> None:
    """Never under the size that was set, never over 5 GiB, never smaller than the one before."""
    sizes = list(part_sizes(first, hint))
    assert len(sizes) == MAX_PARTS
    assert first <= sizes[0]
    assert sizes == sorted(sizes)
    assert sizes[-1] <= 5 * GIB


@given(chunks=CHUNKS, sizes=st.lists(st.integers(1, 50), min_size=1))
def test_parts_joined_are_the_stream(chunks: list[bytes], sizes: list[int]) -> None:
    """Whatever the chunks, the parts have the sizes asked for and the bytes that came."""
    wanted = [*sizes, *[7] * 1200]
    parts = list(cut(chunks, iter(wanted)))
    assert b"".join(b"".join(part.chunks) for part in parts) == b"".join(chunks)
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert [part.size for part in parts[:-1]] == wanted[: len(parts) - 1]
    assert parts[-1].size <= wanted[len(parts) - 1]
    assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]


@given(chunks=CHUNKS, size=st.integers(1, 50))
def test_there_is_no_empty_part_behind_others(chunks: list[bytes], size: int) -> None:
    """A stream that ends where a part does ends with that part; only an empty one is empty."""
    parts = list(cut(chunks, repeat(size)))
    assert all(part.size for part in parts) or [part.size for part in parts] == [0]


@pytest.mark.parametrize("chunks", [[], [b""], [b"", b""]])
def test_an_empty_stream_is_one_empty_part(chunks: list[bytes]) -> None:
    """There is always something to put."""
    (part,) = cut(chunks, repeat(10))
    assert (part.number, part.size, part.last) == (1, 0, True)


def test_buffers_that_the_source_uses_again_are_copied() -> None:
    """A part is sent, and sent again, long after its source has filled the buffer anew."""
    buffer = bytearray(4)

    def source() -> Iterator[bytearray | memoryview]:
        buffer[:] = b"one."
        yield buffer
        buffer[:] = b"two."
        yield memoryview(buffer)
        buffer[:] = b"gone"

    parts = list(cut(source(), repeat(6)))
    assert [b"".join(part.chunks) for part in parts] == [b"one.tw", b"o."]


def test_the_stream_is_pulled_no_further_than_the_part_needs() -> None:
    """What a caller does not take stays with the source, which may be a server's backup."""
    pulled = []

    def source() -> Iterator[bytes]:
        for number in range(100):
            pulled.append(number)
            yield b"0123456789"

    next(cut(source(), repeat(50)))
    assert len(pulled) == 6
