"""Page checksums: what is corrupt is named, and what is merely being written is not."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.cluster import Cluster
from tests.support.commands import complaint
from tests.support.environment import clean_environ
from tests.support.site import Site, archive_everything, check_indexes, promoted

PAGE = 8192
CORRUPT = 4
BLOCKS = (1, 3)


def corrupt_cluster(site: Site, *, checksums: bool = True) -> tuple[Cluster, str]:
    """A running cluster with a bit flipped in two pages of a table; its file's path."""
    cluster = site.cluster(checksums=checksums, settings={"autovacuum": False})
    cluster.sql("CREATE TABLE t AS SELECT n FROM generate_series(1, 10000) n")
    path = str(cluster.scalar("SELECT pg_relation_filepath('t')"))
    archive_everything(cluster)
    cluster.stop()
    for block in BLOCKS:
        flip(cluster.data_dir / path, block * PAGE + 5000)
    cluster.start()
    return cluster, path


def flip(file: Path, offset: int) -> None:
    """Change one bit of a file in its place."""
    with file.open("r+b") as stream:
        stream.seek(offset)
        byte = stream.read(1)[0]
        stream.seek(offset)
        stream.write(bytes([byte ^ 1]))


def test_corrupt_pages_are_listed_and_the_backup_is_kept(site: Site) -> None:
    """A marked backup is better than none; the exit code tells whoever started it."""
    cluster, path = corrupt_cluster(site)
    done = site.run("backup-push", env=cluster.environ, check=False)
    assert done.returncode == CORRUPT
    assert f'msg="corrupt pages" file={path} blocks=1,3' in done.stderr
    assert "corrupt_pages=2" in done.stderr
    [backup] = json.loads(site.run("backup-list", "--json").stdout)["backups"]
    assert backup["corrupt_pages"] == len(BLOCKS)
    assert "2 corrupt pages" in site.run("backup-list").stdout


def test_a_restore_of_a_marked_backup_warns(site: Site) -> None:
    """It brings back what was there, the damage included, and says so."""
    cluster, path = corrupt_cluster(site)
    site.backup(cluster, check=False)
    done = site.run("backup-fetch", site.base / "restored", "LATEST")
    assert "2 pages whose checksums failed" in done.stderr
    damaged = (cluster.data_dir / path).read_bytes()
    assert (site.base / "restored" / path).read_bytes() == damaged


def test_corrupt_pages_can_be_refused(site: Site) -> None:
    """No sentinel is written, and the line says where to look."""
    cluster, path = corrupt_cluster(site)
    done = site.run("backup-push", "--fail-on-corrupt-page", env=cluster.environ, check=False)
    assert done.returncode == CORRUPT
    assert f"2 pages fail their checksums, first in {path}" in complaint(done)
    assert site.backups() == []


def test_verification_can_be_switched_off(site: Site) -> None:
    """Pages are then copied as they are."""
    cluster, _ = corrupt_cluster(site)
    site.run("backup-push", env=cluster.environ | {"WALG_VERIFY_PAGE_CHECKSUMS": "false"})


def test_a_cluster_without_checksums_is_not_judged(site: Site) -> None:
    """Its pages carry none, so nothing can be said about them."""
    cluster, _ = corrupt_cluster(site, checksums=False)
    site.backup(cluster)
    promoted(site.restore())


def test_pages_that_are_being_written_are_not_called_corrupt(site: Site) -> None:
    """With hardly any buffers each transaction writes pages while they are read."""
    cluster = site.cluster(
        settings={"shared_buffers": "128kB", "fsync": False, "synchronous_commit": False}
    )
    cluster.pgbench("-i", "-q", "-s", "3")
    with load(cluster):
        for _ in range(3):
            site.backup(cluster)
    archive_everything(cluster)
    assert {
        backup["corrupt_pages"]
        for backup in json.loads(site.run("backup-list", "--json").stdout)["backups"]
    } == {0}
    restored = site.restore()
    promoted(restored)
    check_indexes(restored)


@contextmanager
def load(cluster: Cluster) -> Iterator[None]:
    """Let pgbench write to the cluster meanwhile; it must still be at it in the end."""
    pgbench = str(cluster.binaries.program("pgbench"))
    command = [pgbench, "-n", "-c", "4", "-T", "600", "postgres"]
    with subprocess.Popen(
        command,
        env=clean_environ() | cluster.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            cluster.wait_until("SELECT count(*) > 100 FROM pgbench_history")
            yield
            assert process.poll() is None
        finally:
            process.terminate()
