"""A damaged archive, and one that holds what no data directory does, is refused."""

import tarfile
from contextlib import suppress
from dataclasses import replace
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError
from backup_core.stream.tar import BLOCK, END_OF_ARCHIVE, TarMember, header, padding, read_members

NAME = "part_001.tar"
CONTENT = b"0123456789" * 70
FILE = TarMember(name="/base/1/1259", size=len(CONTENT), mode=0o640, mtime=1_700_000_000)
LONG = replace(FILE, name="/" + "ü" * 120)
DATA = CONTENT + padding(len(CONTENT))


def read(data: bytes) -> list[tuple[TarMember, bytes]]:
    return [(member, b"".join(rest)) for member, rest in read_members([data], name=NAME)]


def extended(records: bytes) -> bytes:
    """A file that an extended header with these records precedes."""
    info = tarfile.TarInfo("PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, len(records)
    blocks = info.tobuf(tarfile.USTAR_FORMAT) + records + padding(len(records))
    return blocks + header(FILE) + DATA + END_OF_ARCHIVE


def test_cut_off_anywhere_is_corrupt() -> None:
    """In a header, an extended one, content, padding, and before the mark of the end."""
    data = header(FILE) + DATA + header(LONG) + DATA + END_OF_ARCHIVE
    for length in range(len(data) - BLOCK):
        with pytest.raises(CorruptError, match=f"^{NAME} ends early"):
            read(data[:length])


def test_an_archive_without_an_end_is_read_where_that_is_expected() -> None:
    """It still has to end where a member does."""
    data = header(FILE) + DATA
    assert [member for member, _ in read_members([data], name=NAME, endless=True)] == [FILE]
    for length in range(1, len(data)):
        with pytest.raises(CorruptError, match="ends early"):
            list(read_members([data[:length]], name=NAME, endless=True))


def test_no_flipped_bit_of_a_header_goes_unnoticed() -> None:
    """Headers carry a checksum; a bit that it ignores changes nothing."""
    data = header(FILE) + DATA + END_OF_ARCHIVE
    whole = read(data)
    for position in range(8 * BLOCK):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << position % 8
        with suppress(CorruptError):
            assert read(bytes(damaged)) == whole, position


@given(records=st.one_of(st.binary(max_size=600), st.from_regex(rb"\d+ (path|size)=[^\n]*\n?")))
def test_damaged_extended_headers_raise_nothing_else(records: bytes) -> None:
    """They have no checksum of their own, so any bytes may stand there."""
    with suppress(CorruptError):
        assert [content for _, content in read(extended(records))][:1] != [DATA]


@pytest.mark.parametrize(
    "records",
    [
        b"12 path=/abc",
        b"99 path=/abc\n",
        b"3 path=/abc\n",
        b"path=/abc\n",
        b"12 path/abc\n",
        b"9" * 5000 + b" path=/abc\n",
        b"12 size=-12\n",
        b"12 size=1e9\n",
        b"30 size=999999999999999999999\n",
    ],
)
def test_extended_headers_are_read_strictly(records: bytes) -> None:
    """Lengths, line ends and numbers must be right to the byte."""
    with pytest.raises(CorruptError):
        read(extended(records))


def test_an_extended_header_of_any_size_is_not_taken_into_memory() -> None:
    """A name has less than a mebibyte."""
    info = tarfile.TarInfo("PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    with pytest.raises(CorruptError, match="an extended tar header of 1073741824 bytes"):
        read(info.tobuf(tarfile.USTAR_FORMAT))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_extended_headers_in_a_row_are_counted(kind: bytes) -> None:
    """An endless run of them would fill the memory, or take for ever."""
    info = tarfile.TarInfo("PaxHeader")
    info.type = kind
    blocks = info.tobuf(tarfile.USTAR_FORMAT)
    assert len(read(16 * blocks + header(FILE) + DATA + END_OF_ARCHIVE)) == 1
    with pytest.raises(CorruptError, match="more than 16 extended tar headers in a row"):
        list(read_members(repeat(blocks), name=NAME))


def test_a_negative_size_is_corrupt() -> None:
    """GNU's notation of large numbers can say it."""
    info = tarfile.TarInfo("base/1")
    info.size = -512
    with pytest.raises(CorruptError, match='negative size for "base/1"'):
        read(info.tobuf(tarfile.GNU_FORMAT) + END_OF_ARCHIVE)


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CONTTYPE,
        tarfile.GNUTYPE_SPARSE,
    ],
)
def test_what_is_no_file_and_no_directory_is_refused(kind: bytes) -> None:
    """A hard link could lead a later member out of the data directory."""
    info = tarfile.TarInfo("base/evil")
    info.type, info.linkname = kind, "/etc"
    data = info.tobuf(tarfile.PAX_FORMAT) + END_OF_ARCHIVE
    with pytest.raises(CorruptError, match='"base/evil", which is neither a file nor a directory'):
        read(data)


def test_a_sparse_file_in_extended_headers_is_refused() -> None:
    """Its content is not what stands in the archive."""
    with pytest.raises(CorruptError, match="neither a file nor a directory"):
        read(extended(b"22 GNU.sparse.major=1\n"))


def test_data_after_the_end_is_refused() -> None:
    """Zeros may follow, to fill a record, but nothing else."""
    data = header(FILE) + DATA + END_OF_ARCHIVE
    assert read(data + bytes(9 * BLOCK)) == [(FILE, CONTENT)]
    with pytest.raises(CorruptError, match="data after the end"):
        read(data + bytes(BLOCK) + b"x")


def test_an_archive_of_nothing_but_its_end_is_whole() -> None:
    """An empty partition is legal."""
    assert read(END_OF_ARCHIVE) == []


@pytest.mark.parametrize("data", [b"", b"\xff" * BLOCK, b"not a tar" * 100])
def test_what_is_no_archive_is_corrupt(data: bytes) -> None:
    """The error names the object."""
    with pytest.raises(CorruptError, match=f"^{NAME} "):
        read(data)
