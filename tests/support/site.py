"""A repository, a cluster that archives into it, and the commands an operator runs between them."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from tests.support.cluster import Cluster
from tests.support.environment import pitr_program
from tests.support.fixtures import MakeCluster, Pitr, cluster_maker, pitr_runner
from tests.support.postgres import Binaries, find_binaries


@dataclass(frozen=True)
class Site:
    """Everything one test needs; directories are below `base`."""

    base: Path
    repository: Path
    pitr: Pitr
    make_cluster: MakeCluster

    @property
    def environ(self) -> dict[str, str]:
        """The settings that name the repository."""
        return {"WALG_FILE_PREFIX": str(self.repository)}

    def archive_settings(self) -> dict[str, Any]:
        """Settings of a server that archives into the repository."""
        push = f"{quote(str(pitr_program()))} wal-push %p --repository file://{self.repository}"
        return {"archive_mode": "on", "archive_command": push}

    def cluster(
        self, name: str = "data", *, settings: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Cluster:
        """Make and start a cluster that archives."""
        together = self.archive_settings() | dict(settings or {})
        return self.make_cluster(name, settings=together, **kwargs)

    def backup(self, cluster: Cluster, *args: str, check: bool = True) -> str:
        """Take a backup; return its name."""
        self.run("backup-push", *args, env=cluster.environ, check=check)
        return self.backups()[-1]

    def backups(self) -> list[str]:
        """The names of the backups that exist, by their sentinels."""
        suffix = "_backup_stop_sentinel.json"
        folder = self.repository / "basebackups_005"
        return sorted(path.name.removesuffix(suffix) for path in folder.glob(f"*{suffix}"))

    def restore(self, *args: str | Path, name: str = "restored", start: bool = True) -> Cluster:
        """Restore into `base / name`, verify the directory by stock pg_verifybackup, start it."""
        self.run("backup-fetch", self.base / name, *args)
        restored = self.make_cluster(adopt=self.base / name, start=False)
        self.verify(restored)
        if start:
            restored.start()
        return restored

    def verify(self, restored: Cluster) -> None:
        """Hold a restored directory against its manifest, where the server has the program."""
        if (restored.binaries.bindir / "pg_verifybackup").exists():
            restored.run("pg_verifybackup", "-n", str(restored.data_dir))

    def run(
        self,
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run pitr against the repository."""
        return self.pitr(*args, env=self.environ | dict(env or {}), check=check, timeout=timeout)


@contextmanager
def open_site(base: Path, binaries: Binaries | None = None) -> Iterator[Site]:
    """A site of its own below `base`, for what the tests of a module share."""
    repository = base / "repository"
    repository.mkdir()
    with cluster_maker(base, binaries or find_binaries()) as make_cluster:
        yield Site(
            base=base, repository=repository, pitr=pitr_runner(base), make_cluster=make_cluster
        )


def archive_everything(cluster: Cluster) -> str:
    """Finish the current segment and wait until it is archived; return its name."""
    point = "pg_create_restore_point('archive everything')"
    cluster.sql(f"SELECT {point}")
    name = str(cluster.scalar("SELECT pg_walfile_name(pg_switch_wal())"))
    cluster.wait_until(f"SELECT last_archived_wal >= '{name}' FROM pg_stat_archiver", timeout=60)
    return name


def paused(cluster: Cluster) -> None:
    """Wait until recovery has reached its target and pauses there."""
    cluster.wait_until("SELECT pg_is_wal_replay_paused()", timeout=60)


def promoted(cluster: Cluster) -> None:
    """Wait until recovery has ended."""
    cluster.wait_until("SELECT NOT pg_is_in_recovery()", timeout=60)


def check_indexes(cluster: Cluster) -> None:
    """Prove tables and indexes by stock pg_amcheck, where the server has the program."""
    if (cluster.binaries.bindir / "pg_amcheck").exists():
        cluster.sql("CREATE EXTENSION IF NOT EXISTS amcheck")
        cluster.run("pg_amcheck", "--heapallindexed", "-d", "postgres")
