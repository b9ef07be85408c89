"""The loop over frames that all decoders share.

It yields bounded pieces whatever the ratio. An object cut off in mid-frame is an error, as is one
without a byte, or with bytes that belong to no frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from backup_core.errors import CorruptError
from backup_core.stream.chunks import CHUNK_SIZE


class Frame(Protocol):
    """A decompressor of one frame, as the standard library has them."""

    @property
    def eof(self) -> bool:
        """Whether the frame has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether there is no more output without more input."""

    @property
    def unused_data(self) -> bytes:
        """What was found after the frame's end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take input; return at most so many bytes."""


def decode_frames(
    chunks: Iterable[bytes],
    name: str,
    *,
    open_frame: Callable[[], Frame],
    error: type[Exception],
    unit: str,
    several: bool = True,
) -> Iterator[bytes]:
    """Decompress a frame, or several that follow each other, into pieces of at most 1 MiB.

    Raises CorruptError where the decompressor raises `error`, and for a `unit` that is cut off.
    """
    frame, ended = None, False
    for chunk in chunks:
        pending = chunk
        while pending or (frame is not None and not frame.needs_input):
            if frame is None and ended and not several:
                raise CorruptError(f"{name} is damaged: there are bytes after its {unit}")
            frame = frame or open_frame()
            try:
                piece = frame.decompress(pending, CHUNK_SIZE)
            except error as problem:
                raise CorruptError(f"{name} is damaged: {problem}") from None
            pending = b""
            if frame.eof:
                pending, frame, ended = frame.unused_data, None, True
            if piece:
                yield piece
    if frame is not None or not ended:
        raise CorruptError(f"{name} is cut off: its {unit} is not complete")
