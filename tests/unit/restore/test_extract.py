"""Extraction writes what was backed up, where it belongs, or ends with an error."""

import os
import stat
import tarfile
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError, PitrError
from backup_core.repository.index import IndexedFile
from backup_core.restore.extract import (
    ExtractOptions,
    extract_parts,
    read_held,
)
from backup_core.restore.known import KnownFiles
from backup_core.restore.members import split_path
from backup_core.restore.places import Layout
from backup_core.storage.memory import MemoryStorage
from backup_core.stream.compress import compress
from backup_core.stream.digest import WRITTEN
from backup_core.stream.tar import END_OF_ARCHIVE, TarMember, header, padding

PART = "part_001.tar.zst"


def tar(contents: Mapping[str, bytes], *directories: TarMember) -> bytes:
    """A tar of files with these contents, below directories."""
    blocks = [header(directory) for directory in directories]
    for name, content in contents.items():
        member = TarMember(name=name, size=len(content), mode=0o640)
        blocks += [header(member), content, padding(len(content))]
    return b"".join([*blocks, END_OF_ARCHIVE])


def directory(name: str, mode: int = 0o700) -> TarMember:
    return TarMember(name=name, mode=mode, is_directory=True)


def stored(**parts: bytes) -> MemoryStorage:
    storage = MemoryStorage()
    for name, data in parts.items():
        storage.put(f"{name}.tar.zst", [compress(data, method="zstd", level=1)])
    return storage


def digests(contents: Mapping[str, bytes]) -> KnownFiles:
    files = {
        path: IndexedFile(
            path=path,
            part=PART,
            offset=0,
            size=len(content),
            mode=0o640,
            mtime=0,
            digest=WRITTEN.new(content).hexdigest(),
        )
        for path, content in contents.items()
    }
    return KnownFiles(files=files, algorithm=WRITTEN)


@pytest.fixture
def options(tmp_path: Path) -> ExtractOptions:
    """Extraction into `data`, with tablespace 16 in `space`, and without digests."""
    places = Layout(data_dir=tmp_path / "data", tablespaces={16: tmp_path / "space"})
    places.data_dir.mkdir()
    (tmp_path / "space").mkdir()
    return ExtractOptions(layout=places, known=None, workers=1, advance=lambda _: None)


class TestWriting:
    """Files and directories come out as they went in."""

    def test_content_mode_and_paths(self, options: ExtractOptions, tmp_path: Path) -> None:
        """Names in the archive begin with a slash, which is the data directory."""
        large = os.urandom(3 << 20)
        contents = {"/PG_VERSION": b"17\n", "/base/1/1259": large, "/base/1/empty": b""}
        storage = stored(part_001=tar(contents))
        written = extract_parts(storage, [PART], options).files
        assert written == {"PG_VERSION", "base/1/1259", "base/1/empty"}
        for name, content in contents.items():
            path = tmp_path / "data" / name.lstrip("/")
            assert path.read_bytes() == content
            assert stat.S_IMODE(path.stat().st_mode) == 0o640

    def test_empty_directories_are_made(self, options: ExtractOptions, tmp_path: Path) -> None:
        """With their mode; the server does not start without them."""
        data = tar({}, directory("/", 0o750), directory("/pg_wal/archive_status", 0o700))
        extract_parts(stored(part_001=data), [PART], options)
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o750
        assert (tmp_path / "data/pg_wal/archive_status").is_dir()

    def test_several_parts_by_several_workers(
        self, options: ExtractOptions, tmp_path: Path
    ) -> None:
        """Each byte is counted once."""
        done: list[int] = []
        parts = {f"part_{n:03d}": tar({f"/base/{n}/file": b"x" * n}) for n in range(1, 9)}
        storage = stored(**parts)
        keys = [f"{part}.tar.zst" for part in parts]
        extract_parts(storage, keys, replace(options, workers=3, advance=done.append))
        assert sum(done) == sum(range(1, 9))
        assert len(list((tmp_path / "data").glob("base/*/file"))) == 8

    def test_a_tablespace_goes_to_its_location(
        self, options: ExtractOptions, tmp_path: Path
    ) -> None:
        """One that is not mapped is in-place and stays in the data directory."""
        contents = {"/pg_tblspc/16/PG_17_1/5/1": b"there", "/pg_tblspc/99/PG_17_1/5/1": b"here"}
        extract_parts(stored(part_001=tar(contents)), [PART], options)
        assert (tmp_path / "space/PG_17_1/5/1").read_bytes() == b"there"
        assert (tmp_path / "data/pg_tblspc/99/PG_17_1/5/1").read_bytes() == b"here"

    def test_small_parts_are_read_into_memory(self) -> None:
        """Names lose their leading slash; an object without compression will do."""
        storage = MemoryStorage()
        storage.put("pg_control.tar", [tar({"/global/pg_control": b"control"})])
        assert read_held(storage, "pg_control.tar") == {"global/pg_control": b"control"}


class TestEscapes:
    """No name leads out of the data directory."""

    @pytest.mark.parametrize(
        "name", ["/../evil", "/base/../../evil", "..", "/./../evil", "/pg_tblspc/16/../../evil"]
    )
    def test_names_that_lead_out_are_refused(
        self, name: str, options: ExtractOptions, tmp_path: Path
    ) -> None:
        """Nothing is written."""
        with pytest.raises(CorruptError, match="leads out of the data directory"):
            extract_parts(stored(part_001=tar({name: b"evil"})), [PART], options)
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    def test_directories_that_lead_out_are_refused(
        self, options: ExtractOptions, tmp_path: Path
    ) -> None:
        """They are held against the same rule."""
        with pytest.raises(CorruptError, match="leads out"):
            extract_parts(stored(part_001=tar({}, directory("/../evil"))), [PART], options)
        assert not (tmp_path / "evil").exists()

    def test_a_name_with_a_nul_is_refused(self) -> None:
        """Which an extended header can hold."""
        with pytest.raises(CorruptError, match="leads out"):
            split_path("base\0/1")

    @pytest.mark.parametrize("path", ["/etc/passwd", "//etc/passwd"])
    def test_an_absolute_name_is_below_the_data_directory(
        self, path: str, options: ExtractOptions
    ) -> None:
        """As every name in WAL-G's archives is."""
        place = options.layout.locate(split_path(path))
        assert place.path == options.layout.data_dir / "etc/passwd"

    def test_a_tablespace_number_must_be_one(self, options: ExtractOptions) -> None:
        """Whatever else is below pg_tblspc belongs to the data directory."""
        place = options.layout.locate(("pg_tblspc", "16x", "1"))
        assert place.path == options.layout.data_dir / "pg_tblspc/16x/1"


def link(name: str, target: str) -> TarMember:
    return TarMember(name=name, link=target)


class TestForeign:
    """Archives of other tools hold what none of ours does."""

    def test_what_is_placed_last_is_handed_back(self, options: ExtractOptions) -> None:
        """Wherever it is, and nothing of it is on disk."""
        held = {"global/pg_control": b"c", "backup_label": b"l", "tablespace_map": b""}
        contents = {f"/{name}": content for name, content in held.items()} | {"/PG_VERSION": b"14"}
        extracted = extract_parts(stored(part_001=tar(contents)), [PART], options)
        assert extracted.held == held
        assert extracted.files == {"PG_VERSION"}
        assert extracted.size == 4
        names = [path.name for path in options.layout.data_dir.rglob("*") if path.is_file()]
        assert names == ["PG_VERSION"]

    @pytest.mark.parametrize("name", ["global/pg_control", "backup_label", "tablespace_map"])
    def test_what_is_held_in_memory_is_small(self, name: str, options: ExtractOptions) -> None:
        """In either kind of partition."""
        storage = stored(part_001=tar({name: bytes(2 << 20)}))
        with pytest.raises(CorruptError, match=f'a "{name}" of 2097152 bytes'):
            extract_parts(storage, [PART], options)
        with pytest.raises(CorruptError, match=f'a "{name}" of 2097152 bytes'):
            read_held(storage, PART)

    def test_a_partition_of_its_own_holds_nothing_else(self) -> None:
        """It would not be written."""
        with pytest.raises(CorruptError, match='"PG_VERSION", which does not belong there'):
            read_held(stored(part_001=tar({"PG_VERSION": b"14"})), PART)

    def test_links_are_not_made(self, options: ExtractOptions, tmp_path: Path) -> None:
        """They are told. A linked pg_wal is an empty directory, a tablespace's link comes later."""
        members = [link("pg_wal", "/w"), link("extra", "../.."), link("pg_tblspc/16", "/old")]
        extracted = extract_parts(stored(part_001=tar({}, *members)), [PART], options)
        assert extracted.links == {"pg_wal": "/w", "extra": "../.."}
        assert [path.name for path in options.layout.data_dir.rglob("*")] == ["pg_wal"]
        assert not (tmp_path / "data/pg_wal").is_symlink()

    @pytest.mark.parametrize("first", [True, False])
    def test_nothing_is_below_a_link(self, first: bool, options: ExtractOptions) -> None:
        """Whichever comes first, and whatever becomes of the link."""
        for name in ("pg_wal", "base"):
            one, two = tar({}, link(name, "/etc")), tar({f"{name}/evil": b"x"})
            storage = stored(part_001=one if first else two, part_002=two if first else one)
            with pytest.raises(CorruptError, match="as a directory and as something else"):
                extract_parts(storage, [PART, "part_002.tar.zst"], options)

    def test_a_link_to_an_unknown_tablespace_is_corrupt(self, options: ExtractOptions) -> None:
        """Its data would be missing."""
        with pytest.raises(CorruptError, match="tablespace 17"):
            extract_parts(stored(part_001=tar({}, link("pg_tblspc/17", "/x"))), [PART], options)

    def test_our_own_backups_have_no_links(self, options: ExtractOptions) -> None:
        """The index names files only."""
        with pytest.raises(CorruptError, match="which its index does not name"):
            extract_parts(
                stored(part_001=tar({}, link("extra", "/x"))),
                [PART],
                replace(options, known=digests({})),
            )

    def test_the_old_servers_recovery_is_left_out(self, options: ExtractOptions) -> None:
        """At the top only."""
        names = ["postmaster.pid", "recovery.conf", "recovery.signal", "standby.signal"]
        contents = dict.fromkeys([*names, "base/standby.signal"], b"x")
        extracted = extract_parts(stored(part_001=tar(contents)), [PART], options)
        assert extracted.left_out == set(names)
        assert extracted.files == {"base/standby.signal"}
        assert extracted.size == 5

    def test_a_file_does_not_run_as_its_owner(self, options: ExtractOptions) -> None:
        """Whatever its mode says."""
        member = TarMember(name="evil", mode=0o6755)
        data = header(member) + END_OF_ARCHIVE
        extract_parts(stored(part_001=data), [PART], options)
        assert (options.layout.data_dir / "evil").stat().st_mode & 0o7777 == 0o755

    @pytest.mark.parametrize("name", ["/", "pg_tblspc/16"])
    def test_a_root_is_no_file(self, name: str, options: ExtractOptions) -> None:
        """Neither the data directory nor a tablespace."""
        with pytest.raises(CorruptError, match="directory"):
            extract_parts(stored(part_001=tar({name: b"x"})), [PART], options)


NAMES = st.lists(
    st.sampled_from(["..", ".", "", "a", "base", "out", "pg_wal", "pg_tblspc", "16", "17", "a\0b"]),
    min_size=1,
    max_size=4,
).map("/".join)
TYPES = [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]


@st.composite
def hostile_tars(draw: st.DrawFn) -> bytes:
    """Members of any kind and name, whose links may lead out."""
    blocks = []
    for _ in range(draw(st.integers(1, 5))):
        info = tarfile.TarInfo(draw(st.sampled_from(["", "/", "../"])) + draw(NAMES))
        info.type = draw(st.sampled_from(TYPES))
        info.linkname = draw(st.sampled_from(["../out", "..", "/", "base", "pg_tblspc/16"]))
        info.mode = draw(st.integers(0, 0o7777))
        info.size = 4 if info.type == tarfile.REGTYPE else 0
        blocks.append(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        blocks.append(b"evil" + padding(4) if info.size else b"")
    return b"".join([*blocks, END_OF_ARCHIVE])


@given(parts=st.lists(hostile_tars(), min_size=1, max_size=3), planted=st.booleans())
def test_no_archive_writes_outside(parts: list[bytes], planted: bool) -> None:
    """Into the data directory and the tablespace or not at all; links that are there included."""
    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory)
        for name in ("data", "space", "out"):
            (top / name).mkdir()
        (top / "out/precious").write_bytes(b"precious")
        if planted:
            (top / "data/base").symlink_to(top / "out")
        places = Layout(data_dir=top / "data", tablespaces={16: top / "space"})
        options = ExtractOptions(layout=places, known=None, workers=1, advance=lambda _: None)
        storage = stored(**{f"part_{number:03d}": data for number, data in enumerate(parts)})
        keys = [f"part_{number:03d}.tar.zst" for number in range(len(parts))]
        before = (top / "out").stat().st_mtime_ns
        with suppress(PitrError):
            extract_parts(storage, keys, options)
        assert {path.name for path in top.iterdir()} == {"data", "space", "out"}
        assert [path.name for path in (top / "out").iterdir()] == ["precious"]
        assert (top / "out/precious").read_bytes() == b"precious"
        assert (top / "out").stat().st_mtime_ns == before
        inside = [*(top / "data").rglob("*"), *(top / "space").rglob("*")]
        links = [path.name for path in inside if path.is_symlink()]
        assert links == (["base"] if planted else [])
        assert all(path.is_dir() or path.is_file() for path in inside)


class TestInTheWay:
    """Nothing that exists is opened, let alone overwritten."""

    def test_a_file_is_left_as_it_is(self, options: ExtractOptions) -> None:
        """The error names it."""
        existing = options.layout.data_dir / "PG_VERSION"
        existing.write_bytes(b"precious")
        with pytest.raises(PitrError, match=f"cannot write {existing}: File exists"):
            extract_parts(stored(part_001=tar({"/PG_VERSION": b"17"})), [PART], options)
        assert existing.read_bytes() == b"precious"

    @pytest.mark.parametrize("dangling", [True, False])
    def test_a_link_is_not_followed(
        self, dangling: bool, options: ExtractOptions, tmp_path: Path
    ) -> None:
        """Whether something is where it leads or not."""
        outside = tmp_path / "outside"
        if not dangling:
            outside.write_bytes(b"precious")
        (options.layout.data_dir / "PG_VERSION").symlink_to(outside)
        with pytest.raises(PitrError, match="File exists"):
            extract_parts(stored(part_001=tar({"/PG_VERSION": b"17"})), [PART], options)
        assert dangling is not outside.exists()
        assert dangling or outside.read_bytes() == b"precious"

    def test_a_linked_directory_is_not_entered(
        self, options: ExtractOptions, tmp_path: Path
    ) -> None:
        """Although it was there before, and is empty."""
        outside = tmp_path / "outside"
        outside.mkdir()
        (options.layout.data_dir / "base").symlink_to(outside)
        for data in (tar({"/base/1": b"x"}), tar({}, directory("/base/1"))):
            with pytest.raises(PitrError, match="cannot write"):
                extract_parts(stored(part_001=data), [PART], options)
        assert not list(outside.iterdir())

    def test_the_same_file_twice_is_an_error(self, options: ExtractOptions) -> None:
        """A backup holds each once, so one of them would be wrong."""
        storage = stored(part_001=tar({"/1": b"one"}), part_002=tar({"/1": b"two"}))
        with pytest.raises(CorruptError, match='"1" twice'):
            extract_parts(storage, [PART, "part_002.tar.zst"], options)

    def test_a_file_where_a_directory_belongs_is_an_error(self, options: ExtractOptions) -> None:
        """In either member's way."""
        (options.layout.data_dir / "base").write_bytes(b"")
        for data in (tar({}, directory("/base")), tar({"/base/1": b""})):
            with pytest.raises(PitrError, match="cannot write"):
                extract_parts(stored(part_001=data), [PART], options)


class TestDigests:
    """Each file is held against the digest that was taken when it was read."""

    CONTENTS: ClassVar = {"base/1": b"one", "base/2": b"two"}

    def test_content_that_was_backed_up_passes(self, options: ExtractOptions) -> None:
        """All files of the index."""
        checked = replace(options, known=digests(self.CONTENTS))
        written = extract_parts(stored(part_001=tar(self.CONTENTS)), [PART], checked)
        assert written.files == set(self.CONTENTS)

    def test_other_content_is_corrupt(self, options: ExtractOptions) -> None:
        """Although the archive around it is whole."""
        checked = replace(options, known=digests(self.CONTENTS))
        data = tar({**self.CONTENTS, "base/2": b"twp"})
        with pytest.raises(CorruptError, match='"base/2" does not have the content'):
            extract_parts(stored(part_001=data), [PART], checked)

    def test_a_file_that_the_index_does_not_name_is_corrupt(self, options: ExtractOptions) -> None:
        """Nobody knows what it should be."""
        checked = replace(options, known=digests({}))
        with pytest.raises(CorruptError, match='"base/1", which its index does not name'):
            extract_parts(stored(part_001=tar(self.CONTENTS)), [PART], checked)

    def test_a_backup_without_digests_is_taken_as_it_is(self, options: ExtractOptions) -> None:
        """Other tools keep none."""
        written = extract_parts(stored(part_001=tar(self.CONTENTS)), [PART], options)
        assert written.files == set(self.CONTENTS)


def test_the_first_error_ends_the_extraction(options: ExtractOptions) -> None:
    """Other parts are left where they are, which is soon and not at their end."""
    many = {f"/base/{number}": b"x" for number in range(500)}
    storage = stored(part_001=tar({"/1": b"one"})[:-1100], part_002=tar(many))
    slow = replace(options, workers=2, advance=lambda _: time.sleep(0.01))
    with pytest.raises(CorruptError, match=r"part_001\.tar\.zst ends early"):
        extract_parts(storage, [PART, "part_002.tar.zst"], slow)
    assert len(list(options.layout.data_dir.glob("base/*"))) < len(many)


def test_a_missing_part_is_an_error(options: ExtractOptions) -> None:
    """And the error is the store's."""
    with pytest.raises(PitrError, match=r"part_001\.tar\.zst"):
        extract_parts(MemoryStorage(), [PART], options)
