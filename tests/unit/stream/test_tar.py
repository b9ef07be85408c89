"""Tar archives that others read, and theirs read here."""

import io
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError
from backup_core.stream.tar import (
    END_OF_ARCHIVE,
    TarMember,
    header,
    padding,
    read_members,
)

PART = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=60)
NAME = st.lists(PART, min_size=1, max_size=5).map("/".join)


def archive(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A tar written by this project."""
    blocks = []
    for name, content in members:
        member = TarMember(name=name, size=len(content), mode=0o640, mtime=1234567890)
        blocks += [header(member), content, padding(len(content))]
    return b"".join([*blocks, END_OF_ARCHIVE])


def contents(data: bytes, *, size: int = 1000) -> list[tuple[str, bytes]]:
    """Read a tar by this project, from chunks of `size` bytes."""
    chunks = (data[start : start + size] for start in range(0, len(data), size))
    return [
        (member.name, b"".join(content)) for member, content in read_members(chunks, name="t.tar")
    ]


@given(members=st.lists(st.tuples(NAME, st.binary(max_size=2000)), max_size=4))
def test_the_standard_library_reads_what_is_written(members: list[tuple[str, bytes]]) -> None:
    """Names of any length and alphabet, and contents, come out of tarfile as they went in."""
    found = []
    with tarfile.open(fileobj=io.BytesIO(archive(members))) as file:
        for info in file:
            stream = file.extractfile(info)
            assert stream is not None
            found.append((info.name, stream.read()))
            assert (info.mode, info.mtime) == (0o640, 1234567890)
    assert found == members


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@given(size=st.integers(1, 3000), content=st.binary(max_size=2000))
def test_every_format_of_the_standard_library_is_read(kind: int, size: int, content: bytes) -> None:
    """ustar, GNU and PAX archives give the same members, from chunks of any size."""
    names = ["base/1/1259", "n" * 90] + ([] if kind == tarfile.USTAR_FORMAT else ["ü" * 200])
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=kind) as file:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    assert contents(target.getvalue(), size=size) == [(name, content) for name in names]


def test_gnu_tar_reads_what_is_written(tmp_path: Path) -> None:
    """The program that everybody has extracts the same files."""
    members = [("/base/1/1259", b"x" * 9000), ("/" + "d/" * 120 + "file", b"deep"), ("/e", b"")]
    (tmp_path / "t.tar").write_bytes(archive(members))
    command = ["tar", "-C", str(tmp_path), "-xf", str(tmp_path / "t.tar")]
    subprocess.run(command, check=True, capture_output=True)
    for name, content in members:
        assert (tmp_path / name.lstrip("/")).read_bytes() == content


def test_what_gnu_tar_writes_is_read(tmp_path: Path) -> None:
    """Directories and long names included."""
    deep = tmp_path / "tree" / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"content")
    command = ["tar", "-C", str(tmp_path), "--format=gnu", "-cf", "-", "tree"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    assert contents(data)[-1] == (str((deep / "file").relative_to(tmp_path)), b"content")


def test_a_size_beyond_eight_gibibytes_keeps_its_value() -> None:
    """The header says it in an extension; the data need not be there to see it."""
    big = TarMember(name="/base/1/1", size=9 << 30)
    member, _ = next(iter(read_members([header(big)], name="t.tar")))
    assert member.size == 9 << 30


def test_an_archive_that_is_cut_off_is_an_error() -> None:
    """Wherever it ends early, it is not taken for whole."""
    data = archive([("/a", b"x" * 700), ("/" + "b" * 300, b"y")])
    for length in range(0, len(data) - len(END_OF_ARCHIVE) + 511, 37):
        with pytest.raises(CorruptError):
            contents(data[:length])


@given(position=st.integers(0, 511), mask=st.integers(1, 255))
def test_a_damaged_header_is_found(position: int, mask: int) -> None:
    """The header's own checksum shows any changed byte."""
    data = bytearray(archive([("/base/1/1259", b"")]))
    data[position] ^= mask
    try:
        assert contents(bytes(data)) == [("/base/1/1259", b"")]
    except CorruptError:
        return


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(kind: bytes) -> None:
    """A data directory's archive has none, so one that does was made by somebody else."""
    info = tarfile.TarInfo("base/evil")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(CorruptError, match="base/evil"):
        contents(info.tobuf() + END_OF_ARCHIVE)


def test_data_after_the_end_is_refused() -> None:
    """Zeros may follow, as tar fills its blocks; anything else is damage."""
    data = archive([("/a", b"x")])
    assert contents(data + bytes(5000)) == [("/a", b"x")]
    with pytest.raises(CorruptError, match="after the end"):
        contents(data + bytes(700) + b"x")
