"""Stock wal-g and pitr on one archive, both ways; where `WALG_BIN` names a wal-g binary.

What wal-g restored of ours is proved by stock pg_verifybackup and by a server that recovers from it
with `wal-g wal-fetch`; what we restored of wal-g's is held against wal-g's own restore of it, file
by file, and recovered too.
"""

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from backup_core.stream.compress import EXTENSIONS
from tests.support import walg
from tests.support.cluster import Cluster
from tests.support.environment import pitr_program
from tests.support.site import Site, archive_everything, check_indexes, promoted
from tests.support.walg import WalG, digests

if not walg.is_there():
    pytest.skip(walg.MISSING, allow_module_level=True)

METHODS = [*EXTENSIONS]
PUSHES = {
    "regular": [],
    "rating": ["--rating-composer"],
    "database": ["--database-composer"],
    "copy": ["--copy-composer"],
    "without-list": ["--without-files-metadata"],
}
CHAINS = {name: PUSHES[name] for name in ("regular", "rating", "database")}
OURS_ALONE = {"backup_manifest", "recovery.signal", "postgresql.auto.conf", "tablespace_map"}
MANY = 100_000


@pytest.fixture
def wal_g(site: Site) -> WalG:
    """wal-g on the site's repository."""
    home = site.base / "home"
    home.mkdir()
    return WalG(repository=site.repository, home=home)


def archiving(command: str) -> dict[str, str]:
    """Settings of a server that archives by a command."""
    return {"archive_mode": "on", "archive_command": command}


def by_pitr(site: Site, env: dict[str, str]) -> str:
    """An archive_command."""
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in env.items())
    return f"{settings} {pitr_program()} wal-push %p --repository file://{site.repository}"


def fill(cluster: Cluster) -> None:
    """The table that a backup holds."""
    cluster.sql("CREATE TABLE t AS SELECT n, md5(n::text) AS h FROM generate_series(1, 20000) n")
    cluster.sql("CREATE UNIQUE INDEX ON t (n)")


def go_on(cluster: Cluster) -> None:
    """Rows that are in WAL alone; the server ends."""
    cluster.sql("INSERT INTO t SELECT n, md5(n::text) FROM generate_series(20001, 30000) n")
    archive_everything(cluster)
    cluster.stop()


def check_table(restored: Cluster) -> None:
    """Everything is there and can be written."""
    promoted(restored)
    assert restored.scalar("SELECT count(*) FROM t WHERE h = md5(n::text)") == 30000
    restored.sql("INSERT INTO t VALUES (30001, md5('30001'))")
    check_indexes(restored)


def recover(site: Site, directory: Path, restore_command: str) -> Cluster:
    """Start a server on a directory that wal-g restored."""
    cluster = site.make_cluster(adopt=directory, start=False)
    directory.chmod(0o700)
    cluster.settings(restore_command=restore_command, archive_mode="off")
    (directory / "recovery.signal").touch()
    cluster.start()
    return cluster


def verify(site: Site, name: str, directory: Path) -> None:
    """Hold what wal-g restored against the manifest that pitr wrote, by stock pg_verifybackup."""
    manifest = site.repository / "basebackups_005" / name / "backup_manifest"
    shutil.copy(manifest, directory / "backup_manifest")
    restored = site.make_cluster(adopt=directory, start=False)
    restored.run("pg_verifybackup", "-n", "--ignore=tablespace_map", str(directory))


def compare(ours: Path, theirs: Path) -> None:
    """Both tools restored the same files, but for those with which pitr starts the recovery."""
    found = [
        {path: entry for path, entry in digests(directory).items() if path not in OURS_ALONE}
        for directory in (ours, theirs)
    ]
    assert found[0] == found[1]


class TestWalGRestoresWhatPitrWrote:
    """An operator may change their mind."""

    @pytest.mark.parametrize("method", METHODS)
    def test_a_backup_and_its_wal_in_each_codec(self, site: Site, wal_g: WalG, method: str) -> None:
        """Byte for byte, and the server recovers with wal-fetch."""
        env = {"WALG_COMPRESSION_METHOD": method}
        cluster = site.make_cluster(settings=archiving(by_pitr(site, env)))
        fill(cluster)
        site.run("backup-push", env=cluster.environ | env)
        [name] = site.backups()
        go_on(cluster)
        directory = site.base / "restored"

        wal_g.run("backup-fetch", directory, "LATEST")

        verify(site, name, directory)
        check_table(recover(site, directory, wal_g.command("wal-fetch", "%f", "%p")))

    def test_tablespaces_where_a_restore_spec_puts_them(self, site: Site, wal_g: WalG) -> None:
        """Its form is that of the sentinel's Spec, which wal-g takes otherwise."""
        cluster = site.cluster()
        space = site.base / "space"
        space.mkdir()
        cluster.sql(f"CREATE TABLESPACE space LOCATION '{space}'")
        cluster.sql("SET default_tablespace = space")
        fill(cluster)
        cluster.sql("ALTER TABLE t SET TABLESPACE space")
        name = site.backup(cluster)
        go_on(cluster)
        directory = site.base / "restored"
        sentinel = site.repository / f"basebackups_005/{name}_backup_stop_sentinel.json"
        spec = json.loads(sentinel.read_text())["Spec"]
        [oid] = spec["tablespaces"]
        moved = site.base / "moved"
        spec |= {"base_prefix": str(directory)}
        spec[oid]["loc"] = str(moved)
        (site.base / "spec.json").write_text(json.dumps(spec))

        wal_g.run("backup-fetch", directory, name, "--restore-spec", site.base / "spec.json")

        assert (directory / "pg_tblspc" / oid).readlink() == moved
        shutil.rmtree(space)
        check_table(recover(site, directory, wal_g.command("wal-fetch", "%f", "%p")))

    def test_tablespaces_where_they_were(self, site: Site, wal_g: WalG) -> None:
        """Without a restore spec the directory has to be the old one."""
        cluster = site.cluster()
        space = site.base / "space"
        space.mkdir()
        cluster.sql(f"CREATE TABLESPACE space LOCATION '{space}'")
        fill(cluster)
        cluster.sql("ALTER TABLE t SET TABLESPACE space")
        name = site.backup(cluster)
        go_on(cluster)
        shutil.rmtree(cluster.data_dir)
        shutil.rmtree(space)

        wal_g.run("backup-fetch", cluster.data_dir, name)

        verify(site, name, cluster.data_dir)
        check_table(recover(site, cluster.data_dir, wal_g.command("wal-fetch", "%f", "%p")))

    def test_a_hundred_thousand_files(self, site: Site, wal_g: WalG) -> None:
        """None is missing from the list by which wal-g restores."""
        cluster = site.cluster()
        for number in range(MANY):
            folder = cluster.data_dir / "many" / str(number // 1000)
            if not number % 1000:
                folder.mkdir(parents=True)
            (folder / str(number)).write_bytes(b"%d" % number)
        name = site.backup(cluster)
        cluster.stop()
        directory = site.base / "restored"

        wal_g.run("backup-fetch", directory, name, env={"WALG_TAR_DISABLE_FSYNC": "true"})

        verify(site, name, directory)
        assert sum(1 for path in (directory / "many").rglob("*") if path.is_file()) == MANY

    @pytest.mark.parametrize("scheme", ["libsodium", "pgp"])
    def test_what_was_encrypted(self, site: Site, wal_g: WalG, scheme: str) -> None:
        """With the key of the same setting; nothing in the archive is in the clear."""
        env = walg.encryption(scheme, site.base)
        wal_g = replace(wal_g, env=env)
        cluster = site.make_cluster(settings=archiving(by_pitr(site, env)))
        fill(cluster)
        site.run("backup-push", env=cluster.environ | env)
        [name] = site.backups()
        go_on(cluster)
        directory = site.base / "restored"
        assert_encrypted(site, name)

        wal_g.run("backup-fetch", directory, name)

        check_table(recover(site, directory, wal_g.command("wal-fetch", "%f", "%p")))

    def test_its_listings_understand_the_repository(self, site: Site, wal_g: WalG) -> None:
        """Of backups, of WAL, and the check that none of it is missing."""
        cluster = site.cluster()
        fill(cluster)
        name = site.backup(cluster, "--add-user-data", '{"who": "me"}')
        last = archive_everything(cluster)

        listed = json.loads(wal_g.run("backup-list", "--json", "--detail").stdout)
        shown = json.loads(wal_g.run("wal-show", "--detailed-json").stdout)
        verified = json.loads(
            wal_g.run("wal-verify", "integrity", "timeline", "--json", env=cluster.environ).stdout
        )

        [backup] = listed
        assert (backup["backup_name"], backup["hostname"]) == (name, described(site)["hostname"])
        assert (backup["data_dir"], backup["pg_version"] // 10000) == (
            str(cluster.data_dir),
            cluster.binaries.major,
        )
        assert backup["user_data"] == {"who": "me"}
        [timeline] = shown
        assert (timeline["id"], timeline["status"], timeline["end_segment"]) == (1, "OK", last)
        assert [one["backup_name"] for one in timeline["backups"]] == [name]
        assert verified["integrity"]["status"] == "OK"
        assert verified["timeline"]["status"] == "OK"

    def test_it_goes_on_with_deltas_upon_our_full_backup(self, site: Site, wal_g: WalG) -> None:
        """Its list of files is good enough to compare with, and the chain restores."""
        cluster = site.cluster()
        fill(cluster)
        full = site.backup(cluster)
        cluster.sql("UPDATE t SET h = md5(n::text) WHERE n % 100 = 0")
        deltas = {"WALG_DELTA_MAX_STEPS": "6"}

        wal_g.run("backup-push", cluster.data_dir, env=cluster.environ | deltas)

        delta = next(name for name in site.backups() if "_D_" in name)
        assert delta.endswith(full.removeprefix("base_"))
        go_on(cluster)
        wal_g.run("backup-fetch", site.base / "restored", delta)
        restored = recover(site, site.base / "restored", wal_g.command("wal-fetch", "%f", "%p"))
        check_table(restored)


class TestPitrRestoresWhatWalGWrote:
    """Years of backups stay of use."""

    @pytest.mark.parametrize("method", METHODS)
    def test_a_backup_and_its_wal_in_each_codec(self, site: Site, wal_g: WalG, method: str) -> None:
        """The same files as wal-g restores, and all that was archived."""
        wal_g = replace(wal_g, env={"WALG_COMPRESSION_METHOD": method})
        cluster = archived_by(wal_g, site)
        fill(cluster)
        push(wal_g, cluster)
        go_on(cluster)
        check_both(site, wal_g)

    @pytest.mark.parametrize("flags", PUSHES.values(), ids=PUSHES)
    def test_each_way_to_compose_partitions(
        self, site: Site, wal_g: WalG, flags: list[str]
    ) -> None:
        """Also the one that keeps no list of files."""
        cluster = archived_by(wal_g, site)
        fill(cluster)
        push(wal_g, cluster, *flags)
        go_on(cluster)
        check_both(site, wal_g)

    @pytest.mark.parametrize("flags", CHAINS.values(), ids=CHAINS)
    def test_a_chain_of_deltas(self, site: Site, wal_g: WalG, flags: list[str]) -> None:
        """Relations grew, shrank, vanished and came between the three backups of the chain."""
        wal_g = replace(wal_g, env={"WALG_DELTA_MAX_STEPS": "6"})
        cluster = archived_by(wal_g, site)
        fill(cluster)
        cluster.sql("CREATE TABLE cut AS SELECT n FROM generate_series(1, 20000) n")
        cluster.sql("CREATE TABLE dropped AS SELECT n FROM generate_series(1, 20000) n")
        push(wal_g, cluster, *flags)
        cluster.sql("DROP TABLE dropped")
        cluster.sql("DELETE FROM cut WHERE n > 1000")
        cluster.sql("VACUUM cut")
        push(wal_g, cluster, *flags)
        cluster.sql("UPDATE t SET n = n WHERE n % 500 = 0")
        cluster.sql("INSERT INTO cut SELECT n FROM generate_series(1001, 30000) n")
        cluster.sql("CREATE TABLE fresh AS SELECT n FROM generate_series(1, 500) n")
        push(wal_g, cluster, *flags)
        go_on(cluster)
        assert len([name for name in site.backups() if "_D_" in name]) == 2

        restored = check_both(site, wal_g)

        counts = "SELECT (SELECT count(*) FROM cut), (SELECT count(*) FROM fresh)"
        assert restored.sql(counts) == [(30000, 500)]

    def test_a_backup_through_the_replication_protocol(self, site: Site, wal_g: WalG) -> None:
        """Without a directory; its names have no leading slash, its label is among the files."""
        cluster = archived_by(wal_g, site)
        fill(cluster)
        wal_g.run("backup-push", env=cluster.environ)
        go_on(cluster)
        check_both(site, wal_g)

    def test_tablespaces(self, site: Site, wal_g: WalG) -> None:
        """Where they were, once that is empty."""
        cluster = archived_by(wal_g, site)
        space = site.base / "space"
        space.mkdir()
        cluster.sql(f"CREATE TABLESPACE space LOCATION '{space}'")
        fill(cluster)
        cluster.sql("ALTER TABLE t SET TABLESPACE space")
        push(wal_g, cluster)
        go_on(cluster)
        moved = site.base / "moved"
        site.run(
            *("backup-fetch", site.base / "ours", "LATEST"),
            *("--tablespace-mapping", f"{space}={moved}"),
        )
        shutil.rmtree(space)
        restored = site.make_cluster(adopt=site.base / "ours")
        check_table(restored)
        assert [*moved.iterdir()]

    @pytest.mark.parametrize("scheme", ["libsodium", "pgp"])
    def test_what_was_encrypted(self, site: Site, wal_g: WalG, scheme: str) -> None:
        """With the key of the same setting."""
        wal_g = replace(wal_g, env=walg.encryption(scheme, site.base))
        cluster = archived_by(wal_g, site)
        fill(cluster)
        push(wal_g, cluster)
        go_on(cluster)
        check_both(site, wal_g)


def archived_by(wal_g: WalG, site: Site) -> Cluster:
    """A cluster whose archive_command is wal-g."""
    return site.make_cluster(settings=archiving(wal_g.command("wal-push", "%p")))


def push(wal_g: WalG, cluster: Cluster, *flags: str) -> None:
    """Take a backup by wal-g."""
    wal_g.run("backup-push", cluster.data_dir, *flags, env=cluster.environ)


def check_both(site: Site, wal_g: WalG) -> Cluster:
    """Restore the newest backup by both tools, compare, and recover ours."""
    ours, theirs = site.base / "ours", site.base / "theirs"
    wal_g.run("backup-fetch", theirs, "LATEST")
    site.run("backup-fetch", ours, "LATEST", env=wal_g.env)
    compare(ours, theirs)
    restored = site.make_cluster(adopt=ours, start=False)
    restored.start(env=site.environ | dict(wal_g.env))
    check_table(restored)
    return restored


def described(site: Site) -> dict[str, object]:
    """The metadata of the only backup."""
    [path] = site.repository.glob("basebackups_005/*/metadata.json")
    document = json.loads(path.read_text())
    assert isinstance(document, dict)
    return document


def assert_encrypted(site: Site, name: str) -> None:
    """No partition and no segment can be decompressed as it is."""
    partitions = [*(site.repository / "basebackups_005" / name / "tar_partitions").iterdir()]
    segments = [*(site.repository / "wal_005").iterdir()]
    assert partitions
    assert segments
    for path in partitions + segments:
        assert not path.read_bytes().startswith(b"\x28\xb5\x2f\xfd"), path
