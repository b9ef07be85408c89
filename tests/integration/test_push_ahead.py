"""Pushing ahead: what the worker archives, what the shell answers for, and when it must not."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.commands import complaint
from tests.support.segments import archived
from tests.support.site import Site, promoted
from tests.support.spooled import (
    audit,
    audited,
    contents,
    fill,
    mark_all,
    marked,
    no_worker_left,
    push_ahead,
    push_command,
    release,
    spool_of,
    spooled_cluster,
    until,
    until_archived,
    waiting_of,
    workers,
)

OWN_DISK = 'mount -t tmpfs -o "$2" none "$1" && echo ready && exec sleep 600'
CAN_MOUNT = not subprocess.run(
    ("unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/mnt"), capture_output=True, check=False
).returncode
CONFLICT = "is archived already as"


@pytest.fixture(autouse=True)
def _no_worker_left(tmp_path: Path) -> Iterator[None]:
    """Workers outlive the server by a second or so; tests should not wait for that.

    Made before all else, so that no server is left to start another.
    """
    with no_worker_left(tmp_path / "spool"):
        yield


@contextmanager
def own_disk(directory: Path, options: str) -> Iterator[str]:
    """A file system of its own on a directory; yields the words by which a command sees it."""
    words = ("unshare", "-Urm", "sh", "-c", OWN_DISK, "sh", str(directory), options)
    with subprocess.Popen(words, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"ready\n"
            yield f"nsenter --preserve-credentials -U -m -t {holder.pid}"
        finally:
            holder.kill()


def let_archive(site: Site, cluster: Cluster, *extra: str) -> None:
    """Let the server archive by its spool, each file that it takes for archived being kept."""
    release(cluster, audited(site, push_command(site, *extra)))


def refuses(cluster: Cluster, words: str = CONFLICT) -> None:
    """Wait until the server was told that a file cannot be archived."""
    until(lambda: words in cluster.log)


def test_what_waits_is_archived_by_a_worker_and_answered_for_by_the_shell(site: Site) -> None:
    """Most calls start no pitr at all, every segment is stored whole, and one worker is left."""
    cluster = spooled_cluster(site)
    names = fill(cluster, 30)
    expected = contents(cluster, names)
    let_archive(site, cluster)
    until_archived(cluster)
    assert {name: archived(site.repository, name) for name in names} == expected
    assert audit(site) == names
    assert cluster.log.count('msg="archived"') < len(names) / 2
    assert len(workers(spool_of(site))) == 1
    until(lambda: not marked(site))


def test_the_worker_is_nobodys_child_and_holds_nothing_of_the_server(site: Site) -> None:
    """It has its own session, no descriptor of its caller's, and ends when the server is gone."""
    cluster = spooled_cluster(site)
    fill(cluster, 2)
    let_archive(site, cluster)
    until_archived(cluster)
    until(lambda: len(workers(spool_of(site))) == 1)
    (pid,) = workers(spool_of(site))
    until(lambda: (spool_of(site) / "push-ahead.log").exists())
    assert os.getsid(pid) == pid
    held = {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    assert os.devnull in held
    assert not [path for path in held if str(cluster.data_dir) in path]
    cluster.stop()
    until(lambda: not workers(spool_of(site)))


def test_a_lone_segment_is_archived_by_its_own_call(site: Site) -> None:
    """It does not wait for a worker to start, and the worker is there for the next."""
    cluster = spooled_cluster(site)
    let_archive(site, cluster)
    (name,) = fill(cluster, 1) or [""]
    until_archived(cluster)
    assert "is bound to this cluster" in cluster.log
    until(lambda: len(workers(spool_of(site))) == 1)
    assert name in ("", *audit(site))


@pytest.mark.parametrize("age", ["newer", "older"])
def test_a_segment_overwritten_after_its_marker_is_not_taken_for_archived(
    site: Site, age: str
) -> None:
    """Whichever way its time moved, the shell does not answer and the contents are compared."""
    cluster = spooled_cluster(site)
    first, *_ = fill(cluster, 3)
    mark_all(site, cluster)
    path = cluster.data_dir / "pg_wal" / first
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    if age == "older":
        os.utime(path, (1, 1))
    let_archive(site, cluster)
    refuses(cluster)
    assert first in waiting_of(cluster)
    assert audit(site) == []
    assert archived(site.repository, first) == content


def test_a_data_directory_put_back_from_a_snapshot_archives_nothing_by_old_markers(
    site: Site,
) -> None:
    """The same names come again with other content, and none is taken for archived."""
    cluster = spooled_cluster(site)
    fill(cluster, 1)
    cluster.stop()
    snapshot = site.base / "snapshot"
    shutil.copytree(cluster.data_dir, snapshot, symlinks=True)
    cluster.start()
    names = set(fill(cluster, 4))
    mark_all(site, cluster)
    cluster.kill()
    shutil.rmtree(cluster.data_dir)
    shutil.copytree(snapshot, cluster.data_dir, symlinks=True)
    cluster.start()
    again = set(fill(cluster, 4))
    assert len(names & again) > 3
    let_archive(site, cluster)
    refuses(cluster)
    audit(site)
    assert waiting_of(cluster)


def test_a_diverged_copy_in_the_same_place_is_not_answered_for(site: Site) -> None:
    """A clone that went its own way earlier has older files: its times betray it too."""
    cluster = spooled_cluster(site)
    fill(cluster, 1)
    cluster.stop()
    clone_dir = site.base / "clone"
    shutil.copytree(cluster.data_dir, clone_dir, symlinks=True)
    clone = site.make_cluster(adopt=clone_dir)
    fill(clone, 3)
    clone.stop()
    cluster.start()
    fill(cluster, 3)
    mark_all(site, cluster)
    cluster.stop()
    cluster.data_dir.rename(site.base / "aside")
    clone_dir.rename(cluster.data_dir)
    cluster.start()
    let_archive(site, cluster)
    refuses(cluster)
    audit(site)


def test_a_rewound_cluster_archives_what_it_has_now(site: Site) -> None:
    """After pg_rewind and another promotion, everything taken for archived is stored as it is."""
    cluster = spooled_cluster(site, settings={"wal_log_hints": "on", "wal_keep_size": "512MB"})
    let_archive(site, cluster)
    fill(cluster, 2)
    site.backup(cluster)
    until_archived(cluster)
    standby = site.restore("LATEST", "--standby", "--archive-mode-off", name="standby")
    standby.sql("SELECT pg_promote()")
    promoted(standby)
    release(cluster, "false")
    cluster.sql("CREATE TABLE lost AS SELECT 1 AS n")
    fill(cluster, 3)
    mark_all(site, cluster)
    standby.sql("CREATE TABLE kept AS SELECT 1 AS n")
    standby.sql("CHECKPOINT")
    for path in (standby.data_dir / "pg_wal").glob("*.history"):
        site.run("wal-push", path)
    fill(standby, 2)
    cluster.stop()
    standby.stop()
    cluster.run("pg_rewind", "-D", str(cluster.data_dir), f"--source-pgdata={standby.data_dir}")
    with (cluster.data_dir / "postgresql.auto.conf").open("a") as conf:
        conf.write("archive_mode = on\nrestore_command = ''\n")
    cluster.start()
    until(lambda: cluster.scalar("SELECT count(*) FROM pg_tables WHERE tablename = 'kept'") == 1)
    let_archive(site, cluster)
    fill(cluster, 3)
    until_archived(cluster)
    assert [name for name in audit(site) if name.startswith("00000002")]


def test_the_spool_of_another_cluster_is_left_alone(site: Site) -> None:
    """Whoever comes second goes on without it, is told so, and archives by its own calls."""
    first = spooled_cluster(site)
    fill(first, 2)
    mark_all(site, first)
    other = site.base / "other"
    other.mkdir()
    second = spooled_cluster(site, "second")
    names = fill(second, 2)
    expected = contents(second, names)
    command = push_command(site).replace(f"file://{site.repository}", f"file://{other}")
    release(second, command)
    until_archived(second)
    assert {name: archived(other, name) for name in names} == expected
    assert f"is that of the cluster in {first.data_dir}" in second.log
    assert json.loads((spool_of(site) / "owner").read_text())["data_directory"] == str(
        first.data_dir
    )


@pytest.mark.parametrize("place", ["data", "data/pg_wal", "data/base/spool"])
def test_a_spool_inside_the_data_directory_is_refused(site: Site, place: str) -> None:
    """Nothing is archived until it is elsewhere; the exit code is that of a wrong setting."""
    cluster = spooled_cluster(site)
    (name, *_) = fill(cluster, 1)
    spool = site.base / place
    done = site.run(
        *("wal-push", cluster.data_dir / "pg_wal" / name, "--spool-dir", spool), check=False
    )
    assert done.returncode == 2
    assert "lies in the data directory" in complaint(done)
    assert archived(site.repository, name) is None


def test_a_spool_that_others_can_write_to_is_refused(site: Site) -> None:
    """Who can make a marker can have WAL removed that is not archived."""
    cluster = spooled_cluster(site)
    (name, *_) = fill(cluster, 1)
    spool_of(site).mkdir()
    spool_of(site).chmod(0o777)
    path = cluster.data_dir / "pg_wal" / name
    done = site.run("wal-push", path, "--spool-dir", spool_of(site), check=False)
    assert done.returncode == 2
    assert "is open to others" in complaint(done)


def test_a_spool_that_cannot_be_written_is_done_without(site: Site) -> None:
    """Archiving goes on, a call a file; the log says why."""
    cluster = spooled_cluster(site)
    names = fill(cluster, 3)
    spool_of(site).mkdir(mode=0o500)
    let_archive(site, cluster)
    until_archived(cluster)
    assert set(audit(site)) >= set(names)
    assert "cannot use the spool" in cluster.log


@pytest.mark.skipif(not CAN_MOUNT, reason="this kernel grants no file system of its own")
@pytest.mark.parametrize("inodes", [2, 10])
def test_a_spool_on_a_full_disk_is_done_without(site: Site, inodes: int) -> None:
    """Whether nothing fits or only the markers do not: archiving goes on, a call a file."""
    spool_of(site).mkdir()
    with own_disk(spool_of(site), f"mode=700,nr_inodes={inodes}") as enter:
        cluster = spooled_cluster(site)
        names = fill(cluster, 4)
        inner = push_command(site).replace("%p", '"$1"').replace("%f", '"$2"')
        script = site.base / "archive.sh"
        script.write_text(f"{inner}\n")
        words = f'{enter} --wd="$PWD" /bin/sh {script} %p %f'
        release(cluster, audited(site, words))
        until_archived(cluster)
        assert set(audit(site)) >= set(names)
        assert cluster.log.count('msg="archived"') >= len(names) - 1


def test_a_store_that_fails_keeps_the_wal_and_says_so(site: Site) -> None:
    """Nothing is taken for archived, the status tells since when, and all arrives afterwards."""
    cluster = spooled_cluster(site)
    names = fill(cluster, 12)
    let_archive(site, cluster)
    until(lambda: len(list((site.base / "audit").iterdir())) > 1)
    (site.repository / "wal_005").chmod(0o500)
    more = fill(cluster, 3)
    refuses(cluster, "PostgreSQL keeps what is not archived")
    status = json.loads((spool_of(site) / "status.json").read_text())
    assert status["failing_since"] is not None
    assert status["last_failure_message"]
    assert waiting_of(cluster)
    audit(site)
    (site.repository / "wal_005").chmod(0o700)
    fill(cluster, 1)
    until_archived(cluster)
    assert set(audit(site)) >= {*names, *more}
    until(lambda: json.loads((spool_of(site) / "status.json").read_text())["failing_since"] is None)


def test_kills_at_random_moments_lose_nothing(site: Site) -> None:
    """Workers and the server die again and again; what is taken for archived always is."""
    chance = random.Random(6)
    cluster = spooled_cluster(site)
    names = fill(cluster, 40)
    let_archive(site, cluster)
    for round_ in range(6):
        time.sleep(chance.uniform(0.05, 0.6))
        for pid in workers(spool_of(site)):
            os.kill(pid, signal.SIGKILL)
        if round_ == 3:
            cluster.kill()
            cluster.start()
    fill(cluster, 1)
    until_archived(cluster)
    assert set(audit(site)) >= set(names)
    assert len(workers(spool_of(site))) <= 1


def test_of_several_workers_one_works(site: Site) -> None:
    """The others end by themselves, and every file is stored once."""
    cluster = spooled_cluster(site)
    names = fill(cluster, 8)
    racers = [push_ahead(site, cluster) for _ in range(4)]
    try:
        until(lambda: marked(site) >= set(names))
        until(lambda: sum(racer.poll() is not None for racer in racers) == 3)
        assert all(racer.returncode in (None, 0, 1) for racer in racers)
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
    let_archive(site, cluster)
    until_archived(cluster)
    assert set(audit(site)) >= set(names)


def test_a_worker_ends_when_its_settings_change(site: Site) -> None:
    """It does not go on into a repository that the operator has left."""
    config = site.base / "pitr.toml"
    config.write_text(f'repository = "file://{site.repository}"\n')
    cluster = spooled_cluster(site)
    words = push_command(site, "--config", str(config))
    command = words.replace(f"--repository file://{site.repository} ", "")
    release(cluster, audited(site, command))
    fill(cluster, 2)
    until_archived(cluster)
    until(lambda: len(workers(spool_of(site))) == 1)
    (before,) = workers(spool_of(site))
    other = site.base / "other"
    other.mkdir()
    config.write_text(f'repository = "file://{other}"\n')
    until(lambda: before not in workers(spool_of(site)))
    shutil.rmtree(site.base / "audit")
    (site.base / "audit").mkdir()
    fill(cluster, 3)
    until_archived(cluster)
    for path in (site.base / "audit").iterdir():
        assert archived(other, path.name) == path.read_bytes()
