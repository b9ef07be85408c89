"""Our tar archives mean the same to tarfile and GNU tar, theirs to us, and damaged ones nothing."""

import io
import itertools
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_core.stream.tar import (
    END_OF_ARCHIVE,
    TarMember,
    header,
    padding,
    read_members,
)
from tests.support.streams import SIZES, cut

Entry = tuple[TarMember, bytes]

GIBIBYTE = 1 << 30
EIGHT_GIB = 8 * GIBIBYTE
FILE = TarMember(name="/base/1/1259", size=700, mode=0o640, mtime=1_700_000_000, uid=26, gid=27)
CONTENT = b"0123456789" * 70
NAMES = {
    "leading slash": "/base/1/1259",
    "spaces and quotes": "/a \"b\" 'c' \\d",
    "line feed": "/two\nlines",
    "not ASCII": "/größe/日本",
    "not UTF-8": "/caf\udce9",
    "just short enough": "/" + "a" * 99,
    "over 100 characters": "/" + "a" * 101,
    "over 255 characters": "/" + "/".join(["b" * 60] * 5),
    "over 100, not ASCII": "/" + "é" * 60,
}

COMPONENTS = st.one_of(
    st.text(min_size=1, max_size=60).filter(lambda text: "/" not in text and "\0" not in text),
    st.binary(min_size=1, max_size=150).map(
        lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_").decode("utf-8", "surrogateescape")
    ),
)
PATHS = st.lists(COMPONENTS.filter(lambda name: _fits(name)), min_size=1, max_size=5)


def _fits(name: str) -> bool:
    try:
        return name not in (".", "..") and len(os.fsencode(name)) < 200
    except UnicodeEncodeError:
        return False


@st.composite
def _entries(draw: st.DrawFn) -> list[Entry]:
    """Files and directories that can be extracted side by side."""
    entries = []
    for number, path in enumerate(draw(st.lists(PATHS, max_size=4))):
        is_directory = draw(st.booleans())
        content = b"" if is_directory else draw(st.binary(max_size=1100))
        member = TarMember(
            name=f"/{number}" + "/".join(path),
            size=len(content),
            mode=draw(st.integers(0, 0o777)) | 0o700,
            mtime=draw(st.integers(0, 2**31 - 1)),
            uid=draw(st.integers(0, 2**21 - 1)),
            gid=draw(st.integers(0, 2**21 - 1)),
            is_directory=is_directory,
        )
        entries.append((member, content))
    return entries


def archive(entries: Iterable[Entry]) -> bytes:
    return (
        b"".join(header(member) + data + padding(len(data)) for member, data in entries)
        + END_OF_ARCHIVE
    )


def read(data: bytes, borders: Sequence[int] = ()) -> list[Entry]:
    chunks = cut(data, borders)
    return [(member, b"".join(rest)) for member, rest in read_members(chunks, name="part_001.tar")]


def gnu_tar(*args: str | Path, stdin: bytes = b"") -> bytes:
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run(
        ["tar", *args], input=stdin, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestOurs:
    """What we write."""

    @given(entries=_entries(), borders=SIZES)
    def test_reads_back(self, entries: list[Entry], borders: list[int]) -> None:
        """Every member, in order, however the archive is chunked."""
        assert read(archive(entries), borders) == entries

    @given(entries=_entries())
    def test_is_read_identically_by_tarfile(self, entries: list[Entry]) -> None:
        """Names, sizes, modes, times, owners and content."""
        data = io.BytesIO(archive(entries))
        found = []
        with tarfile.open(fileobj=data, encoding="utf-8", errors="surrogateescape") as opened:
            for info in opened:
                file = opened.extractfile(info)
                member = TarMember(
                    name=info.name,
                    size=info.size,
                    mode=info.mode,
                    mtime=int(info.mtime),
                    uid=info.uid,
                    gid=info.gid,
                    is_directory=info.isdir(),
                )
                found.append((member, file.read() if file else b""))
        assert found == entries

    @settings(max_examples=25)
    @given(entries=_entries())
    def test_is_extracted_identically_by_gnu_tar(self, entries: list[Entry]) -> None:
        """Without the leading slash, which it takes off by itself."""
        with tempfile.TemporaryDirectory() as directory:
            gnu_tar("-xpf", "-", "-C", directory, "--no-same-owner", stdin=archive(entries))
            for member, content in entries:
                path = Path(directory + member.name)
                status = path.stat()
                assert path.is_dir() if member.is_directory else path.read_bytes() == content
                assert (status.st_mode & 0o7777, int(status.st_mtime)) == (
                    member.mode,
                    member.mtime,
                )

    @pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
    def test_names_are_listed_by_gnu_tar(self, name: str) -> None:
        """To the byte, with the slash that wal-g wants."""
        data = archive([(replace(FILE, name=name), CONTENT)])
        listed = gnu_tar("-tPf", "-", "--quoting-style=literal", stdin=data)
        assert listed == os.fsencode(name) + b"\n"

    def test_owner_mode_and_time_are_listed_by_gnu_tar(self) -> None:
        """As an operator looks at a partition."""
        listed = gnu_tar("-tPvf", "-", "--numeric-owner", stdin=archive([(FILE, CONTENT)]))
        assert listed.split() == b"-rw-r----- 26/27 700 2023-11-14 22:13 /base/1/1259".split()

    def test_the_data_directory_itself_is_a_slash(self) -> None:
        """For us and for GNU tar."""
        root = TarMember(name="/", mode=0o700, is_directory=True)
        data = archive([(root, b"")])
        assert read(data) == [(root, b"")]
        assert gnu_tar("-tPf", "-", stdin=data) == b"/\n"

    @pytest.mark.parametrize("size", [0, EIGHT_GIB - 1, EIGHT_GIB, EIGHT_GIB + 1, 1 << 50])
    def test_any_size_fits_into_the_header(self, size: int) -> None:
        """From 8 GiB on it stands in an extended header, which tarfile reads too."""
        blocks = header(replace(FILE, size=size))
        member, _ = next(read_members([blocks, END_OF_ARCHIVE], name="part_001.tar"))
        assert member.size == size
        with tarfile.open(fileobj=io.BytesIO(blocks)) as opened:
            assert [info.size for info in itertools.islice(opened, 1)] == [size]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *(("uid", 2**21 - 1), ("uid", 2**21), ("gid", 2**21), ("gid", 2**32 - 2)),
            *(("mtime", 0), ("mtime", -1), ("mtime", 2**33 - 1), ("mtime", 2**33)),
        ],
    )
    def test_owners_and_times_fit_into_the_header(self, field: str, value: int) -> None:
        """From 2 Mi and from the year 2242 on in an extended one, as times before 1970."""
        data = archive([(replace(FILE, **{field: value}), CONTENT)])  # type: ignore[arg-type]
        with tarfile.open(fileobj=io.BytesIO(data)) as opened:
            (info,) = opened
        assert getattr(info, field) == value

    def test_gnu_tar_reads_a_size_over_8_gib(self, tmp_path: Path) -> None:
        """From a file with a hole, so that it takes no space."""
        path = tmp_path / "large.tar"
        size = 9 * GIBIBYTE
        blocks = header(replace(FILE, size=size))
        with path.open("wb") as file:
            file.write(blocks)
            file.truncate(len(blocks) + size + len(END_OF_ARCHIVE))
        assert gnu_tar("-tPvf", path).split()[2] == str(size).encode()


class TestTheirs:
    """What others write."""

    @pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    @pytest.mark.parametrize("name", ["base/1/1259", *NAMES.values()])
    def test_every_format_of_tarfile_is_read(self, name: str, form: Literal[0, 1, 2]) -> None:
        """USTAR's prefix, GNU's long names and PAX records (USTAR cannot hold every name)."""
        info = tarfile.TarInfo(name)
        info.size = len(CONTENT)
        try:
            blocks = info.tobuf(form, "utf-8", "surrogateescape")
        except ValueError:
            assert form == tarfile.USTAR_FORMAT
            return
        [(member, content)] = read(blocks + CONTENT + padding(len(CONTENT)) + END_OF_ARCHIVE)
        assert (member.name, content) == (name, CONTENT)

    @pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "posix"])
    def test_every_format_of_gnu_tar_is_read(self, form: str, tmp_path: Path) -> None:
        """With the zeros that fill its last record."""
        (tmp_path / "base").mkdir()
        names = ["short"] if form in ("v7", "ustar") else ["short", "ü" * 100, "n" * 200]
        for name in names:
            (tmp_path / "base" / name).write_bytes(CONTENT)
        entries = read(gnu_tar(f"--format={form}", "-C", tmp_path, "-cf", "-", "base"))
        files = {member.name: data for member, data in entries if not member.is_directory}
        assert [member.name for member, _ in entries if member.is_directory] == ["base"]
        assert files == {f"base/{name}": CONTENT for name in names}

    @pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    @pytest.mark.parametrize("target", ["/srv/wal", "../" + "long/" * 40, "größe", "caf\udce9"])
    def test_a_symbolic_link_says_where_it_leads(self, target: str, form: Literal[0, 1, 2]) -> None:
        """However long that is; it has no content."""
        info = tarfile.TarInfo("pg_wal")
        info.type, info.linkname = tarfile.SYMTYPE, target
        data = info.tobuf(form, "utf-8", "surrogateescape") + END_OF_ARCHIVE
        [(member, content)] = read(data)
        assert (member.name, member.link, content) == ("pg_wal", target, b"")
        assert read(header(member) + END_OF_ARCHIVE) == [(member, b"")]

    def test_the_data_directory_of_wal_e_is_a_slash(self) -> None:
        """Raw in the header, in either of its formats."""
        for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            info = tarfile.TarInfo("")
            info.type = tarfile.DIRTYPE
            info.pax_headers = {"mtime": "1700000000.5"}
            [(member, _)] = read(info.tobuf(form) + END_OF_ARCHIVE)
            assert (member.name, member.is_directory) == ("/", True)

    def test_data_that_is_not_used_is_passed_over(self) -> None:
        """The next member comes all the same."""
        data = archive([(FILE, CONTENT), (replace(FILE, name="/next"), CONTENT)])
        members = [member for member, _ in read_members([data], name="part_001.tar")]
        assert [member.name for member in members] == [FILE.name, "/next"]
