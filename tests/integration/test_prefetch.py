"""Prefetching in recovery: ahead of the server, in its order, and never a leftover."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backup_core.postgres.recovery import restore_command
from backup_core.postgres.wal import segment_name
from tests.support.cluster import Cluster
from tests.support.environment import clean_environ, pitr_program
from tests.support.segments import archived
from tests.support.site import Site, archive_everything, paused, promoted
from tests.support.spooled import fill, no_worker_left, spool_of, until, workers

MIB = 1 << 20
SEGMENTS = 30
ROWS = 1000


@pytest.fixture(scope="module")
def original(module_site: Site) -> Path:
    """The repository of a cluster that was backed up, wrote segments of 1 MiB, and died."""
    cluster = module_site.cluster(wal_segment_mb=1)
    module_site.backup(cluster)
    cluster.sql(f"CREATE TABLE t AS SELECT generate_series(1, {ROWS}) AS n")
    fill(cluster, SEGMENTS)
    cluster.sql("INSERT INTO t VALUES (0)")
    archive_everything(cluster)
    cluster.kill()
    return module_site.repository


@pytest.fixture
def lost(site: Site, original: Path) -> Iterator[Site]:
    """A site that reads that repository; workers end with the test."""
    with no_worker_left(spool_of(site)):
        yield replace(site, repository=original)


def recovered(site: Site, *args: str | Path, start: bool = True) -> Cluster:
    """Restore with a spool; the server follows the archive to its end unless told otherwise."""
    return site.restore("LATEST", "--spool-dir", spool_of(site), *args, start=start)


def with_time(server: Cluster) -> Cluster:
    """Start a server that needs time for each segment, as it does for those of full size."""
    settings = server.data_dir / "postgresql.auto.conf"
    text = settings.read_text()
    assert "restore_command = '" in text
    settings.write_text(text.replace("restore_command = '", "restore_command = 'sleep 0.1; "))
    server.start()
    return server


def by_the_shell(log: str) -> int:
    """How many files the server had without a call of pitr; more, the less else there is to do."""
    return log.count("restored log file") - log.count('msg="fetched"')


def segments(repository: Path) -> list[str]:
    """The names of the archived segments, oldest first."""
    return sorted(path.name[:24] for path in (repository / "wal_005").glob("0*[0-9A-F].zst"))


def in_window(site: Site) -> set[str]:
    """The segments that lie in the spool."""
    folder = spool_of(site) / "fetched"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_a_recovery_is_served_by_the_shell(lost: Site) -> None:
    """Segments are moved out of the spool without a call of pitr, and nothing is left."""
    server = with_time(recovered(lost, "--archive-mode-off", start=False))
    promoted(server)
    assert server.scalar("SELECT count(*) FROM t") == ROWS + 1
    assert server.log.count("restored log file") > SEGMENTS
    assert by_the_shell(server.log) > SEGMENTS / 3
    until(lambda: not workers(spool_of(lost), "prefetch"))
    assert in_window(lost) == set()


def test_prefetching_goes_on_across_timelines(site: Site, original: Path) -> None:
    """After a promotion and another disaster, the way leads through both timelines."""
    shutil.copytree(original, site.repository, dirs_exist_ok=True)
    with no_worker_left(spool_of(site)):
        first = recovered(site, start=False)
        first.settings(**site.archive_settings())
        first.start()
        promoted(first)
        first.sql("INSERT INTO t VALUES (-1)")
        fill(first, 12)
        archive_everything(first)
        first.kill()
        until(lambda: not workers(spool_of(site), "prefetch"))
        shutil.rmtree(first.data_dir)
        server = with_time(recovered(site, "--archive-mode-off", start=False))
        promoted(server)
        assert server.scalar("SELECT count(*) FROM t") == ROWS + 2
        assert server.scalar("SELECT timeline_id FROM pg_control_checkpoint()") == 3
        said = server.log[server.log.rindex("starting PostgreSQL") :]
        assert by_the_shell(said) > SEGMENTS / 3


@pytest.fixture
def waiting(lost: Site) -> Cluster:
    """A server that paused at the end of the backup, with a window of four segments behind it."""
    config = lost.base / "pitr.toml"
    config.write_text(f'repository = "file://{lost.repository}"\nprefetch_size = "4MB"\n')
    server = recovered(
        lost, "--target", "immediate", "--config", config, "--archive-mode-off", start=False
    )
    server.start()
    paused(server)
    return server


def fetch(site: Site, server: Cluster, name: str) -> bytes:
    """Ask for a segment as the server does; return what is delivered."""
    place = server.data_dir / "pg_wal" / "asked"
    config = str(site.base / "pitr.toml")
    command = restore_command(
        [str(pitr_program())],
        spool=str(spool_of(site)),
        extra_arguments=["--config", config],
    )
    command = command.replace("%f", name).replace("%p", "pg_wal/asked")
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=server.data_dir, env=clean_environ(), check=False
    )
    assert done.returncode == 0
    content = place.read_bytes()
    place.unlink()
    return content


def test_whatever_is_asked_for_is_delivered(lost: Site, waiting: Cluster) -> None:
    """Forwards, backwards and again, by the shell or not: the right bytes under each name."""
    names = segments(lost.repository)
    order = [*names[4:8], *names[20:23], *names[6:9], names[6], names[25]]
    for name in order:
        assert fetch(lost, waiting, name) == archived(lost.repository, name), name


def test_the_window_is_bounded_and_follows_what_is_asked_for(lost: Site, waiting: Cluster) -> None:
    """Never more than four segments of 1 MiB, and those behind the last one asked for."""
    names = segments(lost.repository)
    for at in (5, 20):
        fetch(lost, waiting, names[at])
        most = 0
        deadline = time.monotonic() + 60
        while in_window(lost) != set(names[at + 1 : at + 5]):
            arriving = {path.name[:24] for path in (spool_of(lost) / "arriving").iterdir()}
            most = max(most, len(in_window(lost) | arriving))
            assert time.monotonic() < deadline
            time.sleep(0.001)
        assert most <= 5  # one may be seen before it goes, and the next after it came


def test_a_leftover_is_not_served(lost: Site, waiting: Cluster) -> None:
    """What lay in the spool before the server started is fetched anew, whatever it says."""
    names = segments(lost.repository)
    fetch(lost, waiting, names[4])
    until(lambda: len(in_window(lost)) == 4)
    for pid in workers(spool_of(lost), "prefetch"):
        os.kill(pid, signal.SIGKILL)
    waiting.stop()
    for name in in_window(lost):
        path = spool_of(lost) / "fetched" / name
        content = bytearray(path.read_bytes())
        content[5000] ^= 1
        path.write_bytes(content)
        os.utime(path, (1, 1))
    time.sleep(1)
    waiting.start()
    for name in names[5:9]:
        assert fetch(lost, waiting, name) == archived(lost.repository, name)


def test_a_restore_empties_the_spool(lost: Site, waiting: Cluster) -> None:
    """Markers and segments of the cluster that was there before are gone, and its worker too."""
    fetch(lost, waiting, segments(lost.repository)[4])
    until(lambda: len(in_window(lost)) == 4)
    (spool_of(lost) / "ok" / segments(lost.repository)[3]).touch()
    waiting.stop()
    shutil.rmtree(waiting.data_dir)
    recovered(lost, "--archive-mode-off", start=False)
    assert in_window(lost) == set()
    assert not list((spool_of(lost) / "ok").iterdir())
    assert not workers(spool_of(lost), "prefetch")


def test_kills_at_random_moments_delay_a_recovery_at_most(lost: Site) -> None:
    """The prefetcher dies again and again; the server has every segment all the same."""
    chance = random.Random(7)
    server = recovered(lost, "--archive-mode-off", start=False)
    server.launch()
    while (server.data_dir / "recovery.signal").exists():
        time.sleep(chance.uniform(0.02, 0.3))
        for pid in workers(spool_of(lost), "prefetch"):
            os.kill(pid, signal.SIGKILL)
    server.start()
    promoted(server)
    assert server.scalar("SELECT count(*) FROM t") == ROWS + 1


def test_a_repository_that_goes_away_stops_recovery(site: Site, original: Path) -> None:
    """With a spool as without one: what cannot be proved absent ends nothing."""
    shutil.copytree(original, site.repository, dirs_exist_ok=True)
    with no_worker_left(spool_of(site)):
        server = recovered(site, "--archive-mode-off", start=False)
        site.repository.rename(site.base / "unmounted")
        server.launch()
        assert server.wait_exit(60) != 0
        assert (server.data_dir / "recovery.signal").exists()
        assert "selected new timeline" not in server.log


def test_a_damaged_segment_is_not_let_into_the_window(site: Site, original: Path) -> None:
    """The server stops before it; the log of the prefetcher says why."""
    shutil.copytree(original, site.repository, dirs_exist_ok=True)
    name = segments(site.repository)[-4]
    (stored,) = (site.repository / "wal_005").glob(f"{name}*")
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 0xFF
    stored.chmod(0o600)
    stored.write_bytes(content)
    with no_worker_left(spool_of(site)):
        server = recovered(site, "--archive-mode-off", start=False)
        server.launch()
        assert server.wait_exit(120) != 0
        assert (server.data_dir / "recovery.signal").exists()
        assert name in (spool_of(site) / "prefetch.log").read_text()


def test_an_empty_line_of_segments_has_no_end_of_its_own(lost: Site, waiting: Cluster) -> None:
    """Behind the last archived segment is nothing to prefetch, and absence is proved as always."""
    last = segments(lost.repository)[-1]
    fetch(lost, waiting, last)
    number = int(last[8:16], 16) * 4096 + int(last[16:], 16)
    done = subprocess.run(
        [
            *(str(pitr_program()), "wal-fetch", "--config", str(lost.base / "pitr.toml")),
            *(segment_name(1, number + 1, MIB), "pg_wal/asked", "--spool-dir", spool_of(lost)),
        ],
        cwd=waiting.data_dir,
        env=clean_environ(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 74
