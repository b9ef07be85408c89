"""A restore goes on where it was interrupted, and turns a directory into what a backup holds."""

import os
import shutil
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.commands import complaint, started
from tests.support.site import Site, archive_everything, check_indexes, promoted

Words = list[str | Path]
ROWS = 60_000


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A backup of a cluster with a tablespace, which is stopped and was changed afterwards."""

    repository: Path
    backup: str
    cluster: Cluster
    space: Path


@pytest.fixture(scope="module")
def origin(module_site: Site) -> Origin:
    """Rows before the backup, others after it, and files that only one of the two has."""
    space = module_site.base / "space"
    space.mkdir()
    cluster = module_site.cluster()
    cluster.sql(f"CREATE TABLESPACE space LOCATION '{space}'")
    for name, where in (("kept", ""), ("changed", "TABLESPACE space"), ("dropped", "")):
        cluster.sql(
            f"CREATE TABLE {name} {where} AS SELECT n, md5(n::text) AS t "
            f"FROM generate_series(1, {ROWS}) n"
        )
    backup = module_site.backup(cluster)
    cluster.sql("UPDATE changed SET t = 'x' WHERE n = 1")
    cluster.sql("DROP TABLE dropped")
    cluster.sql("CREATE TABLE later AS TABLE kept")
    archive_everything(cluster)
    cluster.stop()
    archive = cluster.data_dir / "pg_wal/archive_status"
    for ready in archive.glob("*.ready"):  # the shutdown finished a segment after the archiver
        module_site.run("wal-push", cluster.data_dir / "pg_wal" / ready.stem)
        ready.rename(ready.with_suffix(".done"))
    return Origin(repository=module_site.repository, backup=backup, cluster=cluster, space=space)


@pytest.fixture
def site(site: Site, origin: Origin) -> Site:
    """A place to restore the shared repository to."""
    return replace(site, repository=origin.repository)


def inodes(*directories: Path) -> dict[Path, int]:
    """The inode of every file with something in it."""
    return {
        path: path.stat().st_ino
        for directory in directories
        for path in directory.rglob("*")
        if path.is_file() and not path.is_symlink() and path.stat().st_size
    }


def mapped(site: Site, origin: Origin) -> list[str]:
    """The arguments that put the tablespace below the test's directory."""
    return ["--tablespace-mapping", f"{origin.space}={site.base / 'space'}"]


def copied(site: Site, origin: Origin) -> Cluster:
    """The stopped cluster as it ended, with its tablespace, at places of the test's own."""
    data, space = site.base / "restored", site.base / "space"
    for source, copy in ((origin.cluster.data_dir, data), (origin.space, space)):
        shutil.copytree(source, copy, symlinks=True)
    (link,) = (data / "pg_tblspc").iterdir()
    link.unlink()
    link.symlink_to(space)
    return site.make_cluster(adopt=data, start=False)


def check(site: Site, restored: Cluster, *, rows: int = ROWS) -> None:
    """The directory is the backup, by stock pg_verifybackup, and recovers to the backup's end."""
    site.verify(restored)
    restored.start()
    promoted(restored)
    assert restored.scalar("SELECT count(*) FROM kept") == rows
    assert restored.scalar("SELECT count(*) FROM dropped") == rows
    assert restored.scalar("SELECT t FROM changed WHERE n = 1") != "x"
    check_indexes(restored)


TO_BACKUPS_END = ("--target", "immediate", "--target-action", "promote")


class TestResume:
    """An interrupted restore goes on with what is missing."""

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_what_was_restored_is_not_fetched_again(
        self, site: Site, origin: Origin, number: signal.Signals
    ) -> None:
        """Killed in the middle, refused without the option, then only the rest is written."""
        target = site.base / "restored"
        options: Words = [target, origin.backup, *TO_BACKUPS_END, *mapped(site, origin)]
        slow = {"WALG_DISK_RATE_LIMIT": "8MB", "WALG_DOWNLOAD_CONCURRENCY": "1"}
        with started(site, "backup-fetch", *options, env=slow) as process:
            while len(inodes(target / "base") if target.exists() else ()) < 200:
                assert process.poll() is None
            process.send_signal(number)
            process.wait()
        assert not (target / "global/pg_control").exists()
        done = site.run("backup-fetch", *options, check=False)
        assert done.returncode == 3
        assert "was interrupted there" in complaint(done)
        assert "--resume" in complaint(done)
        before = inodes(target / "base")
        plan = site.run("backup-fetch", *options, "--resume", "--dry-run").stdout
        assert "to keep" in plan
        site.run("backup-fetch", *options, "--resume")
        after = inodes(target / "base")
        same = [path for path, inode in before.items() if after[path] == inode]
        assert len(same) >= len(before) - 4
        assert not (target / "pitr-restore.json").exists()
        check(site, site.make_cluster(adopt=target, start=False))

    def test_damage_that_size_and_time_do_not_show_is_found(
        self, site: Site, origin: Origin
    ) -> None:
        """A crash may leave zeros where data was; a file that has them is fetched anew."""
        target = site.base / "restored"
        options: Words = [target, origin.backup, *TO_BACKUPS_END, *mapped(site, origin)]
        site.run("backup-fetch", *options)
        (target / "global/pg_control").unlink()
        (target / "pitr-restore.json").write_text(f'{{"backup": "{origin.backup}"}}')
        paths = inodes(target / "base", site.base / "space")
        largest = max(paths, key=lambda path: path.stat().st_size)
        before = largest.stat()
        data = bytearray(largest.read_bytes())
        data[8192:16384] = bytes(8192)
        largest.write_bytes(data)
        os.utime(largest, ns=(before.st_atime_ns, before.st_mtime_ns))
        site.run("backup-fetch", *options, "--resume")
        check(site, site.make_cluster(adopt=target, start=False))

    def test_another_backups_restore_is_not_gone_on_with(self, site: Site, origin: Origin) -> None:
        """Neither is a directory that holds none."""
        target = site.base / "restored"
        target.mkdir()
        (target / "file").write_bytes(b"precious")
        done = site.run("backup-fetch", target, origin.backup, "--resume", check=False)
        assert done.returncode == 3
        assert "holds no interrupted restore" in complaint(done)
        (target / "pitr-restore.json").write_text('{"backup": "base_0000000100000000000000FF"}')
        done = site.run("backup-fetch", target, origin.backup, "--resume", check=False)
        assert done.returncode == 3
        assert "not of" in complaint(done)
        assert (target / "file").read_bytes() == b"precious"

    def test_a_finished_restore_is_a_data_directory(self, site: Site, origin: Origin) -> None:
        """Whatever note is left in it: a server may have run there since."""
        target = site.base / "restored"
        options: Words = [target, origin.backup, *TO_BACKUPS_END, *mapped(site, origin)]
        site.run("backup-fetch", *options)
        (target / "pitr-restore.json").write_text(f'{{"backup": "{origin.backup}"}}')
        done = site.run("backup-fetch", *options, "--resume", check=False)
        assert done.returncode == 3
        assert "holds no interrupted restore" in complaint(done)


class TestDelta:
    """A data directory becomes what the backup holds."""

    def test_only_files_that_differ_are_fetched(self, site: Site, origin: Origin) -> None:
        """What is equal stays the same file, what is newer goes, the tablespace included."""
        restored = copied(site, origin)
        data, space = restored.data_dir, site.base / "space"
        before = inodes(data / "base", space)
        options: Words = [
            data,
            origin.backup,
            *TO_BACKUPS_END,
            *mapped(site, origin),
            "--delta",
        ]
        plan = site.run("backup-fetch", *options, "--dry-run").stdout
        assert "to remove" in plan
        assert inodes(data / "base", space) == before
        site.run("backup-fetch", *options)
        after = inodes(data / "base", space)
        same = [path for path, inode in before.items() if after.get(path) == inode]
        assert len(same) > len(before) // 2
        assert set(before) - set(after)
        assert not list((data / "pg_wal").glob("0*"))
        check(site, restored)

    def test_nothing_differs(self, site: Site, origin: Origin) -> None:
        """A restored directory is restored again in place."""
        target = site.base / "restored"
        options: Words = [target, origin.backup, *TO_BACKUPS_END, *mapped(site, origin)]
        site.run("backup-fetch", *options)
        before = inodes(target / "base", site.base / "space")
        site.run("backup-fetch", *options, "--delta")
        assert inodes(target / "base", site.base / "space") == before
        check(site, site.make_cluster(adopt=target, start=False))

    def test_a_running_server_is_left_alone(self, site: Site, origin: Origin) -> None:
        """And one that may run where its process cannot be seen."""
        restored = copied(site, origin)
        options: Words = [
            restored.data_dir,
            origin.backup,
            *mapped(site, origin),
            "--delta",
        ]
        restored.start()
        done = site.run("backup-fetch", *options, check=False)
        assert done.returncode == 3
        assert "postmaster.pid" in complaint(done) or "is running" in complaint(done)
        assert restored.scalar(f"SELECT count(*) = {ROWS} FROM kept")
        restored.stop()
        (restored.data_dir / "postmaster.pid").write_text("4194000\n")
        done = site.run("backup-fetch", *options, check=False)
        assert done.returncode == 3
        assert "postmaster.pid" in complaint(done)

    def test_wal_that_was_never_archived_is_not_thrown_away(
        self, site: Site, origin: Origin
    ) -> None:
        """Unless that is asked for by --force."""
        restored = copied(site, origin)
        status = restored.data_dir / "pg_wal/archive_status"
        segment = sorted(path.name for path in (restored.data_dir / "pg_wal").glob("0*"))[-1]
        (status / f"{segment}.ready").touch()
        options: Words = [
            restored.data_dir,
            origin.backup,
            *mapped(site, origin),
            "--delta",
        ]
        done = site.run("backup-fetch", *options, check=False)
        assert done.returncode == 3
        assert "never archived" in complaint(done)
        assert (restored.data_dir / "pg_wal" / segment).exists()
        site.run("backup-fetch", *options, *TO_BACKUPS_END, "--force")
        check(site, restored)

    def test_another_clusters_directory_is_refused(self, site: Site, origin: Origin) -> None:
        """Likewise one that is no data directory at all."""
        other = site.cluster("other", settings={"archive_mode": "off"})
        other.stop()
        options: Words = [origin.backup, *mapped(site, origin), "--delta"]
        done = site.run("backup-fetch", other.data_dir, *options, check=False)
        assert done.returncode == 3
        assert "system identifier" in complaint(done)
        (site.base / "documents").mkdir()
        (site.base / "documents/thesis").write_bytes(b"precious")
        done = site.run("backup-fetch", site.base / "documents", *options, check=False)
        assert done.returncode == 3
        assert "no data directory" in complaint(done)
        assert (site.base / "documents/thesis").exists()
