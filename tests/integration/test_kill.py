"""Killed at any moment, `pitr` leaves a repository that the next run continues from."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.commands import complaint, finished, read_until, started
from tests.support.processes import descendants
from tests.support.segments import archived
from tests.support.site import Site, archive_everything, check_indexes, promoted

COPYING = "copy the data directory"
STEPS = (
    "prove that archiving works",
    "start the backup",
    COPYING,
    "end the backup",
    "wait for the backup's WAL to be archived",
)
LAST_STEP = "write the backup's index and sentinel"
SLOW_PUSH = {"WALG_ZSTD_LEVEL": "19"}
SLOW_BACKUP = {
    **SLOW_PUSH,
    "WALG_UPLOAD_DISK_CONCURRENCY": "1",
    "WALG_TAR_SIZE_THRESHOLD": "2MB",
}
FILL = "SELECT n, md5(n::text) || md5((-n)::text) AS t FROM generate_series(1, 30000) n"
NO_SESSION = "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pitr'"


def waiting_segments(cluster: Cluster) -> dict[str, bytes]:
    """The segments that wait to be archived, with their content."""
    pg_wal = cluster.data_dir / "pg_wal"
    ready = sorted((pg_wal / "archive_status").glob("*.ready"))
    return {path.stem: (pg_wal / path.stem).read_bytes() for path in ready}


def push_for(site: Site, path: Path, seconds: float) -> bool:
    """Push a file, with kill -9 after so long; tell whether the command had ended before."""
    with started(site, "wal-push", path, env=SLOW_PUSH) as process:
        try:
            return process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False


def test_wal_push_killed_at_any_moment_is_repeated_by_the_server(site: Site) -> None:
    """From the interpreter's start to the object's link, a kill leaves no half of a segment."""
    cluster = site.cluster(wal_segment_mb=1, settings={"archive_command": "false"})
    cluster.sql(f"CREATE TABLE t AS {FILL}")
    waiting = waiting_segments(cluster)
    assert len(waiting) > 2
    first = next(iter(waiting))
    delay = 0.0
    while not push_for(site, cluster.data_dir / "pg_wal" / first, delay):
        assert archived(site.repository, first) in (None, waiting[first])
        delay = delay * 1.3 + 0.01
    cluster.settings(**site.archive_settings())
    cluster.reload()
    archive_everything(cluster)
    assert {name: archived(site.repository, name) for name in waiting} == waiting


def test_the_archiver_repeats_a_command_that_was_killed_under_it(site: Site) -> None:
    """The server counts no success that it was not told of."""
    slow = f"WALG_ZSTD_LEVEL=19 {site.archive_settings()['archive_command']}"
    cluster = site.cluster(wal_segment_mb=4, settings={"archive_command": slow})
    cluster.sql(f"CREATE TABLE t AS {FILL}")
    waiting = waiting_segments(cluster)
    os.kill(archiving(cluster), signal.SIGKILL)
    archive_everything(cluster)
    assert waiting
    assert {name: archived(site.repository, name) for name in waiting} == waiting


def archiving(cluster: Cluster) -> int:
    """Wait until the server runs pitr wal-push; return the command's process id."""
    deadline = time.monotonic() + 30
    while True:
        for pid in descendants(cluster.postmaster_pid):
            with suppress(OSError):  # it may end at any moment
                if b"\0wal-push\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        assert time.monotonic() < deadline
        time.sleep(0.01)


def interrupt_backup(
    site: Site, cluster: Cluster, step: str, number: signal.Signals, after: float = 0
) -> None:
    """Start a backup, send a signal when it comes to a step, and check what it leaves."""
    slow = SLOW_BACKUP if step == COPYING else {}
    with started(site, "backup-push", env=cluster.environ | slow) as process:
        read_until(process, step)
        time.sleep(after)
        process.send_signal(number)
        done = finished(process)
    cluster.wait_until(NO_SESSION)
    if number is signal.SIGKILL:
        assert done.returncode == -9
    else:
        assert done.returncode == 128 + number
        assert complaint(done) == "pitr backup-push: error: interrupted"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_backup_ended_at_any_step_does_not_exist(site: Site, number: signal.Signals) -> None:
    """The server leaves backup mode, no sentinel is there, and the next backup starts at once."""
    cluster = site.cluster()
    cluster.sql(f"CREATE TABLE t AS {FILL}")
    for step in STEPS:
        interrupt_backup(site, cluster, step, number)
        assert site.backups() == []
    site.backup(cluster)
    assert len(site.backups()) == 1
    promoted(restored := site.restore("LATEST"))
    assert restored.scalar("SELECT count(*) FROM t") == 30000
    check_indexes(restored)


def test_a_backup_killed_while_it_copies_is_no_hindrance(site: Site) -> None:
    """However far the copying came, the dead process's lock and objects stop nobody."""
    cluster = site.cluster()
    for after in (0.1, 0.4, 1.6):
        interrupt_backup(site, cluster, COPYING, signal.SIGKILL, after)
    listed = site.run("backup-list").stdout
    assert "there is no backup" in listed
    assert "unfinished" in listed
    site.backup(cluster)
    promoted(site.restore("LATEST"))


def test_a_backup_killed_at_its_very_end_is_whole_or_is_not_there(site: Site) -> None:
    """Its sentinel decides: with it, the backup can be restored."""
    cluster = site.cluster()
    for round_ in range(2):
        with started(site, "backup-push", env=cluster.environ) as process:
            read_until(process, LAST_STEP)
            time.sleep(round_ * 0.01)
            process.kill()
    for name in site.backups():
        site.restore(name, name=name, start=False)
    site.backup(cluster)
    promoted(site.restore("LATEST"))
