"""One prefix through the years: WAL-E's lzop, WAL-G's lz4 and brotli, and what is written today."""

import random
import subprocess

import pytest

from backup_core.stream.compress import EXTENSIONS
from tests.support.segments import FIRST, MEBIBYTE, SECOND, THIRD, segment, wal_file
from tests.support.site import Site, archive_everything, promoted

NAMES = (FIRST, SECOND, THIRD, *(f"00000001000000000000000{number}" for number in "456789"))
PROGRAMS = {"lzo": "lzop -c", "gz": "gzip -c", "lz4": "lz4 -c"}
COMPRESSING = [method for method in EXTENSIONS if method != "none"]


def fetched(site: Site, name: str) -> bytes:
    """What wal-fetch delivers."""
    destination = site.base / "fetched" / name
    destination.parent.mkdir(exist_ok=True)
    site.run("wal-fetch", name, destination)
    return destination.read_bytes()


@pytest.fixture
def contents(site: Site) -> dict[str, bytes]:
    """The segments of a prefix in which each has another codec, by name."""
    contents = {name: segment(name, seed=seed) for seed, name in enumerate(NAMES)}
    names = iter(NAMES)
    for method, name in zip(EXTENSIONS, names, strict=False):
        path = wal_file(site.base, name, contents[name])
        site.run("wal-push", path, env={"WALG_COMPRESSION_METHOD": method})
    for (extension, program), name in zip(PROGRAMS.items(), names, strict=False):
        stored = subprocess.run(
            program.split(), input=contents[name], capture_output=True, check=True
        ).stdout
        (site.repository / "wal_005" / f"{name}.{extension}").write_bytes(stored)
    return dict(list(contents.items())[: len(EXTENSIONS) + len(PROGRAMS)])


def test_wal_of_every_codec_is_delivered(site: Site, contents: dict[str, bytes]) -> None:
    """The reader's own setting does not matter, and the order of the codecs neither."""
    stored = {path.suffix for path in (site.repository / "wal_005").glob("0*")}
    assert stored == {"", ".zst", ".lz4", ".br", ".lzma", ".lzo", ".gz"}
    for name, content in contents.items():
        assert fetched(site, name) == content


def test_wal_show_sees_one_unbroken_range(site: Site, contents: dict[str, bytes]) -> None:
    """A change of codec is no gap."""
    shown = site.run("wal-show").stdout
    assert FIRST in shown
    assert list(contents)[-1] in shown
    assert "missing" not in shown.lower()


@pytest.mark.parametrize("method", COMPRESSING)
def test_st_decodes_by_the_objects_name(site: Site, method: str) -> None:
    """`st put` stores with the codec of the settings."""
    content = b"notes\n" * 1000
    (site.base / "notes").write_bytes(content)
    env = {"WALG_COMPRESSION_METHOD": method}
    site.run("st", "put", site.base / "notes", "notes.txt", env=env)
    shown = site.run("st", "cat", "--decompress", f"notes.txt.{EXTENSIONS[method]}")
    assert shown.stdout.encode() == content


@pytest.mark.parametrize("method", ["lz4", "brotli", "lzma"])
def test_a_cluster_comes_back_from_a_copy_in_each_codec(site: Site, method: str) -> None:
    """Backup and WAL are decoded on the way to the copy, stored as they were, and restored."""
    cluster = site.cluster()
    cluster.sql("CREATE TABLE t AS SELECT n, md5(n::text) AS h FROM generate_series(1, 20000) n")
    site.run("backup-push", env={**cluster.environ, "WALG_COMPRESSION_METHOD": method})
    last = archive_everything(cluster)
    cluster.kill()
    content = fetched(site, last)
    (site.repository / "wal_005" / f"{last}.zst").unlink()
    site.run(
        "wal-push",
        wal_file(site.base, last, content),
        env={"WALG_COMPRESSION_METHOD": method},
    )
    target = site.base / "target"
    target.mkdir()
    site.run("copy", "--with-history", f"file://{site.repository}", f"file://{target}")

    restored = site.restore("--repository", f"file://{target}")

    promoted(restored)
    assert restored.scalar("SELECT bool_and(h = md5(n::text)) FROM t") is True
    assert restored.scalar("SELECT count(*) FROM t") == 20000
    copied = {path.suffix for path in target.glob("*/*/tar_partitions/*")}
    assert copied == {f".{EXTENSIONS[method]}"}


@pytest.mark.parametrize("method", EXTENSIONS)
def test_a_segment_that_compresses_badly_is_known_by_its_head(site: Site, method: str) -> None:
    """Some codecs decode nothing before a block is whole, and lz4's are of 4 MiB."""
    content = bytearray(random.Random(1).randbytes(16 * MEBIBYTE))
    for zeroed in range(8):
        content[zeroed::16] = bytes(MEBIBYTE)
    content[:8192] = segment(size=16 * MEBIBYTE)[:8192]
    path = wal_file(site.base, FIRST, bytes(content))
    site.run("wal-push", path, env={"WALG_COMPRESSION_METHOD": method})
    assert FIRST in site.run("wal-show").stdout
