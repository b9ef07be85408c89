"""WAL segments of other sizes than 16 MiB; the names count differently at each size.

Each cluster begins its WAL two segments before its names roll over to the next log id, which is
where arithmetic for the wrong size goes wrong.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from backup_core.postgres.wal import LOG_ID_SIZE, segment_name
from tests.support.cluster import Cluster
from tests.support.commands import complaint
from tests.support.site import Site, archive_everything, check_indexes, promoted

SIZES = pytest.mark.parametrize("mebibytes", [1, 64])


def cluster_at_roll_over(site: Site, mebibytes: int) -> Cluster:
    """A cluster with segments of that size whose WAL is about to enter the next log id."""
    cluster = site.make_cluster(
        settings=site.archive_settings(), wal_segment_mb=mebibytes, start=False
    )
    near = segment_name(1, LOG_ID_SIZE // size_of(mebibytes) - 2, size_of(mebibytes))
    cluster.run("pg_resetwal", "-l", near, "-D", str(cluster.data_dir))
    cluster.start()
    return cluster


def size_of(mebibytes: int) -> int:
    """A segment's size in bytes."""
    return mebibytes << 20


def archive_segments(cluster: Cluster, count: int) -> list[str]:
    """Write and archive that many segments; return their names."""
    return [archive_everything(cluster) for _ in range(count)]


@SIZES
def test_a_lost_cluster_comes_back(site: Site, mebibytes: int) -> None:
    """Backup, WAL on both sides of the roll-over, and recovery to a target work at any size."""
    cluster = cluster_at_roll_over(site, mebibytes)
    cluster.sql("CREATE TABLE t AS SELECT n, md5(n::text) AS h FROM generate_series(1, 1000) n")
    cluster.sql("CREATE INDEX ON t (h)")
    site.backup(cluster)
    archive_segments(cluster, 3)
    cluster.sql("INSERT INTO t SELECT n, md5(n::text) FROM generate_series(1001, 20000) n")
    target = str(cluster.scalar("SELECT pg_current_wal_lsn()"))
    cluster.sql("DELETE FROM t")
    archive_everything(cluster)
    cluster.kill()
    shutil.rmtree(cluster.data_dir)

    restored = site.restore("--target-lsn", target, "--target-action", "promote")

    promoted(restored)
    assert target.startswith("1/")
    assert restored.scalar("SELECT count(*) FROM t") == 20000
    check_indexes(restored)


@SIZES
def test_wal_show_counts_across_the_roll_over(site: Site, mebibytes: int) -> None:
    """Segments on both sides of it are one range; one that is missing there is one gap."""
    names = archive_segments(cluster_at_roll_over(site, mebibytes), 5)
    roll_over = segment_name(1, LOG_ID_SIZE // size_of(mebibytes), size_of(mebibytes))
    assert names[1] < roll_over < names[-1]

    whole = shown(site)
    stored(site, roll_over).unlink()
    broken = shown(site)

    assert whole["wal_segment_size"] == broken["wal_segment_size"] == size_of(mebibytes)
    (timeline,) = whole["timelines"]
    assert timeline["ranges"] == [{"first": names[0], "last": names[-1], "segments": 5}]
    assert timeline["gaps"] == []
    (timeline,) = broken["timelines"]
    assert timeline["gaps"] == [{"first": roll_over, "last": roll_over, "segments": 1}]
    text = site.run("wal-show").stdout
    assert f"GAP on timeline 1: {roll_over} to {roll_over}, 1 segments" in text


@SIZES
def test_a_gap_on_the_way_is_refused(site: Site, mebibytes: int) -> None:
    """The refusal names the very segment that is missing."""
    cluster = cluster_at_roll_over(site, mebibytes)
    site.backup(cluster)
    roll_over = segment_name(1, LOG_ID_SIZE // size_of(mebibytes), size_of(mebibytes))
    archive_segments(cluster, 4)
    stored(site, roll_over).unlink()

    done = site.run("backup-fetch", site.base / "new", check=False)

    assert done.returncode == 3
    assert f"WAL segment {roll_over} on the way" in complaint(done)
    assert not (site.base / "new").exists()


def shown(site: Site) -> dict[str, Any]:
    """What wal-show says, for programs."""
    document: dict[str, Any] = json.loads(site.run("wal-show", "--json").stdout)
    return document


def stored(site: Site, name: str) -> Path:
    """The object of a segment."""
    return site.repository / "wal_005" / f"{name}.zst"
