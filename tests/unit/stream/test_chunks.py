"""Exact byte counts come out of a stream, however it is chunked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError
from backup_core.stream.chunks import ChunkReader
from tests.support.streams import SIZES, cut

DATA = bytes(range(256)) * 4


@given(borders=SIZES, wanted=SIZES)
def test_borders_of_chunks_do_not_show(borders: list[int], wanted: list[int]) -> None:
    """Counts asked for one after the other come out exactly, in the order of the stream."""
    reader = ChunkReader(cut(DATA, borders), name="the stream")
    at = 0
    for size in wanted:
        if at + size > len(DATA):
            break
        assert reader.exactly(size) == DATA[at : at + size]
        at += size


@given(borders=SIZES, taken=st.integers(0, len(DATA)))
def test_the_remainder_is_what_was_not_taken(borders: list[int], taken: int) -> None:
    """Nothing is lost or repeated between a count and the rest."""
    reader = ChunkReader(cut(DATA, borders), name="the stream")
    assert reader.exactly(taken) + b"".join(reader.remainder()) == DATA


@given(borders=SIZES, more=st.integers(1, 1 << 40))
def test_a_stream_that_ends_early_is_corrupt(borders: list[int], more: int) -> None:
    """The error names the stream and says how much was to come."""
    reader = ChunkReader(cut(DATA, borders), name="part_001.tar")
    with pytest.raises(CorruptError, match=rf"^part_001.tar ends early: {more} more bytes"):
        reader.exactly(len(DATA) + more)


def test_nothing_is_read_for_a_count_of_zero() -> None:
    """An empty file at the end of an archive needs no more of the stream."""
    assert ChunkReader([], name="the stream").exactly(0) == b""


def test_pieces_are_views_of_the_chunks() -> None:
    """Large content is handed on, not copied."""
    chunk = bytes(1000)
    reader = ChunkReader([chunk, chunk], name="the stream")
    assert [piece.obj is chunk for piece in reader.pieces(1500)] == [True, True]


def test_chunks_are_pulled_only_when_they_are_needed() -> None:
    """A reader of a header does not draw the rest of a backup from the store."""
    chunks = iter([b"head", b"tail"])
    ChunkReader(chunks, name="the stream").exactly(4)
    assert list(chunks) == [b"tail"]
