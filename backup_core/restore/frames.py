"""The bytes of a span, proven frame by frame before they are used.

A frame's stored bytes are held against their digest, then decoded; a zstd frame has a checksum of
its content besides. What that proves, and what a digest of the restored files would add:
docs/decisions/restore-digests.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing

from backup_core.errors import CorruptError
from backup_core.repository import layout
from backup_core.restore.spans import FrameRange
from backup_core.storage.base import Storage
from backup_core.stream.chunks import CHUNK_SIZE, ChunkReader
from backup_core.stream.compress import decode
from backup_core.stream.digest import Algorithm
from backup_core.stream.whole_frame import WholeFrames

_HINT = "The stored backup is damaged; restore an older one."


def read_frames(
    storage: Storage, key: str, frames: Sequence[FrameRange], algorithm: Algorithm
) -> Iterator[tuple[int, memoryview]]:
    """Yield the tar bytes of consecutive frames, in pieces, each with its offset in the tar.

    The algorithm is that of the frames' digests. A piece holds until the next one is asked for, and
    is at most 1 MiB. Raises CorruptError for a frame that is not what the index says.
    """
    chunks = storage.get(key, start=frames[0].start, stop=frames[-1].stop)
    reader = ChunkReader(chunks, name=key)
    with closing(WholeFrames()) as whole:
        for frame in frames:
            yield from _content(reader, key, frame, algorithm, whole)


def _content(
    reader: ChunkReader, key: str, frame: FrameRange, algorithm: Algorithm, whole: WholeFrames
) -> Iterator[tuple[int, memoryview]]:
    size = frame.stop - frame.start
    if not frame.digest:
        return _streamed(map(bytes, reader.pieces(size)), key, frame)
    stored = _proven(reader.exactly(size), key, frame, algorithm)
    if whole.can_decode(layout.extension_of(key), frame.tar_stop - frame.tar_start):
        return _at_once(stored, key, frame, whole)
    return _streamed([stored], key, frame)


def _at_once(
    stored: bytes, key: str, frame: FrameRange, whole: WholeFrames
) -> Iterator[tuple[int, memoryview]]:
    size = frame.tar_stop - frame.tar_start
    content = whole.decode(stored, size=size, name=key)
    for start in range(0, size, CHUNK_SIZE):
        yield frame.tar_start + start, content[start : start + CHUNK_SIZE]


def _streamed(
    stored: Iterable[bytes], key: str, frame: FrameRange
) -> Iterator[tuple[int, memoryview]]:
    position = frame.tar_start
    for piece in decode(stored, extension=layout.extension_of(key), name=key):
        if position + len(piece) > frame.tar_stop:
            raise _mismatch(key, frame)
        yield position, memoryview(piece)
        position += len(piece)
    if position != frame.tar_stop:
        raise _mismatch(key, frame)


def _proven(stored: bytes, key: str, frame: FrameRange, algorithm: Algorithm) -> bytes:
    if algorithm.new(stored).digest() != frame.digest:
        raise CorruptError(
            f"{key} does not have the content that was backed up: the digest of its bytes from "
            f"{frame.start} to {frame.stop} differs",
            hint=_HINT,
        )
    return stored


def _mismatch(key: str, frame: FrameRange) -> CorruptError:
    return CorruptError(
        f"{key} does not decode to what its index says, from byte {frame.start} on", hint=_HINT
    )
