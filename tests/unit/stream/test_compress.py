"""What a codec wrote comes back as it was, or as an error; in pieces that fit into memory."""

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import ConfigError, CorruptError
from backup_core.stream.chunks import CHUNK_SIZE
from backup_core.stream.compress import (
    EXTENSIONS,
    FRAMED,
    compress,
    decode,
    encode,
    encode_pieces,
    encoder,
    head_size,
)
from tests.support.streams import SIZES, cut
from tests.unit.stream.samples import CONTENT, STORED, TEXT, UNCHECKED, lzop_file

MEBIBYTE = 1 << 20
NAME = "part_001.tar"
CHUNKS = st.lists(st.binary(max_size=300), max_size=5)
SINGLE = [method for method in EXTENSIONS if method not in FRAMED]

each_method = pytest.mark.parametrize("method", EXTENSIONS)
each_format = pytest.mark.parametrize("extension", STORED)


def decoded(data: bytes, borders: list[int] | None = None, *, extension: str = "zst") -> bytes:
    return b"".join(decode(cut(data, borders or []), extension=extension, name=NAME))


def zeros(mebibytes: int) -> Iterator[bytes]:
    piece = bytes(MEBIBYTE)
    return (piece for _ in range(mebibytes))


class TestRoundTrip:
    """Content is the same after encoding and decoding."""

    @each_method
    @given(content=CHUNKS, borders=SIZES)
    def test_chunks_do_not_matter(
        self, method: str, content: list[bytes], borders: list[int]
    ) -> None:
        """Neither those of the writer nor those of the store."""
        stored = b"".join(encode(content, method=method, level=3))
        assert decoded(stored, borders, extension=EXTENSIONS[method]) == b"".join(content)

    @each_format
    @given(borders=SIZES)
    def test_chunks_do_not_matter_to_any_reader(self, extension: str, borders: list[int]) -> None:
        """Also to those of formats that are only read."""
        assert decoded(STORED[extension], borders, extension=extension) == CONTENT

    @each_method
    def test_a_writer_may_reuse_its_buffer(self, method: str) -> None:
        """An encoder keeps nothing of a chunk that it has taken."""
        content = random.Random(3).randbytes(3 * MEBIBYTE)
        buffer = bytearray(CHUNK_SIZE)

        def chunks() -> Iterator[memoryview]:
            for start in range(0, len(content), CHUNK_SIZE):
                buffer[:] = content[start : start + CHUNK_SIZE]
                yield memoryview(buffer)

        stored = b"".join(encode(chunks(), method=method, level=3))
        assert decoded(stored, extension=EXTENSIONS[method]) == content

    @each_method
    @given(frames=CHUNKS)
    def test_each_frame_decodes_on_its_own(self, method: str, frames: list[bytes]) -> None:
        """Single files are fetched from the middle of a partition."""
        codec = encoder(method)
        for frame in frames:
            stored = codec.encode(frame) + codec.end_frame()
            assert decoded(stored, extension=EXTENSIONS[method]) == frame

    @pytest.mark.parametrize("method", FRAMED)
    @given(frames=CHUNKS, borders=SIZES)
    def test_several_frames_are_one_stream(
        self, method: str, frames: list[bytes], borders: list[int]
    ) -> None:
        """A partition is a series of frames, where the codec allows."""
        stored = b"".join(compress(frame, method=method, level=1) for frame in [b"", *frames])
        assert decoded(stored, borders, extension=EXTENSIONS[method]) == b"".join(frames)

    @pytest.mark.parametrize("method", SINGLE)
    def test_a_stream_is_one_frame(self, method: str) -> None:
        """Stock WAL-G reads no second one; a stream of several blocks is no series of frames."""
        content = random.Random(4).randbytes(MEBIBYTE >> 4) * (9 << 4)
        stream = b"".join(encode(cut(content, [MEBIBYTE] * 8), method=method, level=3))
        assert stream == compress(content, method=method, level=3)

    @pytest.mark.parametrize("level", [1, 3, 19])
    def test_every_level_reads_back(self, level: int) -> None:
        """The level is the writer's choice; no reader is told."""
        assert decoded(compress(TEXT, method="zstd", level=level)) == TEXT

    @pytest.mark.parametrize("method", [method for method in EXTENSIONS if method != "none"])
    def test_an_empty_file_is_a_frame_and_no_empty_object(self, method: str) -> None:
        """An object without a byte is what a lost write leaves, so it must not mean anything."""
        stored = b"".join(encode([], method=method, level=3))
        assert stored
        assert decoded(stored, extension=EXTENSIONS[method]) == b""


class TestDamage:
    """Whatever happens to an object, no wrong byte comes out as the file's."""

    @each_format
    def test_cut_off_anywhere_is_corrupt(self, extension: str) -> None:
        """Even before the first byte; the error names the object."""
        stored = STORED[extension]
        for length in range(len(stored)):
            with pytest.raises(CorruptError, match=f"^{NAME} "):
                decoded(stored[:length], extension=extension)

    @pytest.mark.parametrize("extension", [each for each in STORED if each not in UNCHECKED])
    def test_no_flipped_bit_yields_other_bytes(self, extension: str) -> None:
        """Formats with a checksum have it compared; few bits mean nothing and may be anything."""
        stored = STORED[extension]
        undetected = set()
        for position in range(8 * len(stored)):
            damaged = bytearray(stored)
            damaged[position // 8] ^= 1 << position % 8
            with suppress(CorruptError):
                assert decoded(bytes(damaged), extension=extension) == CONTENT, position
                undetected.add(position // 8)
        assert len(undetected) <= 12

    @pytest.mark.parametrize("extension", UNCHECKED)
    def test_without_a_checksum_a_flipped_bit_is_no_worse_than_other_bytes(
        self, extension: str
    ) -> None:
        """Neither a crash, nor a hang, nor more than the content could be."""
        stored = STORED[extension]
        for position in range(8 * len(stored)):
            damaged = bytearray(stored)
            damaged[position // 8] ^= 1 << position % 8
            with suppress(CorruptError):
                assert len(decoded(bytes(damaged), extension=extension)) <= 64 * len(CONTENT)

    @pytest.mark.parametrize(
        ("extension", "place"), [("zst", -1), ("lz4", -1), ("gz", -5), ("gz", -1)]
    )
    def test_a_wrong_checksum_or_length_at_the_end_is_corrupt(
        self, extension: str, place: int
    ) -> None:
        """The frame's last bytes are compared, not passed over."""
        damaged = bytearray(STORED[extension])
        damaged[place] ^= 1
        with pytest.raises(CorruptError, match=f"^{NAME} is damaged"):
            decoded(bytes(damaged), extension=extension)

    @each_format
    @given(garbage=st.binary(min_size=1, max_size=100))
    def test_garbage_after_the_end_is_corrupt(self, extension: str, garbage: bytes) -> None:
        """It is no padding, even if it is zeros."""
        for tail in (garbage, bytes(len(garbage))):
            with pytest.raises(CorruptError):
                decoded(STORED[extension] + tail, extension=extension)

    @pytest.mark.parametrize("extension", [each for each in STORED if each not in UNCHECKED])
    @given(garbage=st.binary(min_size=1, max_size=100))
    def test_garbage_is_corrupt(self, extension: str, garbage: bytes) -> None:
        """Formats with a magic are told by it."""
        with pytest.raises(CorruptError):
            decoded(garbage, extension=extension)

    @pytest.mark.parametrize("extension", ["zst", "lz4", "gz"])
    def test_files_joined_by_their_programs_users_are_read(self, extension: str) -> None:
        """Where the format's own program reads several frames as one file."""
        assert decoded(2 * STORED[extension], extension=extension) == 2 * CONTENT

    @pytest.mark.parametrize("extension", ["br", "lzma", "lzo"])
    def test_a_second_stream_is_corrupt(self, extension: str) -> None:
        """Where an archive never holds one."""
        with pytest.raises(CorruptError, match="damaged"):
            decoded(2 * STORED[extension], extension=extension)

    def test_an_unknown_codec_is_named(self) -> None:
        """The hint says what can be read instead."""
        with pytest.raises(CorruptError, match=r'cannot be read: "\.bz2"') as caught:
            decode([], extension="bz2", name=NAME)
        assert caught.value.hint == "This version reads: zst, lz4, br, lzma, gz, lzo."


@pytest.mark.parametrize("method", ["gzip", "lzo", "zip"])
def test_an_unknown_method_cannot_be_written(method: str) -> None:
    """It is a matter of configuration, found before anything is stored."""
    with pytest.raises(ConfigError, match=f'"{method}" is not available for writing') as caught:
        encoder(method)
    assert caught.value.hint == "Choose one of: zstd, lz4, brotli, lzma, none."


@each_format
@pytest.mark.parametrize("zeros_in_16", [0, 1, 6, 8])
def test_the_head_of_an_object_gives_its_first_page(extension: str, zeros_in_16: int) -> None:
    """A segment's header is read without fetching the segment, even if that compresses badly."""
    blocks = (9 * MEBIBYTE if extension == "lz4" else MEBIBYTE) // 16
    noise = random.Random(2).randbytes(16 * blocks)
    content = bytearray(noise)
    for zeroed in range(zeros_in_16):
        content[zeroed::16] = bytes(blocks)
    methods = {extension: method for method, extension in EXTENSIONS.items()}
    if extension == "lzo":
        stored = lzop_file(
            *(bytes(content[i : i + (256 << 10)]) for i in range(0, MEBIBYTE, 256 << 10))
        )
    elif extension == "gz":
        stored = subprocess.run(["gzip"], input=content, capture_output=True, check=True).stdout
    else:
        stored = compress(content, method=methods[extension], level=3)
    head = stored[: head_size(extension)]
    assert len(head) < len(stored)
    assert next(decode([head], extension=extension, name=NAME))[:8192] == content[:8192]


MEASURE = """
import resource, sys
from backup_core.stream.compress import decode

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

def chunks():
    while chunk := sys.stdin.buffer.read(1 << 20):
        yield chunk

decode([], extension=sys.argv[1], name="")
before, total, largest = peak(), 0, 0
for piece in decode(chunks(), extension=sys.argv[1], name="bomb"):
    assert not piece.strip(b"\\0")
    total += len(piece)
    largest = max(largest, len(piece))
print(total, largest, peak() - before)
"""


@pytest.mark.parametrize("extension", STORED)
def test_memory_stays_small_whatever_the_ratio(extension: str) -> None:
    """200 MB of zeros come out in pieces of a mebibyte at most, as the process's memory shows."""
    methods = {extension: method for method, extension in EXTENSIONS.items()}
    if extension == "lzo":
        stored = lzop_file(*[bytes(256 << 10)] * 800)
    elif extension == "gz":
        program = ["gzip", "-1"]
        stored = subprocess.run(program, input=bytes(200 << 20), capture_output=True).stdout
    else:
        stored = b"".join(encode(zeros(200), method=methods[extension], level=3))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, extension], input=stored, capture_output=True, check=True
    )
    total, largest, growth = map(int, done.stdout.split())
    assert len(stored) < 2 * MEBIBYTE
    assert total == 200 * MEBIBYTE
    assert largest <= CHUNK_SIZE == MEBIBYTE
    assert growth < 32 * MEBIBYTE


@each_method
def test_pieces_are_frames_where_a_codec_has_several(method: str) -> None:
    """A piece that lies there whole is compressed faster; together they are the stream."""
    pieces = [TEXT, b"x" * 5000, TEXT]
    stored = list(encode_pieces(pieces, method=method, level=3))
    extension = EXTENSIONS[method]
    assert decoded(b"".join(stored), extension=extension) == b"".join(pieces)
    if method in FRAMED:
        assert [decoded(frame, extension=extension) for frame in stored] == pieces
