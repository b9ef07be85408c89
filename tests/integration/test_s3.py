"""A repository on a real S3 server: the whole way, over a bad network, and without the server.

Faults are those of a network and of a server under load, at any byte, by a schedule. What must hold
under each of them: wal-push says yes only to what is whole in the store, a backup exists only with
all its parts, and a restore brings back every byte or says why it cannot.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.bucket import BucketSite, bucket_site
from tests.support.commands import complaint, finished, read_until, started
from tests.support.faults import (
    Answer,
    Corrupt,
    Delay,
    Drop,
    Schedule,
    SeenRequest,
    Throttle,
    Truncate,
    never,
    often,
    only,
)
from tests.support.fixtures import MakeCluster, Pitr
from tests.support.proxy import FaultProxy
from tests.support.seaweed import SeaweedFS, seaweed
from tests.support.segments import FIRST, MEBIBYTE, segment, wal_file
from tests.support.site import archive_everything, check_indexes, promoted

FAULTS: dict[str, Schedule] = {
    "429": often(0.3, Answer(status=429, headers={"Retry-After": "0"})),
    "500": often(0.3, Answer(status=500, body=b"<Error><Code>InternalError</Code></Error>")),
    "503": often(0.3, Answer(status=503, body=b"<Error><Code>SlowDown</Code></Error>")),
    "503-at-once": often(0.3, Answer(status=503, read_body=False)),
    "cut-requests": often(0.3, Drop(after_request_bytes=1000)),
    "lost-answers": often(0.3, Drop()),
    "cut-answers": often(0.3, Drop(after_response_bytes=100_000)),
    "short-answers": often(0.3, Truncate(after_response_bytes=10)),
    "corrupt-requests": often(0.3, Corrupt(request_offset=100)),
    "delays": often(0.3, Delay(seconds=0.3)),
    "slow": often(0.3, Throttle(bytes_per_second=4 << 20)),
}
SLOW = Throttle(bytes_per_second=1 << 20)
ONE_BY_ONE = {"PITR_UPLOAD_DISK_CONCURRENCY": "1", "PITR_COMPRESSION_METHOD": "none"}
BIG = "CREATE TABLE t AS SELECT n, sha512(n::text::bytea) AS h FROM generate_series(1, 60000) n"


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[SeaweedFS]:
    """A server that a test may kill."""
    with seaweed(tmp_path / "seaweed") as running:
        yield running


@pytest.fixture
def bucket(
    tmp_path: Path, pitr: Pitr, make_cluster: MakeCluster, server: SeaweedFS, proxy: FaultProxy
) -> BucketSite:
    """An empty prefix of the bucket behind the network."""
    return bucket_site(tmp_path, pitr, make_cluster, server, endpoint=proxy.url)


def in_mid_body(request: SeenRequest) -> bool:
    """Tell whether a request carries a large part."""
    return int(request.headers.get("content-length", "0")) > MEBIBYTE


def test_a_lost_cluster_comes_back_from_the_bucket(bucket: BucketSite) -> None:
    """Archived, backed up in parts of 5 MiB, lost, restored by range and checksum, promoted."""
    cluster = bucket.cluster()
    cluster.sql(BIG)
    bucket.backup(cluster)
    cluster.sql(
        "INSERT INTO t SELECT n, sha512(n::text::bytea) FROM generate_series(60001, 70000) n"
    )
    archive_everything(cluster)
    cluster.kill()
    shutil.rmtree(cluster.data_dir)

    restored = bucket.restore()

    promoted(restored)
    assert restored.scalar("SELECT count(*) FROM t WHERE h = sha512(n::text::bytea)") == 70000
    check_indexes(restored)


@pytest.mark.parametrize("fault", FAULTS)
def test_wal_push_keeps_its_promise(bucket: BucketSite, proxy: FaultProxy, fault: str) -> None:
    """Three of ten requests are harmed; the segment arrives whole all the same, and comes back."""
    content = segment(FIRST, size=16 * MEBIBYTE)
    path = wal_file(bucket.base, FIRST, content)
    proxy.schedule = FAULTS[fault]
    bucket.run("wal-push", path)
    assert bucket.archived(FIRST) == content
    bucket.run("wal-push", path)
    bucket.run("wal-fetch", FIRST, bucket.base / "fetched")
    assert (bucket.base / "fetched").read_bytes() == content


@pytest.mark.parametrize("fault", FAULTS)
def test_backup_and_restore_keep_their_promises(
    bucket: BucketSite, proxy: FaultProxy, fault: str
) -> None:
    """A backup over a network that harms three of ten requests comes back file by file."""
    cluster = bucket.cluster()
    cluster.sql(BIG)
    proxy.schedule = FAULTS[fault]
    bucket.backup(cluster)
    archive_everything(cluster)
    cluster.kill()
    bucket.restore("--target", "immediate", "--target-action", "promote", start=False)


def test_two_writers_race_for_one_name(bucket: BucketSite) -> None:
    """Of different segments under one name exactly one is archived, whole; the others are told."""
    contents = [segment(FIRST, size=MEBIBYTE, seed=seed) for seed in range(4)]
    paths = [wal_file(bucket.base / str(n), FIRST, each) for n, each in enumerate(contents)]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda path: bucket.run("wal-push", path, check=False), paths))
    assert sorted(each.returncode for each in done) == [0, 3, 3, 3]
    winner = [each.returncode for each in done].index(0)
    assert bucket.archived(FIRST) == contents[winner]


def test_two_writers_of_the_same_segment_both_succeed(bucket: BucketSite) -> None:
    """The one who loses compares, and the segment is what he would have written."""
    path = wal_file(bucket.base, FIRST, segment(FIRST, size=MEBIBYTE))
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: bucket.run("wal-push", path, check=False), range(4)))
    assert [each.returncode for each in done] == [0, 0, 0, 0]


def test_wal_push_says_no_while_the_network_is_unplugged(
    bucket: BucketSite, proxy: FaultProxy
) -> None:
    """Nothing is archived, the exit code says that the store cannot be reached, and why."""
    path = wal_file(bucket.base, FIRST, segment(FIRST))
    proxy.pause()
    done = bucket.run("wal-push", path, check=False, env={"PITR_RETRY_TIMEOUT": "2s"})
    assert done.returncode == 7
    assert "no connection with 127.0.0.1" in done.stderr
    proxy.resume()
    assert bucket.archived(FIRST) is None
    bucket.run("wal-push", path)


def test_wal_fetch_never_proves_absence_over_a_bad_network(
    bucket: BucketSite, proxy: FaultProxy
) -> None:
    """A store that cannot be asked is trouble: the server must stop, not promote."""
    bucket.run("wal-push", wal_file(bucket.base, FIRST, segment(FIRST)))
    proxy.schedule = lambda _: Answer(status=503)
    environ = {"PITR_RETRY_TIMEOUT": "500ms"}
    wanted = "000000010000000000000002"
    done = bucket.run("wal-fetch", wanted, bucket.base / "x", check=False, env=environ)
    assert done.returncode == 200
    proxy.schedule = never
    assert bucket.run("wal-fetch", wanted, bucket.base / "x", check=False).returncode == 74


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"PITR_REPOSITORY": "s3://no-such-bucket/x"}, "does not exist"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "secret access key"),
        ({"AWS_ACCESS_KEY_ID": "wrong"}, "access key"),
    ],
)
def test_a_wrong_setting_never_proves_absence(
    bucket: BucketSite, change: dict[str, str], words: str
) -> None:
    """Neither a bucket that is not there nor a refused key looks like the end of the archive."""
    bucket.run("wal-push", wal_file(bucket.base, FIRST, segment(FIRST)))
    done = bucket.run(
        "wal-fetch", "000000010000000000000002", bucket.base / "x", check=False, env=change
    )
    assert done.returncode == 200
    assert words in done.stderr


def outage(server: SeaweedFS, process: subprocess.Popen[bytes], words: str) -> None:
    """Kill the server once a command has come so far, and start it again two seconds later."""
    read_until(process, words)
    time.sleep(0.5)
    server.kill()
    time.sleep(2)
    server.restart()


def test_the_server_is_killed_and_restarted_in_mid_backup(
    tmp_path: Path, pitr: Pitr, make_cluster: MakeCluster, own_server: SeaweedFS
) -> None:
    """The backup waits for the store to come back, goes on, and ends whole."""
    with FaultProxy(own_server.url, only(in_mid_body, SLOW)) as network:
        bucket = bucket_site(tmp_path, pitr, make_cluster, own_server, endpoint=network.url)
        cluster = bucket.cluster()
        cluster.sql(BIG)
        with started(bucket, "backup-push", env=cluster.environ | ONE_BY_ONE) as process:
            outage(own_server, process, "copy the data directory")
            done = finished(process, timeout=90)
        assert done.returncode == 0, done.stderr
        assert "again_in=" in done.stderr
        network.schedule = never
        archive_everything(cluster)
        cluster.kill()
        restored = bucket.restore()
        promoted(restored)
    assert restored.scalar("SELECT count(*) FROM t WHERE h = sha512(n::text::bytea)") == 60000


def test_the_server_is_killed_and_restarted_in_mid_restore(
    tmp_path: Path, pitr: Pitr, make_cluster: MakeCluster, own_server: SeaweedFS
) -> None:
    """The restore goes on with the range where it was interrupted; every digest is right."""
    with FaultProxy(own_server.url) as network:
        bucket = bucket_site(tmp_path, pitr, make_cluster, own_server, endpoint=network.url)
        cluster = bucket.cluster()
        cluster.sql(BIG)
        bucket.backup(cluster)
        archive_everything(cluster)
        cluster.kill()
        network.schedule = only(lambda request: "/tar_partitions/" in request.path, SLOW)
        target = tmp_path / "restored"
        with started(bucket, "backup-fetch", target, "--workers", "1") as process:
            outage(own_server, process, "restore the data directory")
            done = finished(process, timeout=90)
        assert done.returncode == 0, done.stderr
        network.schedule = never
        ranges = [
            each.headers.get("range", "")
            for each in network.requests
            if "/tar_partitions/part_" in each.path and each.method == "GET"
        ]
        assert len(ranges) > len(set(ranges)), "no range was asked for again"
        assert any(each and not each.startswith("bytes=0-") for each in ranges)
        bucket.verify(make_cluster(adopt=target, start=False))


def test_a_backup_that_outlasts_the_patience_fails_without_a_sentinel(
    bucket: BucketSite, proxy: FaultProxy
) -> None:
    """The network stays away: the backup is given up, the server leaves backup mode."""
    cluster = bucket.cluster()
    cluster.sql(BIG)
    environ = cluster.environ | ONE_BY_ONE | {"PITR_RETRY_TIMEOUT": "2s"}
    proxy.schedule = only(in_mid_body, SLOW)
    with started(bucket, "backup-push", env=environ) as process:
        read_until(process, "copy the data directory")
        proxy.pause()
        done = finished(process)
    assert done.returncode == 7
    assert "tried" in complaint(done)
    assert bucket.backups() == []
    proxy.schedule = never
    proxy.resume()
    cluster.wait_until("SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pitr'")
    bucket.backup(cluster)


def test_a_full_store_is_said_and_loses_nothing(
    tmp_path: Path, pitr: Pitr, make_cluster: MakeCluster
) -> None:
    """What was archived before stays, what does not fit is refused and stays with the server."""
    with seaweed(tmp_path / "seaweed", capacity_mb=48) as server:
        bucket = bucket_site(tmp_path, pitr, make_cluster, server, retry_timeout="1s")
        names = [f"00000001000000000000000{number}" for number in range(1, 7)]
        contents = {name: incompressible(name) for name in names}
        paths = [wal_file(tmp_path, name, content) for name, content in contents.items()]
        codes = [bucket.run("wal-push", path, check=False).returncode for path in paths]
        assert codes[0] == 0
        assert codes[-1] == 7
        for name, code in zip(names, codes, strict=True):
            assert bucket.archived(name) == (contents[name] if code == 0 else None)


def test_an_interrupted_backup_leaves_no_open_upload(bucket: BucketSite, proxy: FaultProxy) -> None:
    """SIGTERM in the middle of a large part: the upload is aborted, nobody pays for its parts."""
    cluster = bucket.cluster()
    cluster.sql(BIG)
    proxy.schedule = only(in_mid_body, SLOW)
    with started(bucket, "backup-push", env=cluster.environ | ONE_BY_ONE) as process:
        read_until(process, "copy the data directory")
        wait_for(lambda: any("uploadId" in each.path for each in proxy.requests))
        process.terminate()
        assert finished(process).returncode != 0
    client = bucket.server.client()
    uploads = client.list_multipart_uploads(Bucket=bucket.server.bucket).get("Uploads", [])
    prefix = bucket.url.rpartition("/")[2]
    assert [each["Key"] for each in uploads if each["Key"].startswith(prefix)] == []
    client.close()


def incompressible(name: str) -> bytes:
    """A segment of 16 MiB that no codec makes smaller."""
    header = segment(name, size=16 * MEBIBYTE)[:64]
    return header + os.urandom(16 * MEBIBYTE - len(header))


def wait_for(condition: Callable[[], bool]) -> None:
    """Poll until something is so."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_envdir_reaches_the_restored_server(
    tmp_path: Path, pitr: Pitr, make_cluster: MakeCluster, server: SeaweedFS
) -> None:
    """The server is started without any variable, and fetches WAL with those of the directory."""
    bucket = bucket_site(tmp_path, pitr, make_cluster, server)
    variables = tmp_path / "env"
    variables.mkdir()
    for name, value in (server.environ | {"WALG_S3_PREFIX": bucket.url}).items():
        (variables / name).write_text(f"{value}\n")
    cluster = bucket.cluster()
    bucket.backup(cluster)
    cluster.sql("CREATE TABLE t AS SELECT 1 AS n")
    archive_everything(cluster)
    cluster.kill()
    pitr("backup-fetch", tmp_path / "restored", "--envdir", variables)
    restored = make_cluster(adopt=tmp_path / "restored")
    promoted(restored)
    assert restored.scalar("SELECT n FROM t") == 1


def test_variables_that_the_restored_server_will_lack_are_named(
    tmp_path: Path, pitr: Pitr, make_cluster: MakeCluster, server: SeaweedFS
) -> None:
    """A key from the environment is not written into the server's configuration."""
    bucket = bucket_site(tmp_path, pitr, make_cluster, server)
    cluster = bucket.cluster()
    bucket.backup(cluster)
    environ = server.environ | {"WALG_S3_PREFIX": bucket.url}
    done = pitr("backup-fetch", tmp_path / "restored", env=environ)
    assert "AWS_SECRET_ACCESS_KEY" in done.stderr
    written = list((tmp_path / "restored").glob("*.conf"))
    assert not any(server.secret_key in path.read_text() for path in written)


def test_a_copy_leads_from_one_store_to_another(
    tmp_path: Path,
    pitr: Pitr,
    make_cluster: MakeCluster,
    server: SeaweedFS,
    own_server: SeaweedFS,
) -> None:
    """Each side has its own endpoint and keys; what arrives is restored without the first."""
    first = bucket_site(tmp_path / "first", pitr, make_cluster, own_server)
    second = bucket_site(tmp_path / "second", pitr, make_cluster, server)
    cluster = first.cluster()
    cluster.sql(BIG)
    first.backup(cluster)
    archive_everything(cluster)
    cluster.kill()
    options = ("--from-config", first.config, "--with-history", "--verify")
    second.run("copy", first.url, second.url, *options)
    again = second.run("copy", first.url, second.url, *options)
    assert "objects=0" in again.stderr
    own_server.kill()
    restored = second.restore()
    promoted(restored)
    assert restored.scalar("SELECT count(*) FROM t WHERE h = sha512(n::text::bytea)") == 60000
