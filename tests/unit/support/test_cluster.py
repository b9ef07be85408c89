"""The server that tests run on: it starts, is asked, is killed, and never stays behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psycopg
import pytest

from tests.support.cluster import Cluster, ServerDiedError
from tests.support.fixtures import MakeCluster
from tests.support.postgres import Binaries
from tests.support.processes import descendants

REPOSITORY = Path(__file__).parents[3]


def _wait_until_gone(pids: list[int], *paths: Path, seconds: float = 20) -> None:
    remaining = [*(Path(f"/proc/{pid}") for pid in pids), *paths]
    deadline = time.monotonic() + seconds
    while any(path.exists() for path in remaining) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [path for path in remaining if path.exists()] == []


def test_a_started_server_answers(make_cluster: MakeCluster) -> None:
    """Statements with and without parameters return their rows."""
    cluster = make_cluster()
    cluster.sql("CREATE TABLE t (x int)")
    cluster.sql("INSERT INTO t VALUES (%s), (%s)", 1, 2)
    assert cluster.sql("SELECT x FROM t ORDER BY x") == [(1,), (2,)]
    assert cluster.scalar("SELECT '100%'") == "100%"


@pytest.mark.postgres(12, 13, 14, 15, 16, 17, 18)
def test_every_supported_major_is_there(make_cluster: MakeCluster, binaries: Binaries) -> None:
    """The marker's majors are real servers, and a client program reaches each of them."""
    cluster = make_cluster()
    version = cluster.run("psql", "-Atc", "SHOW server_version_num").stdout
    assert int(version) // 10000 == binaries.major


def test_the_server_listens_on_its_socket_only(make_cluster: MakeCluster) -> None:
    """Servers side by side need no ports of the machine."""
    cluster = make_cluster(settings={"listen_addresses": "*"})
    assert cluster.scalar("SHOW listen_addresses") == ""


@pytest.mark.parametrize("value", ["cp '%p' '/a b/%f'", r"back\slash", "", "%m # [%p] "])
def test_settings_arrive_as_written(make_cluster: MakeCluster, value: str) -> None:
    """Quotes, backslashes and comment signs survive postgresql.conf."""
    cluster = make_cluster(settings={"log_line_prefix": value})
    assert cluster.scalar("SHOW log_line_prefix") == value


def test_the_shape_of_the_cluster_is_as_asked(make_cluster: MakeCluster, tmp_path: Path) -> None:
    """Checksums, segment size and the place of the WAL are initdb's."""
    cluster = make_cluster(checksums=False, wal_segment_mb=1, pg_wal=tmp_path / "wal")
    assert cluster.scalar("SHOW data_checksums") == "off"
    assert cluster.scalar("SHOW wal_segment_size") == "1MB"
    assert (cluster.data_dir / "pg_wal").readlink() == tmp_path / "wal"


def test_a_stopped_cluster_starts_again_with_its_data(make_cluster: MakeCluster) -> None:
    """A fast shutdown is clean and final until the next start."""
    cluster = make_cluster()
    cluster.sql("CREATE TABLE t AS SELECT 1")
    cluster.stop()
    assert not cluster.running
    cluster.start()
    assert cluster.scalar("SELECT count(*) FROM t") == 1


def test_kill_ends_every_process_at_once(make_cluster: MakeCluster) -> None:
    """After a power cut nothing of the server runs, and it recovers."""
    cluster = make_cluster()
    processes = [cluster.postmaster_pid, *descendants(cluster.postmaster_pid)]
    assert len(processes) > 3
    cluster.kill()
    _wait_until_gone(processes, seconds=5)
    cluster.start()
    assert "automatic recovery in progress" in cluster.log


def test_a_server_that_cannot_start_says_why(make_cluster: MakeCluster) -> None:
    """The end of the server's log is in the error."""
    cluster = make_cluster(start=False, settings={"shared_buffers": "nonsense"})
    with pytest.raises(ServerDiedError, match="shared_buffers"):
        cluster.start()


def test_a_predicate_that_never_holds_ends_the_wait(make_cluster: MakeCluster) -> None:
    """Waiting has an end, and the error names what was waited for."""
    with pytest.raises(TimeoutError, match="SELECT false"):
        make_cluster().wait_until("SELECT false", timeout=0.1)


def test_leaving_the_block_ends_the_server(tmp_path: Path, binaries: Binaries) -> None:
    """The context manager starts the server and leaves neither process nor socket."""
    with Cluster.create(tmp_path / "data", binaries) as cluster:
        processes = [cluster.postmaster_pid, *descendants(cluster.postmaster_pid)]
        socket_dir = Path(cluster.environ["PGHOST"])
        assert socket_dir.exists()
    _wait_until_gone(processes, seconds=5)
    assert not socket_dir.exists()


def test_client_programs_reach_the_server(make_cluster: MakeCluster) -> None:
    """The environment leads libpq's clients to the private socket."""
    cluster = make_cluster()
    cluster.pgbench("-i", "-q", "-s", "1")
    assert cluster.run("psql", "-Atc", "SELECT count(*) FROM pgbench_branches").stdout == "1\n"


def test_an_adopted_directory_runs_on_its_own_socket(
    make_cluster: MakeCluster, tmp_path: Path
) -> None:
    """A copied data directory whose settings name another socket starts beside the original."""
    original = make_cluster(start=False, settings={"unix_socket_directories": "/nonexistent"})
    copy = original.data_dir.rename(tmp_path / "copy")
    cluster = make_cluster(adopt=copy)
    with psycopg.connect(host=cluster.environ["PGHOST"], user="postgres", dbname="postgres"):
        assert cluster.data_dir == copy


def test_the_server_dies_with_the_process_that_started_it(
    tmp_path: Path, binaries: Binaries
) -> None:
    """Not even SIGKILL of the test run leaves a server or its socket behind."""
    program = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from tests.support.cluster import Cluster
        from tests.support.postgres import Binaries
        binaries = Binaries(major={binaries.major}, bindir=Path({str(binaries.bindir)!r}))
        cluster = Cluster.create(Path({str(tmp_path / "data")!r}), binaries)
        cluster.start()
        print(cluster.postmaster_pid, cluster.environ["PGHOST"], flush=True)
        time.sleep(600)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        postmaster, socket_dir = run.stdout.readline().split()
        processes = [int(postmaster), *descendants(int(postmaster))]
        assert len(processes) > 3
        os.kill(run.pid, signal.SIGKILL)
    _wait_until_gone(processes, Path(socket_dir))
