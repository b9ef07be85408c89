"""What is there counts by its digest, and what goes is what the backup does not have."""

import os
from pathlib import Path

import pytest

from backup_core.repository.index import BackupIndex, IndexedFile
from backup_core.restore.existing import Existing, clear, survey
from backup_core.restore.places import Layout
from backup_core.stream.digest import WRITTEN

CONTENTS = {
    "PG_VERSION": b"17\n",
    "base/1/1": b"a" * 9000,
    "base/1/2": b"",
    "pg_tblspc/16/PG_17_1/5/3": b"there",
}
DIRECTORIES = ("", "base", "base/1", "global", "pg_tblspc", "pg_tblspc/16/PG_17_1/5", "pg_wal")


def index_of(contents: dict[str, bytes]) -> BackupIndex:
    """The index of a backup of these files."""
    return BackupIndex(
        wal_segment_size=1,
        algorithm=WRITTEN,
        files=tuple(
            IndexedFile(
                path=path,
                part="part_001.tar.zst",
                offset=0,
                size=len(content),
                mode=0o600,
                mtime=0,
                digest=WRITTEN.new(content).hexdigest(),
            )
            for path, content in contents.items()
        ),
        directories=(*DIRECTORIES, "pg_tblspc/16/PG_17_1"),
        parts=(),
    )


@pytest.fixture
def places(tmp_path: Path) -> Layout:
    """A data directory that is exactly the backup, and a tablespace beside it."""
    found = Layout(data_dir=tmp_path / "data", tablespaces={16: tmp_path / "space"})
    for path, content in CONTENTS.items():
        place = found.locate(tuple(path.split("/"))).path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(0o600)
    for name in ("global", "pg_tblspc", "pg_wal"):
        (tmp_path / "data" / name).mkdir()
    (tmp_path / "data/pg_tblspc/16").symlink_to(tmp_path / "space")
    return found


def surveyed(places: Layout) -> Existing:
    """The survey, by two workers."""
    return survey(places, index_of(CONTENTS), workers=2, advance=lambda _: None)


def test_what_agrees_stays(places: Layout) -> None:
    """Only the tablespace's link goes, which the restore makes anew."""
    found = surveyed(places)
    assert found.kept == CONTENTS.keys()
    assert found.removed == ("pg_tblspc/16",)
    assert (found.replaced, found.modes) == ((), ())
    assert found.kept_size == 9008
    assert found.present == {None: 9003, 16: 5}


def test_size_and_time_prove_nothing(places: Layout) -> None:
    """A page that was never written, or other rows in as many bytes."""
    path = places.data_dir / "base/1/1"
    before = path.stat()
    path.write_bytes(b"a" * 8999 + b"b")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = surveyed(places)
    assert found.replaced == ("base/1/1",)
    assert "base/1/1" not in found.kept


def test_a_file_that_another_directory_has_too_is_not_shared(
    places: Layout, tmp_path: Path
) -> None:
    """The server would write to both."""
    (tmp_path / "other").hardlink_to(places.data_dir / "base/1/1")
    found = surveyed(places)
    assert found.replaced == ("base/1/1",)
    clear(places, found, {})
    assert (tmp_path / "other").read_bytes() == CONTENTS["base/1/1"]


def test_what_the_backup_lacks_is_removed_and_nothing_behind_links(
    places: Layout, tmp_path: Path
) -> None:
    """Files, directories with what is in them, links, pg_control, whatever stands in the way."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_bytes(b"x")
    data = places.data_dir
    (data / "global/pg_control").write_bytes(b"x")
    (data / "base/9/deep").mkdir(parents=True)
    (data / "base/9/deep/file").write_bytes(b"x")
    (data / "pg_wal").rmdir()
    (data / "pg_wal").symlink_to(elsewhere)
    (data / "base/1/1").unlink()
    (data / "base/1/1").mkdir()
    (tmp_path / "space/PG_17_1/5/4").write_bytes(b"x")
    (tmp_path / "space/PG_16_1").mkdir()
    (tmp_path / "space/PG_16_1/other").write_bytes(b"x")
    found = surveyed(places)
    assert set(found.removed) == {
        *("global/pg_control", "base/9/deep/file", "base/9/deep", "base/9", "pg_wal", "base/1/1"),
        *("pg_tblspc/16", "pg_tblspc/16/PG_17_1/5/4"),
    }
    clear(places, found, {})
    assert surveyed(places).removed == ()
    assert (elsewhere / "precious").exists()
    assert (tmp_path / "space/PG_16_1/other").exists()


def test_modes_are_mended(places: Layout) -> None:
    """A server refuses a directory that others can read."""
    path = places.data_dir / "PG_VERSION"
    path.chmod(0o644)
    found = surveyed(places)
    assert found.modes == ("PG_VERSION",)
    clear(places, found, {file.path: file for file in index_of(CONTENTS).files})
    assert surveyed(places).modes == ()
