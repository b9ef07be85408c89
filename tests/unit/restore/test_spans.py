"""Spans cover the files that are wanted, and nothing that is not, whatever the sizes are."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from backup_core.repository.index import BackupIndex, IndexedFile, IndexedPart
from backup_core.restore.spans import Span, frame_ranges, plan_spans
from backup_core.stream.digest import WRITTEN

UNIT = 1 << 20


@st.composite
def indexes(draw: st.DrawFn) -> BackupIndex:
    """Parts of some files and frames; sizes in MiB, so that a part has one span or many."""
    parts: list[IndexedPart] = []
    files: list[IndexedFile] = []
    for number in range(draw(st.integers(1, 4))):
        name = f"part_{number:03d}.tar.zst"
        offset = 1
        for size in draw(st.lists(st.integers(0, 40), max_size=6)):
            files.append(indexed(f"{number}/{len(files)}", name, offset * UNIT, size * UNIT))
            offset += size + draw(st.integers(0, 2))
        edges = draw(st.sets(st.integers(1, offset), max_size=12)) - {offset}
        parts.append(
            IndexedPart(
                name=name,
                stored_size=offset,
                tar_size=offset * UNIT,
                sha256="",
                frames=tuple((edge, edge * UNIT) for edge in sorted({0} | edges)),
            )
        )
    return index_of(files, parts)


def index_of(files: Sequence[IndexedFile], parts: Sequence[IndexedPart]) -> BackupIndex:
    """An index of these; nothing here is digested."""
    return BackupIndex(
        wal_segment_size=1,
        algorithm=WRITTEN,
        files=tuple(files),
        directories=(),
        parts=tuple(parts),
    )


def indexed(path: str, part: str, offset: int, size: int) -> IndexedFile:
    """A row of the index, of which only the place matters here."""
    return IndexedFile(
        path=path, part=part, offset=offset, size=size, mode=0o600, mtime=0, digest=""
    )


def covered(span: Span, file: IndexedFile) -> int:
    """How many of a file's bytes are in the span's frames."""
    start, stop = span.frames[0].tar_start, span.frames[-1].tar_stop
    return max(0, min(stop, file.offset + file.size) - max(start, file.offset))


@given(index=indexes(), workers=st.integers(1, 9), data=st.data())
def test_every_wanted_byte_is_in_one_span(
    index: BackupIndex, workers: int, data: st.DataObject
) -> None:
    """And a span names exactly the wanted files that it has bytes of, in the order of the tar."""
    wanted = {file.path for file in index.files if data.draw(st.booleans())}
    spans = plan_spans(index, wanted, workers=workers)
    for file in index.files:
        found = [covered(span, file) for span in spans if file in span.files]
        assert sum(found) == (file.size if file.path in wanted else 0)
        assert all(found)
    for span in spans:
        assert span.files
        assert [file.offset for file in span.files] == sorted(file.offset for file in span.files)
        ends = zip(span.frames, span.frames[1:], strict=False)
        assert all(one.stop == other.start for one, other in ends)


@given(index=indexes())
def test_a_store_that_is_read_from_the_beginning_has_one_span_a_part(index: BackupIndex) -> None:
    """It begins where the object does and ends with the last frame that is needed."""
    wanted = {file.path for file in index.files}
    spans = plan_spans(index, wanted, workers=2, sequential=True)
    assert len({span.part for span in spans}) == len(spans)
    assert all(span.frames[0].start == 0 for span in spans)
    for file in index.files:
        assert sum(covered(span, file) for span in spans if file in span.files) == file.size


def one_large_file() -> tuple[IndexedFile, BackupIndex]:
    """A file of 1 GiB in a part of its own."""
    file = indexed("base/1/1", "part_001.tar.zst", 512, 1 << 30)
    frames = tuple((number, number * 4 * UNIT) for number in range(257))
    part = IndexedPart(
        name=file.part, stored_size=257, tar_size=1028 * UNIT, sha256="", frames=frames
    )
    index = index_of([file], [part])
    return file, index


def test_one_large_file_is_cut_for_all_workers() -> None:
    """No worker has to wait for another to end with a file of its own."""
    file, index = one_large_file()
    assert len(plan_spans(index, {file.path}, workers=4)) >= 16


def test_workers_begin_far_from_each_other() -> None:
    """Only one at a time can write into a file, so each goes through a stretch of its own."""
    file, index = one_large_file()
    spans = plan_spans(index, {file.path}, workers=4)
    begins = [span.frames[0].tar_start for span in spans[:4]]
    assert begins == sorted(begins)
    assert min(b - a for a, b in pairwise(begins)) > file.size // 5


def test_the_digests_of_frames_are_in_their_order() -> None:
    """The index has them as one row of bytes."""
    digests = bytes(range(64))
    part = IndexedPart(
        name="p",
        stored_size=20,
        tar_size=50,
        sha256="",
        frames=((0, 0), (12, 30)),
        frame_digests=digests,
    )
    first, second = frame_ranges(part)
    assert (first.stop, first.tar_stop, first.digest) == (12, 30, digests[:32])
    assert (second.stop, second.tar_stop, second.digest) == (20, 50, digests[32:])
