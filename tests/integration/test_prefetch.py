"""Prefetching in recovery: ahead of the server, in its order, and never a leftover."""

from collections.abc import Iterator

import pytest

from tests.support.site import Site, archive_everything, promoted
from tests.support.spooled import (
    fill,
    no_worker_left,
    spool_of,
    until,
    workers,
)


@pytest.fixture(autouse=True)
def _no_worker_left(site: Site) -> Iterator[None]:
    """Workers outlive the server by a second or so; tests should not wait for that."""
    with no_worker_left(spool_of(site)):
        yield


def test_a_recovery_is_served_by_the_shell(site: Site) -> None:
    """Most segments are moved out of the spool without a call of pitr."""
    cluster = site.cluster(wal_segment_mb=1)
    site.backup(cluster)
    cluster.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
    fill(cluster, 30)
    archive_everything(cluster)
    cluster.close()
    restored = site.restore("LATEST", "--spool-dir", spool_of(site), "--archive-mode-off")
    promoted(restored)
    assert restored.scalar("SELECT count(*) FROM t") == 1000
    assert restored.log.count("restored log file") > 30
    assert restored.log.count('msg="fetched"') < 10
    until(lambda: not workers(spool_of(site), "prefetch"))
    assert not list((spool_of(site) / "fetched").iterdir())
