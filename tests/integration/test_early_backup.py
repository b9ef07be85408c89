"""A backup of the time before indexes named their algorithm is as good as one of today."""

import os
import shutil
from pathlib import Path

import pytest

from backup_core.repository.catalog import read_index
from backup_core.storage.file import FileStorage
from backup_core.stream.digest import Algorithm
from tests.support.commands import complaint
from tests.support.early_backup import make_early
from tests.support.site import Site, archive_everything, promoted

ROWS = 90_000
TO_BACKUPS_END = ("--target", "immediate", "--target-action", "promote")


@pytest.fixture(scope="module")
def early(module_site: Site) -> Site:
    """A repository with such a backup, of a cluster that has a tablespace."""
    space = module_site.base / "space"
    space.mkdir()
    cluster = module_site.cluster()
    cluster.sql(f"CREATE TABLESPACE space LOCATION '{space}'")
    cluster.sql(
        "CREATE TABLE t TABLESPACE space AS "
        f"SELECT n, md5(n::text) AS t FROM generate_series(1, {ROWS}) n"
    )
    module_site.backup(cluster)
    archive_everything(cluster)
    cluster.stop()
    storage, [name] = FileStorage(module_site.repository), module_site.backups()
    make_early(storage, name)
    index = read_index(storage, name)
    assert index is not None
    assert index.algorithm is Algorithm.SHA256
    return module_site


@pytest.fixture
def site(site: Site, early: Site) -> Site:
    """The repository, to be restored or damaged."""
    shutil.copytree(early.repository, site.repository, dirs_exist_ok=True)
    return site


def words(site: Site, early: Site) -> list[str | Path]:
    """The backup, and where its tablespace goes."""
    mapping = f"{early.base / 'space'}={site.base / 'space'}"
    return [*site.backups(), *TO_BACKUPS_END, "--tablespace-mapping", mapping]


def test_it_restores_and_every_file_is_proved(site: Site, early: Site) -> None:
    """By --verify, and by stock pg_verifybackup, the rewritten tablespace_map included."""
    restored = site.restore(*words(site, early), "--verify")
    promoted(restored)
    assert restored.scalar("SELECT count(*) FROM t") == ROWS


def test_what_is_there_already_is_known(site: Site, early: Site) -> None:
    """A restore over itself keeps the files, and mends the one that is another."""
    target = site.base / "restored"
    site.run("backup-fetch", target, *words(site, early))
    changed = target / "base/1/1259"
    kept = target / "base/1/1249"
    changed.write_bytes(os.urandom(changed.stat().st_size))
    inode = kept.stat().st_ino
    site.run("backup-fetch", target, *words(site, early), "--delta")
    assert kept.stat().st_ino == inode
    site.verify(site.make_cluster(adopt=target, start=False))


def test_its_files_are_read_one_by_one(site: Site) -> None:
    """As a stream and below a directory."""
    [name] = site.backups()
    version = site.run("backup-cat", name, "PG_VERSION").stdout
    site.run("backup-fetch", site.base / "out", name, "--only", "PG_VERSION")
    assert (site.base / "out/PG_VERSION").read_text() == version


def test_it_is_verified_and_damage_is_found(site: Site, early: Site) -> None:
    """Its objects' digests are those of today; a changed frame is refused."""
    site.run("backup-verify")
    [part] = site.repository.glob("basebackups_005/*/tar_partitions/part_001.*")
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    assert site.run("backup-verify", check=False).returncode == 6
    done = site.run("backup-fetch", site.base / "out", *words(site, early), check=False)
    assert "the digest of its bytes from" in complaint(done)
