"""Archive, back up, lose, restore: on every supported major."""

import shutil

import pytest

from tests.support.site import Site, archive_everything, check_indexes, promoted


@pytest.mark.postgres(12, 13, 14, 15, 16, 17, 18)
def test_a_lost_cluster_comes_back_at_the_moment_named(site: Site) -> None:
    """What was committed before the target is there, what came after is not, nothing is damaged."""
    cluster = site.cluster()
    cluster.sql("CREATE TABLE t AS SELECT n, md5(n::text) AS h FROM generate_series(1, 20000) n")
    cluster.sql("CREATE INDEX ON t (h)")
    site.backup(cluster)
    cluster.sql("INSERT INTO t SELECT n, md5(n::text) FROM generate_series(20001, 30000) n")
    target = cluster.scalar("SELECT pg_current_wal_lsn()")
    cluster.sql("DELETE FROM t")
    archive_everything(cluster)
    cluster.kill()
    shutil.rmtree(cluster.data_dir)

    restored = site.restore("--target-lsn", str(target), "--target-action", "promote")

    promoted(restored)
    assert restored.scalar("SELECT count(*) FROM t") == 30000
    assert restored.scalar("SELECT bool_and(h = md5(n::text)) FROM t") is True
    check_indexes(restored)


@pytest.mark.postgres(12, 13, 14, 15, 16, 17, 18)
def test_without_a_target_everything_archived_comes_back(site: Site) -> None:
    """Recovery follows the archive to its very end, proves that it is the end, and promotes."""
    cluster = site.cluster()
    site.backup(cluster)
    cluster.sql("CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) n")
    archive_everything(cluster)
    cluster.kill()

    restored = site.restore()

    promoted(restored)
    assert restored.scalar("SELECT count(*) FROM t") == 1000
