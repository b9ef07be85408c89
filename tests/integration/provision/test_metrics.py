"""The rendered scripts are run: what they measure of a real server, and how they say they ended."""

from __future__ import annotations

import fcntl
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.environment import clean_environ, pitr_program
from tests.support.fixtures import MakeCluster
from tests.support.postgres import find_binaries
from tests.unit.provision.recipes.hosts import catalog, text

SAMPLE = re.compile(
    r'pitr_([a-z_]+)\{cluster="db-01",host="db-01"(?:,(?:resource|place)="[a-z_-]+")?\} (\S+)'
)


@dataclass(frozen=True)
class Scripts:
    """The scripts of a host whose server is a cluster of the test, and where they write."""

    directory: Path
    cluster: Cluster

    def run(self, recipe: str, name: str, pitr: str = "") -> subprocess.CompletedProcess[str]:
        """Render a recipe's script and run it."""
        sockets = self.cluster.environ["PGHOST"]
        postgresql = f"""
        version: {self.cluster.binaries.major}
        bin_directory: {find_binaries().bindir}
        socket_directory: {sockets}
        """
        attributes = "\n".join(
            [
                f"prefix: {self.directory / 'opt'}",
                f"config_directory: {self.directory}",
                f"log_directory: {self.directory}",
                f"state_directory: {self.directory}",
                f"monitoring: {{textfile_directory: {self.directory}}}",
                pitr,
            ]
        )
        script = self.directory / name
        rendered = catalog(recipe, postgresql=postgresql, pitr=attributes)
        script.write_text(text(rendered, f"{self.directory}/opt/jobs/{name}"))
        return subprocess.run(
            ["sh", str(script)], env=clean_environ(), capture_output=True, text=True, check=False
        )

    def metrics(self) -> dict[str, float]:
        """Everything that node_exporter would read; raises where a line is none of its format."""
        found = {}
        for path in self.directory.glob("*.prom"):
            lines = path.read_text().splitlines()
            for line in (each for each in lines if not each.startswith("#")):
                sample = SAMPLE.fullmatch(line)
                assert sample is not None, line
                found[sample[1]] = float(sample[2])
        return found


@pytest.fixture
def scripts(make_cluster: MakeCluster, tmp_path: Path) -> Scripts:
    """A running server and a directory."""
    directory = tmp_path / "written"
    (directory / "opt/bin").mkdir(parents=True)
    (directory / "opt/bin/pitr").symlink_to(pitr_program())
    cluster = make_cluster(settings={"archive_mode": "on", "archive_command": "false"})
    (directory / "env.d/1").mkdir(parents=True)
    (directory / "env").symlink_to("env.d/1")
    for name, value in (cluster.environ | {"PITR_REPOSITORY": str(tmp_path)}).items():
        (directory / "env" / name).write_text(value)
    return Scripts(directory, cluster)


@pytest.mark.postgres(12, 15, 18)
def test_a_server_is_measured(scripts: Scripts) -> None:
    """Every metric that the rules ask for, with a segment that waits."""
    scripts.cluster.sql("SELECT pg_switch_wal()")
    done = scripts.run("monitoring", "monitor")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    metrics = scripts.metrics()
    assert (metrics["server_answers"], metrics["archiving"], metrics["in_recovery"]) == (1, 1, 0)
    assert metrics["wal_ready_files"] >= 1
    assert metrics["wal_last_archived_timestamp_seconds"] == 0
    assert metrics["monitor_timestamp_seconds"] > 1_700_000_000
    assert set(metrics) == {
        "server_answers",
        "archiving",
        "free_bytes",
        "wal_archived_total",
        "wal_last_archived_timestamp_seconds",
        "wal_last_failed_timestamp_seconds",
        "wal_failed_total",
        "wal_ready_files",
        "wal_ready_oldest_timestamp_seconds",
        "in_recovery",
        "replay_lag_seconds",
        "environment_generation",
        "monitor_timestamp_seconds",
    }


def test_a_server_that_is_down_is_a_metric(scripts: Scripts) -> None:
    """And no mail every minute."""
    scripts.cluster.stop()
    done = scripts.run("monitoring", "monitor")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert set(scripts.metrics()) == {
        "server_answers",
        "free_bytes",
        "environment_generation",
        "monitor_timestamp_seconds",
    }
    assert scripts.metrics()["server_answers"] == 0


def test_a_job_that_fails_says_so(scripts: Scripts) -> None:
    """By its exit code, by a metric and in its log; here no program is installed."""
    (scripts.directory / "opt/bin/pitr").unlink()
    done = scripts.run("base_backup", "base-backup")
    assert done.returncode == 127
    metrics = scripts.metrics()
    assert metrics["job_failed"] == 1
    assert metrics["job_max_age_seconds"] == 108000
    assert "job_success_timestamp_seconds" not in metrics
    assert "failed with exit code 127" in (scripts.directory / "base-backup.log").read_text()


def test_a_server_that_is_not_the_one_does_nothing(scripts: Scripts) -> None:
    """A primary, where backups are taken on standbys: that is no failure, and no success."""
    done = scripts.run("base_backup", "base-backup", "base_backup: {run_on: standby}")
    assert (done.returncode, scripts.metrics()) == (0, {})
    assert "nothing done" in (scripts.directory / "base-backup.log").read_text()


def test_a_job_that_still_runs_is_not_begun_again(scripts: Scripts) -> None:
    """The second ends with 75 and leaves the metrics to the first."""
    with (scripts.directory / "base-backup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = scripts.run("base_backup", "base-backup")
    assert (done.returncode, scripts.metrics()) == (75, {})
