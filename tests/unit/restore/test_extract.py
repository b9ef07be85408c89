"""Extraction writes what was backed up, where it belongs, or ends with an error."""

import hashlib
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from backup_core.errors import CorruptError, PitrError
from backup_core.repository.index import IndexedFile
from backup_core.restore.extract import (
    ExtractOptions,
    Layout,
    check_digest,
    extract_parts,
    read_small_part,
)
from backup_core.storage.memory import MemoryStorage
from backup_core.stream.compress import compress
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


def digests(contents: Mapping[str, bytes]) -> dict[str, IndexedFile]:
    return {
        path: IndexedFile(
            path=path,
            part=PART,
            offset=0,
            size=len(content),
            mode=0o640,
            mtime=0,
            sha256=hashlib.sha256(content).hexdigest(),
        )
        for path, content in contents.items()
    }


@pytest.fixture
def options(tmp_path: Path) -> ExtractOptions:
    """Extraction into `data`, with tablespace 16 in `space`, and without digests."""
    places = Layout(data_dir=tmp_path / "data", tablespaces={16: tmp_path / "space"})
    places.data_dir.mkdir()
    (tmp_path / "space").mkdir()
    return ExtractOptions(layout=places, files=None, workers=1, advance=lambda _: None)


class TestWriting:
    """Files and directories come out as they went in."""

    def test_content_mode_and_paths(self, options: ExtractOptions, tmp_path: Path) -> None:
        """Names in the archive begin with a slash, which is the data directory."""
        large = os.urandom(3 << 20)
        contents = {"/PG_VERSION": b"17\n", "/base/1/1259": large, "/base/1/empty": b""}
        storage = stored(part_001=tar(contents))
        written = extract_parts(storage, [PART], options)
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
        [(name, (member, content))] = read_small_part(storage, "pg_control.tar").items()
        assert (name, member.size, content) == ("global/pg_control", 7, b"control")


class TestEscapes:
    """No name leads out of the data directory."""

    @pytest.mark.parametrize(
        "name", ["/../evil", "/base/../../evil", "..", "/base/./1", "/pg_tblspc/16/../../evil"]
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

    def test_a_name_with_a_nul_is_refused(self, options: ExtractOptions) -> None:
        """Which an extended header can hold."""
        with pytest.raises(CorruptError, match="leads out"):
            options.layout.locate("base\0/1")

    @pytest.mark.parametrize("path", ["/etc/passwd", "//etc/passwd"])
    def test_an_absolute_name_is_below_the_data_directory(
        self, path: str, options: ExtractOptions
    ) -> None:
        """As every name in WAL-G's archives is."""
        assert options.layout.locate(path) == options.layout.data_dir / "etc/passwd"

    def test_a_tablespace_number_must_be_one(self, options: ExtractOptions) -> None:
        """Whatever else is below pg_tblspc belongs to the data directory."""
        place = options.layout.locate("pg_tblspc/16x/1")
        assert place == options.layout.data_dir / "pg_tblspc/16x/1"


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

    def test_the_same_file_twice_is_an_error(self, options: ExtractOptions) -> None:
        """A backup holds each once, so one of them would be wrong."""
        storage = stored(part_001=tar({"/1": b"one"}), part_002=tar({"/1": b"two"}))
        with pytest.raises(PitrError, match="File exists"):
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
        checked = replace(options, files=digests(self.CONTENTS))
        written = extract_parts(stored(part_001=tar(self.CONTENTS)), [PART], checked)
        assert written == set(self.CONTENTS)

    def test_other_content_is_corrupt(self, options: ExtractOptions) -> None:
        """Although the archive around it is whole."""
        checked = replace(options, files=digests(self.CONTENTS))
        data = tar({**self.CONTENTS, "base/2": b"twp"})
        with pytest.raises(CorruptError, match='"base/2" does not have the content'):
            extract_parts(stored(part_001=data), [PART], checked)

    def test_a_file_that_the_index_does_not_name_is_corrupt(self, options: ExtractOptions) -> None:
        """Nobody knows what it should be."""
        checked = replace(options, files=digests({}))
        with pytest.raises(CorruptError, match='"base/1", which its index does not name'):
            extract_parts(stored(part_001=tar(self.CONTENTS)), [PART], checked)

    def test_a_backup_without_digests_is_taken_as_it_is(self) -> None:
        """Other tools keep none."""
        check_digest("base/1", "anything", None)


def test_the_first_error_ends_the_extraction(options: ExtractOptions) -> None:
    """Other parts are left where they are, which is soon and not at their end."""
    many = {f"/base/{number}": b"x" for number in range(500)}
    storage = stored(part_001=tar({"/1": b"one"})[:-1024], part_002=tar(many))
    slow = replace(options, workers=2, advance=lambda _: time.sleep(0.01))
    with pytest.raises(CorruptError, match=r"part_001\.tar\.zst ends early"):
        extract_parts(storage, [PART, "part_002.tar.zst"], slow)
    assert len(list(options.layout.data_dir.glob("base/*"))) < len(many)


def test_a_missing_part_is_an_error(options: ExtractOptions) -> None:
    """And the error is the store's."""
    with pytest.raises(PitrError, match=r"part_001\.tar\.zst"):
        extract_parts(MemoryStorage(), [PART], options)
