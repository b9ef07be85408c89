"""Pushing ahead into a bucket: over networks that do harm, and into a store that fails half-way.

A real server archives through its spool. Every file that it takes for archived is kept, and has to
be whole in the bucket at any moment, whatever happened.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_core.postgres.archiving import archive_command
from tests.support.bucket import BucketSite, bucket_site
from tests.support.cluster import Cluster
from tests.support.environment import pitr_program
from tests.support.faults import Answer, Corrupt, Drop, Schedule, Throttle, always, never, often
from tests.support.fixtures import MakeCluster, Pitr
from tests.support.proxy import FaultProxy
from tests.support.seaweed import SeaweedFS, seaweed
from tests.support.spooled import (
    HELD,
    audited,
    no_worker_left,
    release,
    spool_of,
    until,
    until_archived,
    waiting_of,
)

FAULTS: dict[str, Schedule] = {
    "503": often(0.3, Answer(status=503, body=b"<Error><Code>SlowDown</Code></Error>")),
    "cut-requests": often(0.3, Drop(after_request_bytes=1_000_000)),
    "lost-answers": often(0.3, Drop()),
    "corrupt-requests": often(0.3, Corrupt(request_offset=100)),
}
KEPT = "PostgreSQL keeps what is not archived"
PATIENCE = 180.0
"""Seconds: a server that was refused three times tries again after a minute."""
SLOW = Throttle(bytes_per_second=8 << 20)
NOISE = (
    "SELECT pg_logical_emit_message(true, 'noise', (SELECT string_agg("
    "sha512((random() + n)::text::bytea)::text, '') FROM generate_series(1, 60000) n))"
)


@pytest.fixture(autouse=True)
def _no_worker_left(tmp_path: Path) -> Iterator[None]:
    """Made before all else, so that workers end when no server is left to start another."""
    with no_worker_left(tmp_path / "spool"):
        yield


@pytest.fixture
def bucket(
    tmp_path: Path, pitr: Pitr, make_cluster: MakeCluster, server: SeaweedFS, proxy: FaultProxy
) -> BucketSite:
    """An empty prefix behind the network, to which a try takes two seconds."""
    return site_of(tmp_path, pitr, make_cluster, server, proxy.url)


def site_of(
    base: Path, pitr: Pitr, make_cluster: MakeCluster, server: SeaweedFS, endpoint: str
) -> BucketSite:
    """A site whose segments are sent in several parts."""
    site = bucket_site(base, pitr, make_cluster, server, endpoint=endpoint, retry_timeout="2s")
    with site.config.open("a") as config:
        config.write(f'compression_method = "none"\nspool_dir = "{spool_of(site)}"\n')
    return site


def waiting_cluster(bucket: BucketSite, segments: int) -> Cluster:
    """A server that has this many full segments to archive, and may not yet."""
    cluster = bucket.cluster(settings={"archive_command": HELD})
    more(cluster, segments)
    return cluster


def more(cluster: Cluster, segments: int) -> list[str]:
    """Fill segments with what does not repeat; return the names of all that wait."""
    for _ in range(segments):
        cluster.sql(NOISE)
        cluster.sql("SELECT pg_switch_wal()")
    return waiting_of(cluster)


def let_archive(bucket: BucketSite, cluster: Cluster) -> None:
    """Let the server archive by its spool, each file that it takes for archived being kept."""
    words = ["--config", str(bucket.config)]
    push = archive_command(
        [str(pitr_program())], spool=str(spool_of(bucket)), extra_arguments=words
    )
    release(cluster, audited(bucket, push))


def taken(bucket: BucketSite) -> list[Path]:
    """What the server took for archived."""
    return list((bucket.base / "audit").iterdir())


def held_against_the_bucket(bucket: BucketSite) -> set[str]:
    """Hold every file that was taken for archived against the bucket; return their names."""
    kept = taken(bucket)
    for path in kept:
        assert bucket.archived(path.name) == path.read_bytes(), path.name
    return {path.name for path in kept}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_network_that_does_harm_harms_no_segment(
    bucket: BucketSite, proxy: FaultProxy, fault: str
) -> None:
    """Of three requests in ten; all that waits is archived all the same, and whole."""
    cluster = waiting_cluster(bucket, 6)
    names = waiting_of(cluster)
    proxy.schedule = FAULTS[fault]
    let_archive(bucket, cluster)
    until(lambda: not waiting_of(cluster), PATIENCE)
    assert held_against_the_bucket(bucket) >= set(names)


def test_a_network_that_is_unplugged_is_told_and_waited_for(
    bucket: BucketSite, proxy: FaultProxy
) -> None:
    """In mid-upload: log, check and metrics say since when and why, and all arrives afterwards."""
    cluster = waiting_cluster(bucket, 10)
    names = waiting_of(cluster)
    proxy.schedule = always(SLOW)
    let_archive(bucket, cluster)
    until(lambda: len(taken(bucket)) > 1)
    proxy.pause()
    until(lambda: KEPT in cluster.log)
    until(lambda: "no connection with 127.0.0.1" in check(bucket, cluster))
    metrics = bucket.run("metrics", "--only", "server", env=cluster.environ).stdout
    assert failing_since(metrics) > 0
    held_against_the_bucket(bucket)
    assert waiting_of(cluster)

    proxy.schedule = never
    proxy.resume()
    more(cluster, 1)  # or the server waits for up to a minute
    until(lambda: not waiting_of(cluster), PATIENCE)
    assert held_against_the_bucket(bucket) >= set(names)
    metrics = bucket.run("metrics", "--only", "server", env=cluster.environ).stdout
    assert failing_since(metrics) == 0


def failing_since(metrics: str) -> float:
    """The value of the metric that tells since when pushing fails."""
    name = "pitr_wal_push_failing_timestamp_seconds "
    (line,) = (line for line in metrics.splitlines() if line.startswith(name))
    return float(line.removeprefix(name))


def check(bucket: BucketSite, cluster: Cluster) -> str:
    """What is said of the archiver by a check that looks at little else."""
    words = ("check", "--json", "--no-switch", "--no-windows")
    done = bucket.run(*words, env=cluster.environ, check=False)
    found = {each["name"]: each["text"] for each in json.loads(done.stdout)["checks"]}
    return str(found["archiver"])


def test_a_store_that_dies_in_mid_upload_is_waited_for(
    tmp_path: Path, pitr: Pitr, make_cluster: MakeCluster
) -> None:
    """By SIGKILL; what was taken for archived is there when it has come back."""
    with (
        seaweed(tmp_path / "seaweed") as server,
        FaultProxy(server.url, always(SLOW)) as network,
    ):
        bucket = site_of(tmp_path, pitr, make_cluster, server, network.url)
        cluster = waiting_cluster(bucket, 8)
        names = waiting_of(cluster)
        let_archive(bucket, cluster)
        until(lambda: len(taken(bucket)) > 1)
        server.kill()
        until(lambda: KEPT in cluster.log)
        assert waiting_of(cluster)
        server.restart()
        network.schedule = never
        more(cluster, 1)
        until(lambda: not waiting_of(cluster), PATIENCE)
        assert held_against_the_bucket(bucket) >= set(names)


def test_a_store_that_fills_up_takes_nothing_for_archived_that_it_lacks(
    tmp_path: Path, pitr: Pitr, make_cluster: MakeCluster
) -> None:
    """What fits is archived, the rest stays with the server."""
    with seaweed(tmp_path / "seaweed", capacity_mb=48) as server:
        bucket = site_of(tmp_path, pitr, make_cluster, server, server.url)
        cluster = waiting_cluster(bucket, 1)
        let_archive(bucket, cluster)
        until_archived(cluster)
        more(cluster, 5)
        until(lambda: KEPT in cluster.log)
        assert waiting_of(cluster)
        assert len(held_against_the_bucket(bucket)) >= 1
