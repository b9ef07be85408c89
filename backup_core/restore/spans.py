"""Which ranges of which partitions bring the files that are wanted (pure).

A part is a series of frames that decode on their own, so a restore is cut into spans of some frames
each, and workers stay busy to the end, however few files there are. They take spans that are far
from each other, since only one at a time can write into a file. One file is a span of the frames
that it touches.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from backup_core.repository.index import BackupIndex, IndexedFile, IndexedPart
from backup_core.stream.digest import SIZE

_SMALLEST, _LARGEST = 8 << 20, 64 << 20
_SPANS_PER_WORKER = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameRange:
    """A frame: where it is in the object's content and in the tar, both ends, and its digest.

    The digest is empty where the index has none.
    """

    start: int
    stop: int
    tar_start: int
    tar_stop: int
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class Span:
    """Consecutive frames of a part, and the files of which they have bytes that are wanted."""

    part: str
    frames: tuple[FrameRange, ...]
    files: tuple[IndexedFile, ...]


def frame_ranges(part: IndexedPart) -> tuple[FrameRange, ...]:
    """The frames of a part, in their order."""
    ends = [*part.frames[1:], (part.stored_size, part.tar_size)]
    return tuple(
        FrameRange(
            start=start,
            stop=stop,
            tar_start=tar_start,
            tar_stop=tar_stop,
            digest=part.frame_digests[number * SIZE :][:SIZE],
        )
        for number, ((start, tar_start), (stop, tar_stop)) in enumerate(
            zip(part.frames, ends, strict=True)
        )
    )


def plan_spans(
    index: BackupIndex, wanted: Collection[str], *, workers: int, sequential: bool = False
) -> list[Span]:
    """The spans that together have every byte of the files `wanted`, in the order of their reading.

    Files without content are in none. `sequential` makes one span of a part, from its beginning on:
    where an object is decrypted from there anyhow.
    """
    by_part: dict[str, list[IndexedFile]] = {}
    for file in index.files:
        if file.size and file.path in wanted:
            by_part.setdefault(file.part, []).append(file)
    total = sum(file.size for files in by_part.values() for file in files)
    most = min(_LARGEST, max(_SMALLEST, total // (workers * _SPANS_PER_WORKER)))
    parts = sorted((part for part in index.parts if part.name in by_part), key=_by_size)
    spans = [
        span
        for part in parts
        for span in _cut(part, by_part[part.name], most=None if sequential else most)
    ]
    return spans if sequential else _dealt(spans, workers)


def _dealt(spans: list[Span], workers: int) -> list[Span]:
    """Let every worker go through a stretch of its own: the first of each, the second of each."""
    length = -(-len(spans) // workers)
    return [span for first in range(length) for span in spans[first::length]]


def frames_of(index: BackupIndex, file: IndexedFile) -> tuple[FrameRange, ...]:
    """The frames that a file with content touches."""
    part = next(part for part in index.parts if part.name == file.part)
    end = file.offset + file.size
    return tuple(
        frame
        for frame in frame_ranges(part)
        if frame.tar_start < end and frame.tar_stop > file.offset
    )


def _by_size(part: IndexedPart) -> tuple[int, str]:
    return -part.tar_size, part.name


def _cut(part: IndexedPart, files: Sequence[IndexedFile], most: int | None) -> Iterator[Span]:
    files = sorted(files, key=lambda file: file.offset)
    starts = [file.offset for file in files]
    frames = frame_ranges(part)
    touched = [(frame, _touching(frame, files, starts)) for frame in frames]
    if most is None:
        last = max(number for number, (_, found) in enumerate(touched) if found)
        yield _span(part, touched[: last + 1])
        return
    run: list[tuple[FrameRange, Sequence[IndexedFile]]] = []
    for frame, found in touched:
        if run and (not found or frame.tar_stop - run[0][0].tar_start > most):
            yield _span(part, run)
            run = []
        if found:
            run.append((frame, found))
    if run:
        yield _span(part, run)


def _touching(
    frame: FrameRange, files: Sequence[IndexedFile], starts: Sequence[int]
) -> Sequence[IndexedFile]:
    """The files with bytes in the frame: they follow each other, as in the tar."""
    first = max(0, bisect_right(starts, frame.tar_start) - 1)
    if first < len(files) and files[first].offset + files[first].size <= frame.tar_start:
        first += 1
    return files[first : bisect_right(starts, frame.tar_stop - 1)]


def _span(part: IndexedPart, run: Iterable[tuple[FrameRange, Sequence[IndexedFile]]]) -> Span:
    pairs = list(run)
    files = {file.path: file for _, found in pairs for file in found}
    return Span(
        part=part.name, frames=tuple(frame for frame, _ in pairs), files=tuple(files.values())
    )
