"""The tar of a partition, cut into frames as it is read.

File content is read straight into the frame that is compressed next, without a copy on the way, and
a frame's memory is used again once it has been compressed: the kernel would have to clear fresh
memory for each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from backup_core.stream.chunks import CHUNK_SIZE

FRAME_SIZE = 4 << 20
_CAPACITY = FRAME_SIZE + CHUNK_SIZE


class Frame:
    """Some consecutive bytes of a tar; `release` gives the memory back when they are used."""

    def __init__(self, memory: memoryview, spare: deque[memoryview]) -> None:
        self._memory = memory
        self._spare = spare
        self.size = 0

    @property
    def content(self) -> memoryview:
        """What is in the frame."""
        return self._memory[: self.size]

    def room(self, most: int) -> memoryview:
        """Where at most so many of the next bytes go, of which `size` does not know yet."""
        return self._memory[self.size : self.size + min(most, CHUNK_SIZE)]

    def release(self) -> None:
        """Let another frame have the memory; the content must not be used any more."""
        self._spare.append(self._memory)


class FrameMemory:
    """Memory for frames, of which there are only as many as are under way at a time."""

    def __init__(self) -> None:
        self._spare: deque[memoryview] = deque()

    def frame(self) -> Frame:
        """An empty frame."""
        try:
            memory = self._spare.pop()
        except IndexError:
            memory = memoryview(bytearray(_CAPACITY))
        return Frame(memory, self._spare)


class Packer:
    """Fills frames one after the other; those it yields are full, but for the `rest` at the end."""

    def __init__(self, memory: FrameMemory) -> None:
        self._memory = memory
        self._frame = memory.frame()
        self.size = 0

    def put(self, data: bytes) -> Iterator[Frame]:
        """Append bytes that are at hand."""
        for start in range(0, len(data), CHUNK_SIZE):
            piece = data[start : start + CHUNK_SIZE]
            self.room(len(piece))[:] = piece
            yield from self.filled(len(piece))

    def room(self, most: int) -> memoryview:
        """Where to write at most `most` of the next bytes, at least one and at most 1 MiB."""
        return self._frame.room(most)

    def filled(self, size: int) -> Iterator[Frame]:
        """Take note that so many bytes were written into the room."""
        self.size += size
        self._frame.size += size
        if self._frame.size >= FRAME_SIZE:
            full, self._frame = self._frame, self._memory.frame()
            yield full

    def rest(self) -> Iterator[Frame]:
        """The last frame, which is not full."""
        if self._frame.size:
            yield self._frame
        else:
            self._frame.release()
