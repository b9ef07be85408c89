"""What WAL-E left behind is listed, fetched and restored, and what is wrong in it is refused."""

import hashlib
import json
import os
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backup_core.stream.compress import decode
from backup_core.stream.tar import read_members
from tests.support import wal_e
from tests.support.cluster import Cluster
from tests.support.commands import complaint
from tests.support.postgres import find_binaries
from tests.support.site import Site, archive_everything, open_site, paused, promoted
from tests.support.wal_e import BACKUP, Archive, Member, open_archive

PART = f"basebackups_005/{BACKUP}/tar_partitions/part_00000000.tar.lzo"
SENTINEL = f"basebackups_005/{BACKUP}_backup_stop_sentinel.json"
ABSENT = 74
REFUSED, NOT_FOUND, CORRUPT = 3, 5, 6
CONTENT = "SELECT count(*), md5(string_agg(id || '|' || payload, ',' ORDER BY id)) FROM t1"
TARGETS = {
    "immediate": (
        ("--target", "immediate"),
        (5000, "2749f21a48f11f65b3190364b1e41ed8"),
        "before-backup",
    ),
    "restore point": (
        (BACKUP, "--target-name", "phase1"),
        (8000, "f867af8f9168de19789b48186e1c3a6c"),
        "after-backup-1",
    ),
    "end of WAL": ((), (11900, "534208bd159526848d97f032bc674b89"), "after-backup-2"),
}

Change = Callable[[bytes], bytes]


@pytest.fixture(scope="module", params=["plain"])
def archive(request: pytest.FixtureRequest) -> Archive:
    """An archive that WAL-E wrote."""
    return open_archive(request.param)


@pytest.fixture
def pg14(tmp_path: Path, archive: Archive) -> Iterator[Site]:
    """A place for servers of the archive's version, and the archive itself, to be read only."""
    with open_site(tmp_path, find_binaries(14)) as site:
        yield replace(site, repository=archive.prefix)


@pytest.fixture
def copied(pg14: Site, archive: Archive) -> Site:
    """The same with a copy of the archive that a test may change."""
    repository = pg14.base / "copy"
    shutil.copytree(archive.prefix, repository)
    return replace(pg14, repository=repository)


def restored(site: Site, *args: str | Path) -> Cluster:
    """Restore into `new` with a minimal configuration, and let the tests connect."""
    site.run("backup-fetch", site.base / "new", *args, "--minimal-config")
    (site.base / "new" / "pg_hba.conf").write_text("local all all trust\n")
    return site.make_cluster(adopt=site.base / "new", start=False)


def refused(site: Site, code: int, *args: str | Path) -> str:
    """Restore in vain; return the complaint. What is there then cannot be started."""
    done = site.run("backup-fetch", site.base / "new", *args, check=False)
    assert done.returncode == code, done.stderr
    assert not (site.base / "new/global/pg_control").exists()
    return complaint(done)


def members_of_fixture(archive: Archive) -> list[Member]:
    """The members of the archive's only partition."""
    stored = (archive.prefix / PART).read_bytes()
    found = []
    for member, data in read_members(decode([stored], extension="lzo", name=PART), name=PART):
        info = tarfile.TarInfo(member.name)
        info.type = tarfile.DIRTYPE if member.is_directory else tarfile.REGTYPE
        info.mode, info.size, info.mtime = member.mode, member.size, member.mtime
        found.append((info, b"".join(data)))
    return found


def split_again(site: Site, archive: Archive, count: int) -> Path:
    """Store the copied base backup again, in several partitions; return their folder."""
    shutil.rmtree(site.repository / "basebackups_005")
    return wal_e.store(site.repository, wal_e.split(members_of_fixture(archive), count))


class TestFixtures:
    """An archive of WAL-E 1.1.1, as it is."""

    def test_the_backup_is_listed(self, pg14: Site) -> None:
        """With the LSNs that its name and its sentinel mean in segments of 1 MiB."""
        [backup] = json.loads(pg14.run("backup-list", "--json").stdout)["backups"]
        assert (backup["name"], backup["pg_version"]) == (BACKUP, 140001)
        assert (backup["start_lsn"], backup["finish_lsn"]) == ("0/B00028", "0/B00100")
        assert backup["system_identifier"] == ""
        assert BACKUP in pg14.run("backup-list").stdout

    def test_the_wal_is_shown_as_one_range(self, pg14: Site, archive: Archive) -> None:
        """From the first to the last segment."""
        names = [row["name"] for row in archive.wal if len(row["name"]) == 24]
        text = pg14.run("wal-show").stdout
        assert names[0] in text
        assert names[-1] in text

    def test_every_wal_object_is_fetched(self, pg14: Site, archive: Archive) -> None:
        """Segments and the backup history file; one that is not there is 74."""
        for row in archive.wal:
            destination = pg14.base / row["name"]
            pg14.run("wal-fetch", row["name"], destination)
            content = destination.read_bytes()
            assert len(content) == int(row["size"])
            assert hashlib.sha256(content).hexdigest() == row["sha256_of_decoded"]
        for name in ("00000001000000000000000F", "00000002.history"):
            done = pg14.run("wal-fetch", name, pg14.base / name, check=False)
            assert done.returncode == ABSENT

    def test_every_file_is_restored_to_the_byte(self, pg14: Site, archive: Archive) -> None:
        """And nothing else, besides the directory that the server wants in pg_wal."""
        target = pg14.base / "new"
        pg14.run("backup-fetch", target, "--no-recovery-config")
        found = {path.relative_to(target).as_posix(): path for path in (target, *target.rglob("*"))}
        del found["pg_wal/archive_status"]
        assert found.keys() == {row["path"] for row in archive.base}
        for row in archive.base:
            path = found[row["path"]]
            assert path.is_dir() is (row["type"] == "d")
            assert f"{stat.S_IMODE(path.stat().st_mode):o}" == row["mode"]
            if path.is_file():
                content = path.read_bytes()
                assert hashlib.sha256(content).hexdigest() == row["sha256"], row["path"]

    @pytest.mark.parametrize("target", TARGETS)
    def test_a_server_recovers_to_what_was_there(self, pg14: Site, target: str) -> None:
        """At each target, with the configuration that pg_control asks for."""
        options, content, meta = TARGETS[target]
        cluster = restored(pg14, *options)
        cluster.start()
        if options:
            paused(cluster)
        else:
            promoted(cluster)
        assert cluster.sql(CONTENT) == [content]
        assert cluster.scalar("SELECT v FROM meta") == meta

    def test_the_configuration_is_missed(self, pg14: Site) -> None:
        """WAL-E stores none; a file that is there is not written over."""
        done = pg14.run("backup-fetch", pg14.base / "new")
        assert "WAL-E stores no postgresql.conf, pg_hba.conf, pg_ident.conf" in done.stderr
        assert not (pg14.base / "new/postgresql.conf").exists()

    def test_the_plan_is_shown(self, pg14: Site) -> None:
        """With the WAL from the segment of the backup's name on."""
        shown = pg14.run("backup-fetch", pg14.base / "new", "--dry-run").stdout
        assert "WAL         00000001000000000000000B to 00000001000000000000000E" in shown
        assert not (pg14.base / "new").exists()


class TestDamage:
    """WAL-E restores with a partition missing. This does not."""

    def test_several_partitions_are_restored(self, copied: Site, archive: Archive) -> None:
        """pg_control, label and the rest may be in any of them."""
        split_again(copied, archive, 7)
        cluster = restored(copied, "--target", "immediate")
        cluster.start()
        paused(cluster)
        assert cluster.sql(CONTENT) == [TARGETS["immediate"][1]]

    @pytest.mark.parametrize("number", [0, 3])
    def test_a_hole_in_the_numbers_is_refused(
        self, copied: Site, archive: Archive, number: int
    ) -> None:
        """Before the first byte."""
        folder = split_again(copied, archive, 7)
        (folder / f"part_{number:08d}.tar.lzo").unlink()
        assert f"lacks the partition with number {number}" in refused(copied, CORRUPT)
        assert not (copied.base / "new").exists()

    def test_a_missing_last_partition_is_refused(self, copied: Site, archive: Archive) -> None:
        """Which only the sum of the sizes tells; forced, it is a warning that names both."""
        members = sorted(
            members_of_fixture(archive), key=lambda member: member[0].name.startswith("base/")
        )
        shutil.rmtree(copied.repository / "basebackups_005")
        folder = wal_e.store(copied.repository, wal_e.split(members, 7))
        (folder / "part_00000006.tar.lzo").unlink()
        said = refused(copied, CORRUPT)
        assert "its sentinel says 26298278" in said
        assert "--force" in said
        shutil.rmtree(copied.base / "new")
        done = copied.run("backup-fetch", copied.base / "new", "--force")
        assert "its sentinel says 26298278" in done.stderr

    def test_no_partition_at_all_is_refused(self, copied: Site) -> None:
        """The sentinel alone is no backup."""
        (copied.repository / PART).unlink()
        assert "has no partitions" in refused(copied, NOT_FOUND)

    @pytest.mark.parametrize(
        "change",
        [
            lambda data: data[: len(data) // 2],
            lambda data: data[:-4],
            lambda data: data[: len(data) // 2] + b"!" + data[len(data) // 2 + 1 :],
            lambda data: data[:100],
            lambda data: data + data[:9],
        ],
        ids=["half", "without its end", "a byte flipped", "a few bytes", "more after the end"],
    )
    def test_a_damaged_partition_is_refused(self, copied: Site, change: Change) -> None:
        """lzop's checksums tell."""
        path = copied.repository / PART
        path.write_bytes(change(path.read_bytes()))
        assert PART in refused(copied, CORRUPT)

    def test_a_backup_of_another_cluster_is_refused(self, copied: Site) -> None:
        """Its pg_control has another system identifier than the archive."""
        identity = copied.repository / "pitr/identity.json"
        identity.parent.mkdir()
        identity.write_text('{"system_identifier": 4711}')
        assert "the archived WAL of 4711" in refused(copied, REFUSED)

    def test_wal_that_is_missing_on_the_way_is_refused(self, copied: Site) -> None:
        """As for any backup."""
        (copied.repository / "wal_005/00000001000000000000000C.lzo").unlink()
        assert "00000001000000000000000C" in refused(copied, REFUSED)


class TestForeignPlaces:
    """Links of the host that was backed up lead nowhere now."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Iterator[Site]:
        """A prefix that pitr goes on archiving into."""
        with open_site(tmp_path, find_binaries(14)) as site:
            yield site

    def backed_up(self, site: Site) -> tuple[Cluster, Path]:
        """Back up as WAL-E does: a cluster with a tablespace, and with its WAL elsewhere."""
        cluster = site.cluster(pg_wal=site.base / "wal of data")
        space = site.base / "old space"
        space.mkdir()
        cluster.sql(f"CREATE TABLESPACE far LOCATION '{space}'")
        cluster.sql("CREATE TABLE t TABLESPACE far AS SELECT generate_series(1, 1000) AS n")
        oid = cluster.scalar("SELECT oid FROM pg_tablespace WHERE spcname = 'far'")
        start = cluster.sql("SELECT * FROM pg_walfile_name_offset(pg_start_backup('x', true))")[0]
        (cluster.data_dir / "extra").symlink_to("/etc/hostname")
        spaces = {oid: space}
        members = wal_e.members_of(cluster.data_dir, spaces)
        stop = cluster.sql("SELECT * FROM pg_walfile_name_offset(pg_stop_backup())")[0]
        wal_e.store(
            site.repository,
            wal_e.split(members, 3),
            name=f"base_{start[0]}_{start[1]:08d}",
            stop=(stop[0], f"{stop[1]:08d}"),
            tablespaces=spaces,
        )
        cluster.sql("INSERT INTO t SELECT generate_series(1001, 1500)")
        archive_everything(cluster)
        return cluster, space

    def test_tablespaces_and_links(self, source: Site) -> None:
        """The tablespace is at its new place for good, pg_wal a directory, the old host untouched.

        WAL-E's own restore let the server write into the source's tablespace.
        """
        cluster, space = self.backed_up(source)
        cluster.stop()
        old_wal = {path.name for path in (source.base / "wal of data").rglob("*")}
        before = {path: path.stat().st_mtime_ns for path in space.rglob("*")}
        new_space = source.base / "new space"
        done = source.run(
            *("backup-fetch", source.base / "new", "--minimal-config"),
            *("--tablespace-mapping", f"{space}={new_space}", "--archive-mode-off"),
        )
        assert f"pg_wal was a symbolic link to {source.base / 'wal of data'}" in done.stderr
        assert "extra was a symbolic link to /etc/hostname and is left out" in done.stderr
        assert not (source.base / "new/pg_wal").is_symlink()
        assert not os.path.lexists(source.base / "new/extra")
        (source.base / "new" / "pg_hba.conf").write_text("local all all trust\n")
        new = source.make_cluster(adopt=source.base / "new")
        promoted(new)
        assert new.scalar("SELECT count(*) FROM t") == 1500
        new.sql("UPDATE t SET n = n + 1")
        new.sql("CHECKPOINT")
        assert new.scalar(
            "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'far'"
        ) == str(new_space)
        assert {path: path.stat().st_mtime_ns for path in space.rglob("*")} == before
        assert {path.name for path in (source.base / "wal of data").rglob("*")} == old_wal

    def test_an_offline_backup_of_a_clean_shutdown(self, source: Site) -> None:
        """Its name has a number that is no WAL position: pg_control tells where it begins."""
        cluster = source.cluster()
        cluster.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
        cluster.stop()
        self.store_offline(source, cluster)
        cluster.start()
        archive_everything(cluster)
        cluster.stop()
        listed = source.run("backup-list").stdout
        assert "unknown" in listed
        new = restored(source, "--archive-mode-off")
        new.start()
        promoted(new)
        assert new.scalar("SELECT count(*) FROM t") == 1000

    def test_an_offline_backup_of_a_killed_server_is_refused(self, source: Site) -> None:
        """Without a label nothing would tell the server that its files are torn."""
        cluster = source.cluster()
        archive_everything(cluster)
        cluster.kill()
        self.store_offline(source, cluster)
        assert "was not shut down" in refused(source, CORRUPT)

    def test_an_offline_backup_without_its_wal_is_refused(self, source: Site) -> None:
        """The segment with the checkpoint was never archived."""
        cluster = source.cluster()
        archive_everything(cluster)
        cluster.stop()
        self.store_offline(source, cluster)
        assert "not in the repository" in refused(source, REFUSED)

    def store_offline(self, site: Site, cluster: Cluster) -> None:
        """Back up as `backup-push --while-offline` does, wrong name and all."""
        wal_e.store(
            site.repository,
            [wal_e.members_of(cluster.data_dir)],
            name="base_000000010000000000000015_0000001A",
            stop=("000000010000000000000015", "0000001A"),
            version="PostgreSQL 14.1 (Debian 14.1-1.pgdg110+1)",
        )
