"""What a restored directory holds: what the server needs, and nothing that it makes anew."""

import json
import re

from tests.support.cluster import Cluster
from tests.support.site import Site, archive_everything, paused, promoted

SETTING = re.compile(r"^(recovery_target\w*|restore_command) = '(.*)'$", re.MULTILINE)


def rows(cluster: Cluster) -> list[str]:
    """What the table holds, in the order of writing."""
    return [row for (row,) in cluster.sql("SELECT row FROM t")]


def test_an_earlier_restore_does_not_disturb_the_next(site: Site) -> None:
    """A restored cluster, backed up and restored to another target, forgets its first target."""
    cluster = site.cluster()
    cluster.sql("CREATE TABLE t (row text)")
    site.backup(cluster)
    cluster.sql("SELECT pg_create_restore_point('first target')")
    archive_everything(cluster)
    cluster.kill()
    first = site.restore(
        *("LATEST", "--target-name", "first target", "--target-action", "promote"), name="first"
    )
    promoted(first)
    site.backup(first)
    first.sql("INSERT INTO t VALUES ('wanted')")
    target = str(first.scalar("SELECT pg_current_wal_lsn()"))
    first.sql("INSERT INTO t VALUES ('unwanted')")
    archive_everything(first)
    first.kill()

    second = site.restore("--target-lsn", target, name="second")

    paused(second)
    assert rows(second) == ["wanted"]
    in_force = dict(SETTING.findall((second.data_dir / "postgresql.auto.conf").read_text()))
    assert {name for name, value in in_force.items() if value and "target_" in name} == {
        "recovery_target_action",
        "recovery_target_inclusive",
        "recovery_target_lsn",
        "recovery_target_timeline",
    }


def test_a_standby_restored_as_a_primary_is_none_any_more(site: Site) -> None:
    """What made a cluster a standby is not taken into a backup of it."""
    primary = site.cluster()
    primary.sql("CREATE TABLE t AS SELECT 'row' AS row")
    site.backup(primary)
    archive_everything(primary)
    standby = site.restore("--standby", name="standby")
    standby.run("pg_ctl", "promote", "-D", str(standby.data_dir))
    promoted(standby)
    primary.kill()
    site.backup(standby)
    archive_everything(standby)
    standby.kill()

    restored = site.restore()

    promoted(restored)
    assert rows(restored) == ["row"]
    assert not (restored.data_dir / "standby.signal").exists()


def test_unlogged_tables_come_back_empty(site: Site) -> None:
    """They are not in the WAL, so of them only the init fork is backed up."""
    cluster = site.cluster()
    cluster.sql("CREATE UNLOGGED TABLE u AS SELECT n FROM generate_series(1, 1000) n")
    file = cluster.scalar("SELECT pg_relation_filepath('u')")
    cluster.sql("CHECKPOINT")
    backup = site.backup(cluster)
    archive_everything(cluster)
    cluster.kill()

    assert {path for path in manifest_paths(site, backup) if path.startswith(file)} == {
        f"{file}_init"
    }
    restored = site.restore()
    promoted(restored)
    assert restored.scalar("SELECT count(*) FROM u") == 0
    restored.sql("INSERT INTO u VALUES (1)")
    assert restored.scalar("SELECT count(*) FROM u") == 1


def test_temporary_files_are_left_out(site: Site) -> None:
    """Sort files, temporary tables and what belongs to the running server stay behind."""
    cluster = site.cluster()
    sort_file = cluster.data_dir / "base" / "pgsql_tmp" / "pgsql_tmp123.0"
    sort_file.parent.mkdir(exist_ok=True)
    sort_file.write_bytes(b"rows to be sorted")
    with cluster.connect() as connection:
        connection.execute("CREATE TEMPORARY TABLE x AS SELECT n FROM generate_series(1, 1000) n")
        row = connection.execute("SELECT pg_relation_filepath('x')").fetchone()
        assert row is not None
        assert (cluster.data_dir / row[0]).exists()
        backup = site.backup(cluster)

    paths = manifest_paths(site, backup)
    assert "PG_VERSION" in paths
    assert not paths & {row[0], "postmaster.pid", "postmaster.opts"}
    assert not [path for path in paths if "pgsql_tmp" in path]
    restored = site.restore(start=False)
    assert not (restored.data_dir / row[0]).exists()
    assert not (restored.data_dir / "postmaster.pid").exists()


def manifest_paths(site: Site, backup: str) -> set[str]:
    """The files that a backup's manifest names."""
    manifest = site.repository / "basebackups_005" / backup / "backup_manifest"
    return {file["Path"] for file in json.loads(manifest.read_text())["Files"]}
