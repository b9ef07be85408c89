"""A damaged repository is named for what it is, and a restore from it cannot be started."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from backup_core.stream.encrypt.age import format_identity, format_recipient
from tests.support.commands import complaint
from tests.support.segments import FIRST, SECOND, segment, wal_file
from tests.support.site import Site
from tests.unit.stream.encrypt.keys import IDENTITY as IDENTITY_KEY
from tests.unit.stream.encrypt.keys import RECIPIENT

CORRUPT, STOP = 6, 200
IDENTITY = "pitr/identity.json"


@pytest.fixture(scope="module")
def original(module_site: Site) -> Path:
    """A repository with one backup."""
    cluster = module_site.cluster()
    module_site.backup(cluster)
    cluster.stop()
    return module_site.repository


@pytest.fixture
def name(site: Site, original: Path) -> str:
    """The name of the backup; each test damages a copy of its own."""
    shutil.copytree(original, site.repository, dirs_exist_ok=True)
    [name] = site.backups()
    return name


def fails(site: Site, code: int, *arguments: str | Path) -> str:
    """Run a command that must fail so; return what it says."""
    done = site.run(*arguments, check=False)
    assert done.returncode == code, done.stderr
    return complaint(done)


def flip(path: Path) -> None:
    """Change a bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    """Cut a file in half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garble(path: Path) -> None:
    """Replace a file by something that is not JSON."""
    path.write_text("{" * 10)


def rename_keys(path: Path) -> None:
    """Replace a file by JSON of another meaning."""
    path.write_text('{"some": ["other", "document"]}')


@pytest.mark.parametrize("damage", [cut, garble, rename_keys])
def test_a_corrupt_sentinel_does_not_hide_other_backups(
    site: Site, name: str, damage: Callable[[Path], None]
) -> None:
    """It is listed as what it is; the others can be used."""
    folder = site.repository / "basebackups_005"
    other = "base_0000000100000000000000FF"
    sentinel = folder / f"{other}_backup_stop_sentinel.json"
    shutil.copy(folder / f"{name}_backup_stop_sentinel.json", sentinel)
    damage(sentinel)
    done = site.run("backup-list", check=False)
    assert done.returncode == CORRUPT
    assert f"UNREADABLE {other}" in done.stdout
    assert f"\n{name}" in done.stdout
    [unreadable] = json.loads(site.run("backup-list", "--json", check=False).stdout)["unreadable"]
    assert unreadable["name"] == other
    assert other in fails(site, CORRUPT, "backup-fetch", site.base / "new", other)
    site.run("backup-fetch", site.base / "new", "LATEST")


@pytest.mark.parametrize("damage", [flip, cut, garble])
def test_a_corrupt_index_stops_the_restore_in_the_plan(
    site: Site, name: str, damage: Callable[[Path], None]
) -> None:
    """Nothing is written."""
    damage(site.repository / "basebackups_005" / name / "index.json.zst")
    assert "index.json.zst" in fails(site, CORRUPT, "backup-fetch", site.base / "new", name)
    assert not (site.base / "new").exists()


@pytest.mark.parametrize("damage", [flip, cut, garble, rename_keys, Path.unlink])
@pytest.mark.parametrize("part", ["part_001", "pg_control", "backup_label"])
def test_a_damaged_partition_leaves_nothing_that_starts(
    site: Site, name: str, part: str, damage: Callable[[Path], None]
) -> None:
    """Without pg_control no server starts, however much was written."""
    [path] = (site.repository / "basebackups_005" / name / "tar_partitions").glob(f"{part}.*")
    damage(path)
    words = fails(site, CORRUPT, "backup-fetch", site.base / "new", name)
    assert part in words or "its digest differs" in words
    assert not (site.base / "new" / "global" / "pg_control").exists()


@pytest.mark.parametrize("damage", [flip, cut, garble, rename_keys, Path.unlink])
def test_a_damaged_manifest_stops_the_restore_in_the_plan(
    site: Site, name: str, damage: Callable[[Path], None]
) -> None:
    """By it alone pg_verifybackup can prove what was restored."""
    damage(site.repository / "basebackups_005" / name / "backup_manifest")
    assert "manifest is" in fails(site, CORRUPT, "backup-fetch", site.base / "new", name)
    assert not (site.base / "new").exists()


def test_a_partition_is_missed_even_where_nothing_lists_the_files(site: Site) -> None:
    """An encrypted backup has its index alone for that; without it the sizes have to add up."""
    cluster = site.cluster()
    keys = {
        "PITR_AGE_RECIPIENTS": format_recipient(RECIPIENT),
        "PITR_AGE_IDENTITY": format_identity(IDENTITY_KEY),
    }
    site.run("backup-push", env=cluster.environ | keys | {"PITR_TAR_SIZE_THRESHOLD": "2MB"})
    cluster.stop()
    [name] = site.backups()
    folder = site.repository / "basebackups_005" / name
    (folder / "index.json.zst").unlink()
    site.run("backup-fetch", site.base / "whole", name, env=keys)
    next(folder.glob("tar_partitions/part_*")).unlink()
    done = site.run("backup-fetch", site.base / "half", name, env=keys, check=False)
    assert done.returncode == CORRUPT, done.stderr
    assert "a partition may be missing" in complaint(done).lower()
    assert not (site.base / "half" / "global" / "pg_control").exists()


@pytest.mark.parametrize("damage", [garble, rename_keys, cut])
def test_a_corrupt_identity_stops_archiving_and_recovery(
    site: Site, name: str, damage: Callable[[Path], None]
) -> None:
    """Whose repository it is cannot be told, so nothing is added and nothing is proven."""
    damage(site.repository / IDENTITY)
    path = wal_file(site.base, FIRST, segment())
    assert IDENTITY in fails(site, CORRUPT, "wal-push", path)
    absent = SECOND.replace("2", "F")
    assert IDENTITY in fails(site, STOP, "wal-fetch", absent, site.base / "RECOVERYXLOG")


def test_foreign_objects_among_the_wal_are_passed_over(site: Site, name: str) -> None:
    """Other tools and people leave files; they are neither WAL nor an error."""
    folder = site.repository / "wal_005"
    for stranger in ("README", f"{FIRST}.zst.tmp", f"{FIRST}.gz.bak", "0000000100000000.zst"):
        (folder / stranger).write_text("?")
    before = site.run("wal-show").stdout
    assert "GAP" not in before
    site.run("backup-fetch", site.base / "new", name)
