"""The index of a backup's files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError
from backup_core.repository.index import (
    BackupIndex,
    IndexedFile,
    IndexedPart,
    parse_index,
    render_index,
)

COUNT = st.integers(0, 1 << 40)
TEXT = st.text(
    st.characters(codec="utf-8") | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)
)
FILE = st.builds(
    IndexedFile,
    path=TEXT,
    part=TEXT,
    offset=COUNT,
    size=COUNT,
    mode=COUNT,
    mtime=COUNT,
    sha256=TEXT,
)


@st.composite
def parts(draw: st.DrawFn) -> IndexedPart:
    """A part, whose frames have digests or, as early versions wrote it, do not."""
    frames = draw(st.lists(st.tuples(COUNT, COUNT), max_size=3))
    digests = draw(st.sampled_from([b"", bytes(range(32)) * len(frames)]))
    return IndexedPart(
        name=draw(TEXT),
        stored_size=draw(COUNT),
        tar_size=draw(COUNT),
        sha256=draw(TEXT),
        frames=tuple(frames),
        frame_digests=digests,
    )


INDEX = st.builds(
    BackupIndex,
    wal_segment_size=COUNT,
    files=st.lists(FILE, max_size=3).map(tuple),
    directories=st.lists(TEXT, max_size=3).map(tuple),
    parts=st.lists(parts(), max_size=3, unique_by=lambda part: part.name).map(tuple),
)


@given(index=INDEX)
def test_what_is_written_reads_back(index: BackupIndex) -> None:
    """File names that are not UTF-8 included."""
    assert parse_index(b"".join(render_index(index)), name="index") == index


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"version": 1}', b'{"version": 1, "files": 3}']
)
def test_anything_else_is_corrupt(data: bytes) -> None:
    """The error names the object."""
    with pytest.raises(CorruptError, match="the-index"):
        parse_index(data, name="the-index")


def test_a_newer_version_is_told_apart_from_damage() -> None:
    """A newer pitr can read it."""
    with pytest.raises(CorruptError, match="version 2") as caught:
        parse_index(b'{"version": 2}', name="index")
    assert caught.value.hint


def test_an_index_of_an_early_version_is_read() -> None:
    """It has no digests of frames; and one that has too few is damaged."""
    part = IndexedPart(name="p", stored_size=9, tar_size=9, sha256="", frames=((0, 0), (4, 4)))
    index = BackupIndex(wal_segment_size=1, files=(), directories=(), parts=(part,))
    rendered = b"".join(render_index(index))
    early = rendered.replace(b'"frame_digests": [],\n', b"")
    assert b"digests" not in early
    assert parse_index(early, name="index") == index
    with pytest.raises(CorruptError):
        parse_index(rendered.replace(b'digests": [', b'digests": [["p", "00"]'), name="index")
