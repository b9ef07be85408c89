"""Standbys: made from a backup, backed up themselves, and patient with their repository."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.cluster import Cluster
from tests.support.commands import complaint
from tests.support.site import Site, archive_everything, check_indexes, promoted

IMPATIENT = {"wal_retrieve_retry_interval": "100ms"}


def primary_with_backup(site: Site) -> Cluster:
    """A primary with a table and a base backup."""
    primary = site.cluster(settings=IMPATIENT)
    primary.sql("CREATE TABLE t (n int PRIMARY KEY)")
    primary.sql("INSERT INTO t SELECT generate_series(1, 1000)")
    site.backup(primary)
    return primary


def streaming_standby(site: Site, primary: Cluster) -> Cluster:
    """A standby of the primary, made from its backup."""
    conninfo = f"host='{primary.environ['PGHOST']}' user=postgres"
    standby = site.restore("--standby", "--primary-conninfo", conninfo, name="standby")
    standby.wait_until("SELECT count(*) = 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'")
    return standby


def replay(standby: Cluster, primary: Cluster) -> None:
    """Wait until the standby has replayed what the primary has written."""
    written = primary.scalar("SELECT pg_current_wal_lsn()")
    standby.wait_until(f"SELECT pg_last_wal_replay_lsn() >= '{written}'")


def restart_point(standby: Cluster, primary: Cluster) -> None:
    """Give the standby a new point from which its next backup begins."""
    archive_everything(primary)
    primary.sql("CHECKPOINT")
    replay(standby, primary)
    standby.sql("CHECKPOINT")


@contextmanager
def switching_wal(primary: Cluster, *, seconds: float = 0.5) -> Iterator[None]:
    """Finish a segment on the primary now and then, as archive_timeout does on a busy one."""
    ended = threading.Event()

    def switch() -> None:
        while not ended.wait(seconds):
            primary.sql("SELECT pg_create_restore_point('now and then'), pg_switch_wal()")

    thread = threading.Thread(target=switch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def stored(repository: Path) -> dict[str, int]:
    """Every object of the repository with the time it was written."""
    return {str(path): path.stat().st_mtime_ns for path in repository.rglob("*") if path.is_file()}


def test_a_standby_made_from_a_backup_streams(site: Site) -> None:
    """It catches up from the archive and goes on over its connection to the primary."""
    primary = primary_with_backup(site)
    primary.sql("INSERT INTO t VALUES (1001)")
    archive_everything(primary)

    standby = streaming_standby(site, primary)
    primary.sql("INSERT INTO t VALUES (1002)")

    replay(standby, primary)
    assert standby.scalar("SELECT count(*) FROM t") == 1002
    assert standby.scalar("SELECT pg_is_in_recovery()")


def test_recovery_crosses_a_failover(site: Site) -> None:
    """The segment in which the primary died is archived by its successor alone."""
    primary = primary_with_backup(site)
    standby = streaming_standby(site, primary)
    primary.sql("INSERT INTO t VALUES (1001)")
    last = primary.scalar("SELECT pg_walfile_name(pg_current_wal_lsn())")
    replay(standby, primary)
    primary.kill()
    standby.sql("SELECT pg_promote()")
    standby.sql("INSERT INTO t VALUES (1002)")
    archive_everything(standby)
    standby.kill()
    assert not (site.repository / "wal_005" / f"{last}.zst").exists()

    restored = site.restore()

    promoted(restored)
    assert restored.scalar("SELECT count(*) FROM t") == 1002


def test_a_backup_of_a_standby_can_be_restored(site: Site) -> None:
    """Written to all the while, the primary's data is consistent in the backup of its standby."""
    primary = primary_with_backup(site)
    standby = streaming_standby(site, primary)
    primary.sql("INSERT INTO t VALUES (1001)")
    restart_point(standby, primary)
    first = site.backups()

    with switching_wal(primary):
        site.run("backup-push", env=standby.environ)
    primary.sql("INSERT INTO t VALUES (1002)")
    archive_everything(primary)

    (backup,) = set(site.backups()) - set(first)
    restored = site.restore(backup, "--archive-mode-off")
    promoted(restored)
    assert restored.scalar("SELECT count(*) FROM t") == 1002
    check_indexes(restored)


def test_a_second_backup_between_restart_points_is_refused(site: Site) -> None:
    """Both would bear one name; the first stays as it is and the hint says how to get another."""
    primary = primary_with_backup(site)
    standby = streaming_standby(site, primary)
    restart_point(standby, primary)
    with switching_wal(primary):
        site.run("backup-push", env=standby.environ)
    archive_everything(primary)
    before = stored(site.repository)

    done = site.run("backup-push", env=standby.environ, check=False)

    assert done.returncode == 3
    assert "exists already; nothing was copied" in complaint(done)
    assert "Run CHECKPOINT on the primary" in complaint(done)
    assert stored(site.repository) == before


def test_after_what_the_hint_says_the_next_backup_succeeds(site: Site) -> None:
    """A checkpoint on the primary, replayed by the standby, gives the next backup a new name."""
    primary = primary_with_backup(site)
    standby = streaming_standby(site, primary)
    for expected in (2, 3):
        restart_point(standby, primary)
        with switching_wal(primary):
            site.run("backup-push", env=standby.environ)
        assert len(site.backups()) == expected


def test_a_standby_outlives_its_repository(site: Site) -> None:
    """While the repository cannot be reached it waits and tries again; then it catches up."""
    primary = primary_with_backup(site)
    archive_everything(primary)
    standby = site.restore("--standby", name="standby")
    away = site.repository.rename(site.base / "away")

    standby.wait_until("SELECT count(*) = 1000 FROM t")
    wait_for_log(standby, "pitr wal-fetch: error: ", times=2)
    assert standby.scalar("SELECT pg_is_in_recovery()")

    away.rename(site.repository)
    primary.sql("INSERT INTO t VALUES (1001)")
    archive_everything(primary)
    standby.wait_until("SELECT count(*) = 1001 FROM t")
    assert standby.scalar("SELECT pg_is_in_recovery()")


def wait_for_log(cluster: Cluster, text: str, *, times: int) -> None:
    """Wait until the server's log holds a text that often."""
    poll = threading.Event()
    for _ in range(300):
        if cluster.log.count(text) >= times:
            return
        poll.wait(0.1)
    raise AssertionError(cluster.log[-2000:])
