"""A frame that is decoded at once is what was compressed, or an error."""

from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError
from backup_core.stream.compress import compress
from backup_core.stream.whole_frame import LARGEST, WholeFrames

NAME = "part_001.tar.zst"


@pytest.fixture(scope="module")
def frames() -> Iterator[WholeFrames]:
    with closing(WholeFrames()) as found:
        yield found


def test_this_installation_decodes_at_once(frames: WholeFrames) -> None:
    """The library that comes with the module shows what is needed."""
    assert frames.can_decode("zst", LARGEST)


@pytest.mark.parametrize(("extension", "size"), [("zst", LARGEST + 1), ("lz4", 1), ("", 1)])
def test_other_codecs_and_what_is_too_large_are_left_to_the_stream(
    frames: WholeFrames, extension: str, size: int
) -> None:
    """Memory stays bounded whatever an index claims."""
    assert not frames.can_decode(extension, size)


@given(contents=st.lists(st.binary(max_size=3000), max_size=4))
def test_frames_come_back_one_after_the_other(frames: WholeFrames, contents: list[bytes]) -> None:
    """Each is what was compressed, in the memory of the one before."""
    for content in contents:
        stored = compress(content, method="zstd", level=3)
        assert frames.decode(stored, size=len(content), name=NAME) == content


@given(content=st.binary(min_size=1, max_size=300), data=st.data())
def test_a_frame_that_is_damaged_or_of_another_size_is_an_error(
    frames: WholeFrames, content: bytes, data: st.DataObject
) -> None:
    """Any byte flipped, any end cut off, a size that is not the content's: never other content."""
    stored = bytearray(compress(content, method="zstd", level=3))
    size = len(content)
    match data.draw(st.sampled_from(["flip", "cut", "smaller", "larger"])):
        case "flip":
            stored[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
        case "cut":
            del stored[data.draw(st.integers(0, len(stored) - 1)) :]
        case "smaller":
            size = data.draw(st.integers(0, size - 1))
        case "larger":
            size += data.draw(st.integers(1, 9))
    found = content
    with suppress(CorruptError):
        found = bytes(frames.decode(bytes(stored), size=size, name=NAME))
    assert found == content


def test_the_error_names_the_object(frames: WholeFrames) -> None:
    """And says what was expected of it."""
    with pytest.raises(CorruptError, match=f"{NAME} is damaged: it is not a zstd frame of 4 bytes"):
        frames.decode(b"none", size=4, name=NAME)
