"""What a codec wrote comes back as it was, or as an error; in pieces that fit into memory."""

import random
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import ConfigError, CorruptError
from backup_core.stream.chunks import CHUNK_SIZE
from backup_core.stream.compress import EXTENSIONS, compress, decode, encode, encoder
from tests.support.streams import SIZES, cut

MEBIBYTE = 1 << 20
NAME = "part_001.tar.zst"
TEXT = b"a relation's pages repeat themselves " * 8
CONTENT = st.lists(st.binary(max_size=300), max_size=5)


def decoded(data: bytes, borders: list[int] | None = None, *, extension: str = "zst") -> bytes:
    return b"".join(decode(cut(data, borders or []), extension=extension, name=NAME))


def zeros(mebibytes: int) -> Iterator[bytes]:
    piece = bytes(MEBIBYTE)
    return (piece for _ in range(mebibytes))


class TestRoundTrip:
    """Content is the same after encoding and decoding."""

    @pytest.mark.parametrize("method", EXTENSIONS)
    @given(content=CONTENT, borders=SIZES)
    def test_chunks_do_not_matter(
        self, method: str, content: list[bytes], borders: list[int]
    ) -> None:
        """Neither those of the writer nor those of the store."""
        stored = b"".join(encode(content, method=method, level=3))
        assert decoded(stored, borders, extension=EXTENSIONS[method]) == b"".join(content)

    @given(frames=CONTENT, borders=SIZES)
    def test_several_frames_are_one_stream(self, frames: list[bytes], borders: list[int]) -> None:
        """A partition is a series of frames."""
        stored = b"".join(compress(frame, method="zstd", level=1) for frame in [b"", *frames])
        assert decoded(stored, borders) == b"".join(frames)

    @given(frames=CONTENT)
    def test_each_frame_decodes_on_its_own(self, frames: list[bytes]) -> None:
        """Single files are fetched from the middle of a partition."""
        codec = encoder("zstd")
        for frame in frames:
            assert decoded(codec.encode(frame) + codec.end_frame()) == frame

    @pytest.mark.parametrize("level", [1, 3, 19])
    def test_every_level_reads_back(self, level: int) -> None:
        """The level is the writer's choice; no reader is told."""
        assert decoded(compress(TEXT, method="zstd", level=level)) == TEXT

    def test_an_empty_file_is_a_frame_and_no_empty_object(self) -> None:
        """An object without a byte is what a lost write leaves, so it must not mean anything."""
        stored = b"".join(encode([], method="zstd", level=3))
        assert stored
        assert decoded(stored) == b""


class TestDamage:
    """Whatever happens to an object, no wrong byte comes out as the file's."""

    STORED = b"".join(encode([TEXT, random.Random(1).randbytes(200)], method="zstd", level=3))
    WHOLE = decoded(STORED)

    def test_cut_off_anywhere_is_corrupt(self) -> None:
        """Even before the first byte; the error names the object."""
        for length in range(len(self.STORED)):
            with pytest.raises(CorruptError, match=f"^{NAME} "):
                decoded(self.STORED[:length])

    def test_no_flipped_bit_yields_other_bytes(self) -> None:
        """Each frame carries a checksum of its content."""
        undetected = set()
        for position in range(8 * len(self.STORED)):
            damaged = bytearray(self.STORED)
            damaged[position // 8] ^= 1 << position % 8
            with suppress(CorruptError):
                assert decoded(bytes(damaged)) == self.WHOLE, position
                undetected.add(position // 8)
        assert undetected <= set(range(6))  # bits of the frame's header that mean nothing here

    def test_a_wrong_checksum_is_corrupt(self) -> None:
        """The frame's last four bytes are compared, not passed over."""
        with pytest.raises(CorruptError, match="checksum"):
            decoded(self.STORED[:-1] + bytes([self.STORED[-1] ^ 1]))

    @given(garbage=st.binary(min_size=1, max_size=100))
    def test_garbage_is_corrupt(self, garbage: bytes) -> None:
        """Alone or after a whole frame."""
        for stored in (garbage, self.STORED + garbage):
            with pytest.raises(CorruptError):
                decoded(stored)

    def test_an_unknown_codec_is_named(self) -> None:
        """The hint says what can be read instead."""
        with pytest.raises(CorruptError, match=r'cannot be read: "\.lz4"') as caught:
            decode([], extension="lz4", name=NAME)
        assert caught.value.hint == "This version reads: zst."


def test_an_unknown_method_cannot_be_written() -> None:
    """It is a matter of configuration, found before anything is stored."""
    with pytest.raises(ConfigError, match='"lzma" is not available for writing') as caught:
        encoder("lzma")
    assert caught.value.hint == "Choose one of: zstd, none."


def test_memory_stays_small_whatever_the_ratio() -> None:
    """200 MB of zeros are a few kilobytes, and come out in pieces of a mebibyte at most."""
    stored = b"".join(encode(zeros(200), method="zstd", level=3))
    total = largest = 0
    tracemalloc.start()
    try:
        for piece in decode([stored], extension="zst", name=NAME):
            total += len(piece)
            largest = max(largest, len(piece))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(stored) < MEBIBYTE
    assert total == 200 * MEBIBYTE
    assert largest <= CHUNK_SIZE == MEBIBYTE
    assert peak < 8 * MEBIBYTE
