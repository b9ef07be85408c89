"""Reading from a stream of chunks whose borders mean nothing.

Stores and decoders yield chunks of whatever size suits them; formats want exact counts. This is
the one place that reconciles the two, so that no other code concatenates bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backup_core.errors import CorruptError

CHUNK_SIZE = 1 << 20


class ChunkReader:
    """Hands out exact byte counts from an iterable of chunks, without copying large ones."""

    def __init__(self, chunks: Iterable[bytes], *, name: str) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")
        self._name = name
        self.position = 0
        """How many bytes were handed out."""

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Yield exactly `size` bytes in pieces; raises CorruptError if the stream ends before."""
        while size:
            if not self._rest and not self._refill():
                raise CorruptError(f"{self._name} ends early: {size} more bytes were expected")
            piece = self._rest[:size]
            self._rest = self._rest[len(piece) :]
            size -= len(piece)
            self.position += len(piece)
            yield piece

    def exactly(self, size: int) -> bytes:
        """Return exactly `size` bytes; raises CorruptError if the stream ends before."""
        return b"".join(self.pieces(size))

    def is_at_end(self) -> bool:
        """Tell whether nothing is left."""
        return not self._rest and not self._refill()

    def remainder(self) -> Iterator[memoryview]:
        """Yield everything that is left."""
        while self._rest or self._refill():
            piece, self._rest = self._rest, memoryview(b"")
            yield piece

    def _refill(self) -> bool:
        for chunk in self._chunks:
            if chunk:
                self._rest = memoryview(chunk)
                return True
        return False
