"""A restore refuses before its first byte, and what a failed one leaves cannot be started."""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.commands import complaint, finished, started
from tests.support.site import Site, archive_everything

# Runs a command with a file system of its own mounted on a directory, and lists what the command
# left there. The command is not root in it, for a restore as root is refused.
OWN_DISK = """
mount -t tmpfs -o "$2" none "$1" || exit 99
directory=$1; shift 2
unshare -U --map-user=1000 --map-group=1000 "$@"; code=$?
find "$directory" -mindepth 1
exit $code
"""
SMALL_FILES = ("sh", "-c", 'ulimit -f 1024; exec "$@"', "sh")


def own_disk(directory: Path, options: str) -> tuple[str, ...]:
    """The words that run a command with a file system of its own; not every kernel grants it."""
    return ("unshare", "-Urm", "sh", "-c", OWN_DISK, "sh", str(directory), options)


CAN_MOUNT = not subprocess.run(
    (*own_disk(Path("/mnt"), "size=1m"), "true"), capture_output=True, check=False
).returncode


@dataclass(frozen=True, kw_only=True)
class Story:
    """A backup of a cluster that still runs."""

    cluster: Cluster
    repository: Path
    backup: str

    @property
    def parts(self) -> Path:
        """The directory of the backup's partitions, relative to the repository."""
        return Path("basebackups_005") / self.backup / "tar_partitions"


@pytest.fixture(scope="module")
def story(module_site: Site) -> Story:
    """Back up some megabytes, so that a restore can be caught at work."""
    cluster = module_site.cluster()
    cluster.sql("CREATE TABLE t AS SELECT n, md5(n::text) FROM generate_series(1, 300000) n")
    backup = module_site.backup(cluster)
    archive_everything(cluster)
    return Story(cluster=cluster, repository=module_site.repository, backup=backup)


@pytest.fixture
def site(site: Site, story: Story) -> Site:
    """A place to restore the shared repository to."""
    return replace(site, repository=story.repository)


@pytest.fixture
def target(site: Site) -> Path:
    """An empty directory to restore into."""
    directory = site.base / "new"
    directory.mkdir()
    return directory


def check_cannot_start(site: Site, directory: Path) -> None:
    """There is no control file, and the stock server refuses what is there."""
    assert not (directory / "global" / "pg_control").exists()
    remains = site.make_cluster(adopt=directory, start=False)
    remains.launch()
    assert remains.wait_exit() != 0
    assert "ready to accept" not in remains.log


def test_a_directory_in_use_is_refused(site: Site, target: Path) -> None:
    """Whatever is in it stays as it is, and nothing joins it."""
    (target / "precious").write_text("data")

    done = site.run("backup-fetch", target, check=False)

    assert done.returncode == 3
    assert f"{target} is not empty" in complaint(done)
    assert [path.name for path in target.iterdir()] == ["precious"]
    assert (target / "precious").read_text() == "data"


def test_a_running_server_is_refused(site: Site, story: Story) -> None:
    """The refusal names its process, and the server goes on undisturbed."""
    names = {path.name for path in story.cluster.data_dir.iterdir()}

    done = site.run("backup-fetch", story.cluster.data_dir, check=False)

    assert done.returncode == 3
    assert f"(process {story.cluster.postmaster_pid})" in complaint(done)
    assert {path.name for path in story.cluster.data_dir.iterdir()} == names
    assert story.cluster.scalar("SELECT count(*) FROM t") == 300000


if CAN_MOUNT:

    def test_too_small_a_disk_is_refused(site: Site, target: Path) -> None:
        """The sizes are compared before anything is copied."""
        with started(site, "backup-fetch", target, under=own_disk(target, "size=64m")) as process:
            done = finished(process)

        assert done.returncode == 3
        assert f"{target} has 64 MiB free, the restore needs" in complaint(done)
        assert done.stdout == ""

    def test_a_disk_that_fills_up_ends_the_restore(site: Site, target: Path) -> None:
        """Here it is the inodes that run out; what remains has no control file."""
        under = own_disk(target, "size=1g,nr_inodes=300")
        with started(site, "backup-fetch", target, under=under) as process:
            done = finished(process)

        assert done.returncode == 1
        assert "no space left on device" in complaint(done).lower()
        assert f"{target}/base/1" in done.stdout
        assert "pg_control" not in done.stdout


def test_a_failed_write_ends_the_restore(site: Site, target: Path) -> None:
    """What remains when a file cannot be written whole is no cluster."""
    with started(site, "backup-fetch", target, under=SMALL_FILES) as process:
        done = finished(process)

    assert done.returncode == 1
    assert "cannot write" in complaint(done)
    assert "file too large" in complaint(done).lower()
    assert count_files(target)
    check_cannot_start(site, target)


@pytest.mark.parametrize("files", [1, 300])
def test_a_killed_restore_cannot_be_started(site: Site, target: Path, files: int) -> None:
    """The control file is the last to come, so SIGKILL at any moment leaves none."""
    with started(site, "backup-fetch", target, "--workers", "1") as process:
        while process.poll() is None and count_files(target) < files:
            time.sleep(0.001)
        process.kill()
        assert process.wait() == -9, "the restore ended before it could be killed"

    check_cannot_start(site, target)
    done = site.run("backup-fetch", target, check=False)
    assert done.returncode == 3


def count_files(directory: Path) -> int:
    """How many files there are below a directory now."""
    return sum(len(files) for _, _, files in os.walk(directory))


def damaged(site: Site, story: Story) -> Site:
    """A copy of the repository that a test may damage."""
    copy = site.base / "damaged"
    shutil.copytree(story.repository, copy)
    return replace(site, repository=copy)


def flip_a_byte(path: Path) -> None:
    """Change one byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(content)


@pytest.mark.parametrize("part", ["part_001", "pg_control", "backup_label"])
def test_a_changed_partition_is_noticed(site: Site, story: Story, target: Path, part: str) -> None:
    """One byte is enough, and what was restored until then cannot be started."""
    copy = damaged(site, story)
    flip_a_byte(copy.repository / story.parts / f"{part}.tar.zst")

    done = copy.run("backup-fetch", target, check=False)

    assert done.returncode == 6
    complaint(done)
    check_cannot_start(site, target)


@pytest.mark.parametrize("part", ["part_001", "pg_control", "backup_label"])
@pytest.mark.parametrize("damage", ["cut off", "gone"])
def test_a_partition_that_is_not_whole_is_refused(
    site: Site, story: Story, target: Path, part: str, damage: str
) -> None:
    """Names and sizes are compared with the backup's index before anything is copied."""
    copy = damaged(site, story)
    path = copy.repository / story.parts / f"{part}.tar.zst"
    if damage == "gone":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size - 1)

    done = copy.run("backup-fetch", target, check=False)

    assert done.returncode == 6
    assert f"{part}.tar.zst is missing or smaller than" in complaint(done)
    assert not list(target.iterdir())
