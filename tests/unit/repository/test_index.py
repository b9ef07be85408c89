"""The index of a backup's files."""

import json
from dataclasses import replace

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
from backup_core.stream.digest import Algorithm

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
    digest=TEXT,
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
    algorithm=st.sampled_from(Algorithm),
    files=st.lists(FILE, max_size=3).map(tuple),
    directories=st.lists(TEXT, max_size=3).map(tuple),
    parts=st.lists(parts(), max_size=3, unique_by=lambda part: part.name).map(tuple),
)


EMPTY = BackupIndex(
    wal_segment_size=1, algorithm=Algorithm.BLAKE3, files=(), directories=(), parts=()
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
    with pytest.raises(CorruptError, match="version 3") as caught:
        parse_index(b'{"version": 3}', name="index")
    assert caught.value.hint


def test_an_index_that_names_no_algorithm_has_sha256() -> None:
    """Version 1 knew nothing else."""
    early = b'{"version": 1, "wal_segment_size": 1, "parts": [], "directories": [], "files": []}'
    assert parse_index(early, name="index").algorithm is Algorithm.SHA256


@pytest.mark.parametrize("named", ["xxh3", "", 3, ["blake3"]])
def test_an_unknown_algorithm_is_told_apart_from_damage(named: object) -> None:
    """Nothing is proved by digests that nobody here can make."""
    rendered = b"".join(render_index(EMPTY)).replace(b'"blake3"', json.dumps(named).encode())
    with pytest.raises(CorruptError, match="the-index has digests by") as caught:
        parse_index(rendered, name="the-index")
    assert caught.value.hint


def test_an_index_of_an_early_version_is_read() -> None:
    """It has no digests of frames; and one that has too few is damaged."""
    part = IndexedPart(name="p", stored_size=9, tar_size=9, sha256="", frames=((0, 0), (4, 4)))
    index = replace(EMPTY, parts=(part,))
    rendered = b"".join(render_index(index))
    early = rendered.replace(b'"frame_digests": [],\n', b"")
    assert b"digests" not in early
    assert parse_index(early, name="index") == index
    with pytest.raises(CorruptError):
        parse_index(rendered.replace(b'digests": [', b'digests": [["p", "00"]'), name="index")
