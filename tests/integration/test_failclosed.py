"""Whatever goes wrong during recovery, the server stops; it never promotes before its time."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backup_core.postgres.recovery import restore_command
from tests.support.cluster import Cluster
from tests.support.commands import complaint
from tests.support.environment import pitr_program
from tests.support.site import Site, archive_everything, promoted

SEGMENTS = 12


@pytest.fixture(scope="module")
def original(module_site: Site) -> Path:
    """The repository of a cluster that was backed up, lived through small segments, and died."""
    cluster = module_site.cluster(wal_segment_mb=1)
    module_site.backup(cluster)
    cluster.sql("CREATE TABLE t (n int)")
    for number in range(SEGMENTS):
        cluster.sql(f"INSERT INTO t VALUES ({number})")
        archive_everything(cluster)
    cluster.kill()
    return module_site.repository


@pytest.fixture
def lost(site: Site, original: Path) -> None:
    """Each test damages a copy of its own."""
    shutil.copytree(original, site.repository, dirs_exist_ok=True)


def wal_objects(site: Site) -> list[Path]:
    """The archived segments, oldest first."""
    return sorted((site.repository / "wal_005").glob("0*[0-9A-F].zst"))


def refuses_to_promote(server: Cluster) -> str:
    """Start the server, wait for its end, and return what it logged; it must not have promoted."""
    before = len(server.log)
    server.launch()
    code = server.wait_exit(60)
    said = server.log[before:]
    assert code not in (0, 128 + 9), said
    assert "selected new timeline" not in server.log
    assert not list((server.data_dir / "pg_wal").glob("*.history"))
    assert (server.data_dir / "recovery.signal").exists()
    return said


def recovers(server: Cluster) -> None:
    """Start the server and find everything that was archived."""
    server.start()
    promoted(server)
    assert server.scalar("SELECT count(*) FROM t") == SEGMENTS


def test_a_gap_is_refused_in_the_plan(site: Site, lost: None) -> None:
    """The missing segment is named and not a byte is written."""
    gap = wal_objects(site)[SEGMENTS // 2]
    gap.unlink()
    done = site.run("backup-fetch", site.base / "restored", "LATEST", check=False)
    assert done.returncode == 3
    assert gap.stem in complaint(done)
    assert not (site.base / "restored").exists()


def test_forced_over_a_gap_the_server_stops_at_it(site: Site, lost: None) -> None:
    """Promoting there would lose every later commit in silence."""
    gap = wal_objects(site)[SEGMENTS // 2]
    aside = gap.rename(site.base / gap.name)
    restored = site.restore("LATEST", "--force", start=False)
    assert f"{gap.stem} is not archived, but the later" in refuses_to_promote(restored)
    aside.rename(gap)
    recovers(restored)


def test_a_repository_lost_during_recovery_stops_the_server(site: Site, lost: None) -> None:
    """A network mount goes away in mid-recovery; once it is back, a restart finishes the job."""
    restored = site.restore("LATEST", start=False)
    aside = site.base / "unmounted"
    restored.launch()
    wait_for(lambda: restored.log.count("restored log file") >= 2)
    site.repository.rename(aside)
    restored.wait_exit(60)
    assert "cannot open the repository" in restored.log
    assert restored.log.count("restored log file") < SEGMENTS
    assert "selected new timeline" not in restored.log
    aside.rename(site.repository)
    recovers(restored)


def test_a_repository_that_cannot_be_read_stops_the_server(site: Site, lost: None) -> None:
    """Lost permissions are no end of the archive either."""
    restored = site.restore("LATEST", start=False)
    (site.repository / "wal_005").chmod(0)
    try:
        assert "ermission denied" in refuses_to_promote(restored)
    finally:
        (site.repository / "wal_005").chmod(0o700)
    recovers(restored)


def test_a_damaged_segment_stops_the_server(site: Site, lost: None) -> None:
    """Its bytes are not replayed, and what comes after it is not given up."""
    damaged = wal_objects(site)[SEGMENTS // 2]
    content = damaged.read_bytes()
    damaged.write_bytes(content[: len(content) // 2])
    restored = site.restore("LATEST", start=False)
    assert f"{damaged.name} is cut off" in refuses_to_promote(restored)
    damaged.write_bytes(content)
    recovers(restored)


def test_a_broken_installation_stops_the_server(site: Site, lost: None) -> None:
    """pitr removed, not executable, or without its Python: none of it ends recovery."""
    program = Path(shutil.copy(pitr_program(), site.base / "pitr"))
    command = restore_command(
        [str(program)], extra_arguments=["--repository", str(site.repository)]
    )
    restored = site.restore("LATEST", "--restore-command", command, start=False)
    whole = program.read_bytes()
    program.unlink()
    assert "exit code 200" in refuses_to_promote(restored)
    program.write_bytes(whole)
    assert "exit code 200" in refuses_to_promote(restored)
    program.chmod(0o700)
    program.write_bytes(b"#!/absent/python3\n")
    assert "exit code 200" in refuses_to_promote(restored)
    program.write_bytes(whole)
    recovers(restored)


def wait_for(condition: Callable[[], bool], timeout: float = 60) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
