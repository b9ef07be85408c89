"""One prefix that WAL-E began, WAL-G went on with and pitr has now."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backup_core.archive.fetch import FetchRequest, fetch_wal
from backup_core.repository import layout
from backup_core.repository.wal_archive import find_wal, read_wal
from backup_core.storage.file import FileStorage
from backup_core.stream.compress import compress
from tests.support.commands import complaint
from tests.support.postgres import find_binaries
from tests.support.s3_stub import Segments, s3_stub
from tests.support.segments import SYSTEM_IDENTIFIER, segment
from tests.support.site import Site, archive_everything, open_site, promoted
from tests.support.wal_e import LZOP_BLOCK, open_archive
from tests.unit.stream.samples import lzop_file

PLAIN = open_archive("plain")
NAMES = [f"00000001000000000000000{digit}" for digit in "456"]


@pytest.fixture
def pg14(tmp_path: Path) -> Iterator[Site]:
    """A place for servers of WAL-E's version, with a copy of its archive."""
    with open_site(tmp_path, find_binaries(14)) as site:
        shutil.rmtree(site.repository)
        shutil.copytree(PLAIN.prefix, site.repository)
        yield site


def blocks(content: bytes) -> list[bytes]:
    """Cut as the lzop program does."""
    return [content[at : at + LZOP_BLOCK] for at in range(0, len(content), LZOP_BLOCK)]


def recoded(repository: Path, name: str, method: str, extension: str) -> None:
    """Store a segment of WAL-E's as WAL-G would have."""
    storage = FileStorage(repository)
    found = find_wal(storage, name)
    assert found is not None
    content = b"".join(read_wal(storage, found))
    (repository / found.key).unlink()
    storage.put(layout.wal(name, extension), [compress(content, method=method, level=3)])


def test_a_backup_by_wal_e_is_recovered_through_wal_of_three_tools(pg14: Site) -> None:
    """lzop by WAL-E, lz4 by WAL-G, zstd by pitr from the promoted server on."""
    segments = [row["name"] for row in PLAIN.wal if len(row["name"]) == 24]
    recoded(pg14.repository, segments[1], "lz4", "lz4")
    recoded(pg14.repository, segments[2], "brotli", "br")

    def restored(name: str) -> Site:
        pg14.run("backup-fetch", pg14.base / name, "--minimal-config")
        (pg14.base / name / "pg_hba.conf").write_text("local all all trust\n")
        return replace(pg14, base=pg14.base / name)

    first = restored("first").base
    with (first / "postgresql.auto.conf").open("a") as conf:
        conf.writelines(f"{key} = {_quoted(text)}\n" for key, text in _archiving(pg14).items())
    cluster = pg14.make_cluster(adopt=first)
    promoted(cluster)
    rows = int(str(cluster.scalar("SELECT count(*) FROM t1")))
    cluster.sql("INSERT INTO t1 (id, payload) VALUES (0, 'by pitr')")
    archive_everything(cluster)
    cluster.stop()
    extensions = {path.suffix for path in (pg14.repository / "wal_005").iterdir()}
    assert extensions == {".lzo", ".lz4", ".br", ".zst"}
    again = pg14.make_cluster(adopt=restored("again").base)
    promoted(again)
    assert again.scalar("SELECT count(*) FROM t1") == rows + 1


def _archiving(site: Site) -> dict[str, str]:
    return {key: str(value) for key, value in site.archive_settings().items()}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def test_each_codec_is_found_and_a_missing_segment_costs_one_listing_of_its_name(
    tmp_path: Path,
) -> None:
    """WAL-G asks for a segment under eight names, one after the other."""
    with s3_stub(Segments(count=0)) as stub:
        storage = stub.storage()
        contents = {name: segment(name) for name in NAMES}
        stored = {
            layout.wal(NAMES[0], "lzo"): lzop_file(*blocks(contents[NAMES[0]])),
            layout.wal(NAMES[1], "lz4"): compress(contents[NAMES[1]], method="lz4", level=3),
            layout.wal(NAMES[2], "zst"): compress(contents[NAMES[2]], method="zstd", level=3),
        }
        for key, data in stored.items():
            storage.put(key, [data])
        record = f'{{"system_identifier": {SYSTEM_IDENTIFIER}}}'.encode()
        storage.put(layout.IDENTITY, [record])
        for name, content in contents.items():
            fetch_wal(storage, FetchRequest(name=name, destination=tmp_path / name))
            assert (tmp_path / name).read_bytes() == content
        stub.requests()
        absent = "000000010000000000000007"
        assert fetch_wal(storage, FetchRequest(name=absent, destination=tmp_path / "x")).key is None
        asked = stub.requests()
        assert asked.get("GET", 0) + asked.get("HEAD", 0) <= 1, asked
        assert asked["LIST"] <= 3, asked


def test_two_objects_of_one_segment_are_read_as_one(pg14: Site) -> None:
    """Both tools archived it for a while; whichever comes first serves."""
    name = next(row["name"] for row in PLAIN.wal if len(row["name"]) == 24)
    storage = FileStorage(pg14.repository)
    found = find_wal(storage, name)
    assert found is not None
    content = b"".join(read_wal(storage, found))
    storage.put(layout.wal(name, "lz4"), [compress(content, method="lz4", level=3)])
    pg14.run("wal-fetch", name, pg14.base / name)
    assert (pg14.base / name).read_bytes() == content
    (pg14.base / "new").mkdir()
    (pg14.base / "new" / name).write_bytes(content[:-1] + b"x")
    done = pg14.run("wal-push", pg14.base / "new" / name, check=False)
    assert "with different content" in complaint(done)
