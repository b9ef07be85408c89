"""`pitr backup-push` proves archiving first, and notices when its server is gone."""

import subprocess
import time

import pytest

from tests.support.cluster import Cluster
from tests.support.commands import complaint, finished, read_until, started
from tests.support.segments import stored_files
from tests.support.site import Site

COPYING = "copy the data directory"
SLOW = {
    "WALG_ZSTD_LEVEL": "19",
    "WALG_UPLOAD_DISK_CONCURRENCY": "1",
    "WALG_ALIVE_CHECK_INTERVAL": "200ms",
}


def refused(site: Site, cluster: Cluster, code: int, *options: str) -> str:
    """Try a backup that must be refused before it copies anything; return what is said."""
    done = site.run("backup-push", *options, env=cluster.environ, check=False)
    assert done.returncode == code, done.stderr
    assert not [name for name in stored_files(site.repository) if "basebackups_005" in name]
    return complaint(done)


@pytest.mark.parametrize("ending", ["terminated session", "stopped server", "killed server"])
def test_a_backup_whose_session_ends_is_given_up(site: Site, ending: str) -> None:
    """The server forgets the backup with its session, so nothing that follows could save it."""
    cluster = site.cluster()
    with started(site, "backup-push", env=cluster.environ | SLOW) as process:
        read_until(process, COPYING)
        if ending == "terminated session":
            cluster.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'pitr'"
            )
        elif ending == "stopped server":
            cluster.stop("fast")
        else:
            cluster.kill()
        done = finished(process)
    assert done.returncode == 8
    assert "the connection to the server is lost" in complaint(done)
    assert site.backups() == []
    cluster.start()
    site.backup(cluster)


def test_a_failing_archive_command_is_noticed_first(site: Site) -> None:
    """The wait is bounded, and the segment that did not come is named."""
    cluster = site.cluster(settings={"archive_command": "false"})
    began = time.monotonic()
    words = refused(site, cluster, 8, "--archive-timeout", "2s")
    assert time.monotonic() - began < 20
    assert "000000010000000000000001 did not arrive" in words
    assert "archive_command's own words" in words


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"archive_mode": "off"}, "archive_mode is off"),
        ({"archive_command": ""}, "archive_command is empty"),
    ],
    ids=["archive_mode off", "no archive_command"],
)
def test_a_server_that_does_not_archive_is_told_at_once(
    site: Site, settings: dict[str, str], words: str
) -> None:
    """There is nothing to wait for."""
    cluster = site.cluster(settings=settings)
    assert words in refused(site, cluster, 3)


def test_archiving_into_another_repository_is_noticed_first(site: Site) -> None:
    """The server calls the segment archived, yet it is not here."""
    elsewhere = site.base / "elsewhere"
    elsewhere.mkdir()
    command = site.archive_settings()["archive_command"]
    cluster = site.cluster(
        settings={"archive_command": command.replace(str(site.repository), str(elsewhere))}
    )
    words = refused(site, cluster, 8, "--archive-timeout", "2s")
    assert "though the server calls it archived" in words
    assert "archive_command writes elsewhere" in words


def test_a_server_that_is_not_there_is_named(site: Site) -> None:
    """Where libpq looked is part of the message."""
    cluster = site.make_cluster(start=False)
    assert cluster.environ["PGHOST"] in refused(site, cluster, 8)


def test_the_data_directory_must_be_the_servers(site: Site) -> None:
    """Of two clusters on a host, the files of one with the WAL of the other make no backup."""
    cluster = site.cluster()
    other = site.make_cluster("other", start=False)
    assert "is not the data directory" in refused(site, cluster, 3, str(other.data_dir))
    copy = site.base / "copy"
    subprocess.run(["cp", "-r", cluster.data_dir, copy], check=True)
    assert "is a copy" in refused(site, cluster, 2, str(copy))
    assert "no PostgreSQL data directory" in refused(site, cluster, 5, str(site.base))


def test_only_one_backup_at_a_time(site: Site) -> None:
    """The second is refused and told who holds the lock; the first is not disturbed."""
    cluster = site.cluster()
    with started(site, "backup-push", env=cluster.environ | SLOW) as first:
        read_until(first, COPYING)
        done = site.run("backup-push", env=cluster.environ, check=False)
        assert first.poll() is None
        assert done.returncode == 3
        assert f"process {first.pid} " in complaint(done)
        assert finished(first).returncode == 0
    assert len(site.backups()) == 1
