"""An increment is applied to the file it belongs to, or not at all."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError
from backup_core.restore.increments import apply_increment
from backup_core.restore.tree import Place
from tests.support.walg_backup import increment

PAGE = 16


def pages(text: str) -> bytes:
    """A file of one page a letter; 0 is a page of zeros."""
    return b"".join(bytes(PAGE) if letter == "0" else letter.encode() * PAGE for letter in text)


def apply(place: Path, new: bytes, blocks: Sequence[int], *, mode: int = 0o600) -> None:
    """Apply an increment that carries these blocks of the new content."""
    data = increment(new, blocks, page_size=PAGE)
    apply_increment(
        below(place), [data], size=len(data), mode=mode, page_size=PAGE, name="base/1/2"
    )


def below(place: Path) -> Place:
    """The place of a file in its directory."""
    return Place(root=place.parent, parts=(place.name,))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A file that an older backup restored."""
    place = tmp_path / "2"
    place.write_bytes(pages("abcd"))
    place.chmod(0o640)
    return place


def test_pages_replace_those_that_were_restored(place: Path) -> None:
    """In whatever order they come; the file gets the mode that the newer backup has."""
    apply(place, pages("aXcY"), [3, 1], mode=0o600)
    assert place.read_bytes() == pages("aXcY")
    assert place.stat().st_mode & 0o777 == 0o600


def test_a_file_that_shrank_is_truncated(place: Path) -> None:
    """With no page of it changed, too."""
    apply(place, pages("ab"), [])
    assert place.read_bytes() == pages("ab")


def test_a_file_may_have_become_empty(place: Path) -> None:
    """Its increment is a header only."""
    apply(place, b"", [])
    assert place.read_bytes() == b""


def test_a_file_that_grew_has_its_new_pages(place: Path) -> None:
    """All of them come with the increment."""
    apply(place, pages("abcdef"), [4, 5])
    assert place.read_bytes() == pages("abcdef")


def test_d2_a_page_of_zeros_replaces_what_was_there(place: Path) -> None:
    """WAL-G's newest-first restore takes it for a page that is missing, and puts old rows back."""
    apply(place, pages("a0c00"), [1, 3, 4])
    assert place.read_bytes() == pages("a0c00")


@given(old=st.integers(0, 5), grown=st.integers(1, 5), data=st.data())
def test_a_page_that_no_backup_has_is_refused(
    tmp_path_factory: pytest.TempPathFactory, old: int, grown: int, data: st.DataObject
) -> None:
    """Rather than left as zeros; the file is untouched."""
    place = tmp_path_factory.mktemp("restore") / "2"
    place.write_bytes(pages("x" * old))
    missing = data.draw(st.integers(old, old + grown - 1))
    blocks = [block for block in range(old + grown) if block != missing]
    with pytest.raises(CorruptError, match=f'block {missing} of "base/1/2" is in no backup'):
        apply(place, pages("y" * (old + grown)), blocks)
    assert place.read_bytes() == pages("x" * old)


def test_d3_half_a_file_does_not_count_as_restored(place: Path) -> None:
    """WAL-G drops the pages past its end, and the file stays short."""
    place.write_bytes(pages("ab") + b"half")
    with pytest.raises(CorruptError, match="block 2 of"):
        apply(place, pages("aXcd"), [1])


def test_an_increment_to_no_file_is_refused(tmp_path: Path) -> None:
    """It is not created: pages that did not change would be missing."""
    with pytest.raises(CorruptError, match="a file that is not there"):
        apply(tmp_path / "2", pages("a"), [0])
    assert not (tmp_path / "2").exists()


def test_d11_a_link_is_not_followed(tmp_path: Path, place: Path) -> None:
    """Nothing is written outside of what is restored."""
    link = tmp_path / "link"
    link.symlink_to(place)
    with pytest.raises(CorruptError, match="a file that is not there"):
        apply(link, pages("Xbcd"), [0])
    assert place.read_bytes() == pages("abcd")


def test_what_is_no_increment_changes_nothing(place: Path) -> None:
    """A file that was marked as one by mistake, say."""
    with pytest.raises(CorruptError, match="no increment"):
        apply_increment(
            below(place), [bytes(64)], size=64, mode=0o600, page_size=PAGE, name="base/1/2"
        )
    assert place.read_bytes() == pages("abcd")


def test_progress_is_told_in_bytes_of_pages(place: Path) -> None:
    """As they are written."""
    data = increment(pages("abXd"), [2], page_size=PAGE)
    told: list[int] = []
    apply_increment(
        below(place),
        [data],
        size=len(data),
        mode=0o600,
        page_size=PAGE,
        name="base/1/2",
        advance=told.append,
    )
    assert sum(told) == PAGE
