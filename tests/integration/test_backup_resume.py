"""An interrupted backup is gone on with, by what its objects hold and nothing else."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.commands import started
from tests.support.site import Site, check_indexes, promoted

SLOW = {
    "WALG_UPLOAD_DISK_CONCURRENCY": "1",
    "WALG_TAR_SIZE_THRESHOLD": "2MB",
    "WALG_DISK_RATE_LIMIT": "12MB",
}
TABLES = 6
ROWS = 20_000
ENOUGH = 6


def parts(site: Site, name: str = "*") -> dict[str, Path]:
    """The numbered partitions in the repository, by their names."""
    folder = site.repository / "basebackups_005"
    return {path.name: path for path in folder.glob(f"{name}/tar_partitions/part_*.zst")}


@pytest.fixture
def cluster(site: Site) -> Cluster:
    """A running cluster with tables of some megabytes."""
    cluster = site.cluster()
    for number in range(TABLES):
        cluster.sql(
            f"CREATE TABLE t{number} AS SELECT n, md5(n::text) AS t "
            f"FROM generate_series(1, {ROWS}) n"
        )
    cluster.sql("CHECKPOINT")
    return cluster


@pytest.fixture
def interrupted(site: Site, cluster: Cluster) -> dict[str, int]:
    """Kill a backup when it has stored some partitions; their inodes."""
    with started(site, "backup-push", env=cluster.environ | SLOW) as process:
        while len(parts(site)) < ENOUGH:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not site.backups()
    return {name: path.stat().st_ino for name, path in parts(site).items()}


def resumed(site: Site, cluster: Cluster) -> str:
    """Go on with the backup; return its name."""
    return site.backup(cluster, "--resume")


def same_objects(site: Site, interrupted: dict[str, int]) -> set[str]:
    """Which partitions are still the objects that the interrupted backup stored."""
    now = {name: path.stat().st_ino for name, path in parts(site).items()}
    return {name for name, inode in interrupted.items() if now.get(name) == inode}


def check(site: Site, *, changed: int = 0) -> None:
    """The newest backup restores to what the cluster has, by stock pg_verifybackup too."""
    restored = site.restore("LATEST", "--target", "immediate", "--target-action", "promote")
    promoted(restored)
    for number in range(TABLES):
        assert restored.scalar(f"SELECT count(*) FROM t{number}") == ROWS
    assert restored.scalar("SELECT count(*) FROM t0 WHERE t = 'x'") == changed
    check_indexes(restored)


def test_what_is_stored_and_still_right_stays(
    site: Site, cluster: Cluster, interrupted: dict[str, int]
) -> None:
    """The objects themselves, under the name that the backup began with."""
    (folder,) = (site.repository / "basebackups_005").iterdir()
    name = resumed(site, cluster)
    assert name == folder.name
    assert len(same_objects(site, interrupted)) >= len(interrupted) - 2
    check(site)


def test_a_changed_file_is_stored_anew_though_size_and_time_are_as_before(
    site: Site, cluster: Cluster, interrupted: dict[str, int]
) -> None:
    """Rows that were updated in place."""
    path = cluster.data_dir / str(cluster.scalar("SELECT pg_relation_filepath('t0')"))
    before = path.stat()
    cluster.sql("UPDATE t0 SET t = 'x' WHERE n = 1")
    cluster.sql("CHECKPOINT")
    if path.stat().st_size == before.st_size:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    resumed(site, cluster)
    check(site, changed=1)


def test_a_damaged_object_is_not_taken_over(
    site: Site, cluster: Cluster, interrupted: dict[str, int]
) -> None:
    """One byte of it, or its end."""
    first, second, *_ = sorted(parts(site).items())
    data = bytearray(first[1].read_bytes())
    data[len(data) // 2] ^= 1
    first[1].write_bytes(data)
    second[1].write_bytes(second[1].read_bytes()[:-9])
    resumed(site, cluster)
    check(site)


def test_a_second_interruption_and_new_tables_do_no_harm(
    site: Site, cluster: Cluster, interrupted: dict[str, int]
) -> None:
    """Whatever is left of two attempts, the third is whole; a dropped table is in none."""
    cluster.sql("CREATE DATABASE another")
    cluster.sql("DROP TABLE t5")
    cluster.sql(f"CREATE TABLE t5 AS SELECT n, 'y' AS t FROM generate_series(1, {ROWS}) n")
    count = len(parts(site))
    with started(site, "backup-push", "--resume", env=cluster.environ | SLOW) as process:
        while len(parts(site)) <= count and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    resumed(site, cluster)
    assert len(site.backups()) == 1
    check(site)


def test_what_another_tool_has_under_way_is_left_alone(site: Site, cluster: Cluster) -> None:
    """wal-g takes no lock: its backup without a sentinel may be running."""
    folder = site.repository / "basebackups_005/base_000000010000000000000001/tar_partitions"
    folder.mkdir(parents=True)
    (folder / "part_001.tar.lz4").write_bytes(b"wal-g's")
    name = resumed(site, cluster)
    assert name != "base_000000010000000000000001"
    assert (folder / "part_001.tar.lz4").read_bytes() == b"wal-g's"


def test_without_the_option_the_next_backup_begins_anew(
    site: Site, cluster: Cluster, interrupted: dict[str, int]
) -> None:
    """Under a name of its own."""
    (folder,) = (site.repository / "basebackups_005").iterdir()
    name = site.backup(cluster)
    assert name != folder.name
    assert same_objects(site, interrupted)
    check(site)
