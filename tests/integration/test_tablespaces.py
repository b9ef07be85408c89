"""Tablespaces come back where the operator wants them; nothing is written over what is there."""

from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.commands import complaint
from tests.support.site import Site, archive_everything, check_indexes, promoted


@dataclass(frozen=True, kw_only=True)
class Spaces:
    """A backup of a cluster with tablespaces `fast` and `large`, whose files are still there."""

    repository: Path
    fast: Path
    fast_oid: int
    large: Path
    large_oid: int

    def oids(self) -> dict[int, Path]:
        """The locations by OID."""
        return {self.fast_oid: self.fast, self.large_oid: self.large}


@pytest.fixture(scope="module")
def spaces(module_site: Site) -> Spaces:
    """Back up a table in one tablespace and its index in another, some of it in WAL alone."""
    fast, large = module_site.base / "fast disk", module_site.base / "large disk"
    cluster = module_site.cluster()
    for location in (fast, large):
        location.mkdir()
        name = location.name.removesuffix(" disk")
        cluster.sql(f"CREATE TABLESPACE {name} LOCATION '{location}'")
    cluster.sql("CREATE TABLE t TABLESPACE large AS SELECT n FROM generate_series(1, 500) n")
    cluster.sql("CREATE UNIQUE INDEX ON t (n) TABLESPACE fast")
    module_site.backup(cluster)
    cluster.sql("INSERT INTO t SELECT n FROM generate_series(501, 1000) n")
    archive_everything(cluster)
    oids = dict(cluster.sql("SELECT spcname, oid FROM pg_tablespace"))
    cluster.stop()
    return Spaces(
        repository=module_site.repository,
        fast=fast,
        fast_oid=oids["fast"],
        large=large,
        large_oid=oids["large"],
    )


@pytest.fixture
def site(site: Site, spaces: Spaces) -> Site:
    """A place to restore the shared repository to."""
    return replace(site, repository=spaces.repository)


def contents(*directories: Path) -> dict[Path, str]:
    """The digest of every file below the directories."""
    return {
        path: sha256(path.read_bytes()).hexdigest()
        for directory in directories
        for path in directory.rglob("*")
        if path.is_file()
    }


def mapping(*pairs: str) -> list[str]:
    """The arguments that map tablespaces."""
    return [part for pair in pairs for part in ("--tablespace-mapping", pair)]


def check_table(restored: Cluster) -> None:
    """All rows are there, and they can be written."""
    promoted(restored)
    restored.sql("INSERT INTO t VALUES (1001)")
    assert restored.scalar("SELECT count(*) FROM t") == 1001
    check_indexes(restored)


def test_mapped_tablespaces_go_to_their_new_places(site: Site, spaces: Spaces) -> None:
    """OLD is a location or an OID; links and data are in the new places, the old ones untouched."""
    untouched = contents(spaces.fast, spaces.large)
    new = {spaces.fast_oid: site.base / "new fast", spaces.large_oid: site.base / "new large"}

    restored = site.restore(
        *mapping(f"{spaces.fast}={new[spaces.fast_oid]}"),
        *mapping(f"{spaces.large_oid}={new[spaces.large_oid]}"),
        "--archive-mode-off",
    )

    assert links(restored) == new
    check_table(restored)
    assert all(contents(location) for location in new.values())
    assert contents(spaces.fast, spaces.large) == untouched


def links(restored: Cluster) -> dict[int, Path]:
    """Where the links in pg_tblspc point, by OID."""
    return {int(link.name): link.readlink() for link in (restored.data_dir / "pg_tblspc").iterdir()}


def test_without_mapping_a_location_in_use_is_refused(site: Site, spaces: Spaces) -> None:
    """The old files may be all that is left of the cluster."""
    untouched = contents(spaces.fast, spaces.large)

    done = site.run("backup-fetch", site.base / "new", check=False)

    assert done.returncode == 3
    assert f"{spaces.fast} is not empty" in complaint(done)
    assert "--tablespace-mapping" in complaint(done)
    assert not (site.base / "new").exists()
    assert contents(spaces.fast, spaces.large) == untouched


def test_without_mapping_tablespaces_come_back_where_they_were(site: Site, spaces: Spaces) -> None:
    """Where the locations are gone with the host, they are made and filled again."""
    aside = [path.rename(path.with_suffix(".aside")) for path in (spaces.fast, spaces.large)]

    restored = site.restore("--archive-mode-off")

    assert links(restored) == spaces.oids()
    check_table(restored)
    restored.close()
    for number, path in enumerate(aside):
        original = path.with_suffix("")
        original.rename(site.base / f"done with {number}")
        path.rename(original)


@pytest.mark.parametrize(
    ("pair", "problem"),
    [
        ("/no/such/place=/new", 'has no tablespace "/no/such/place"'),
        ("99999=/new", 'has no tablespace "99999"'),
        ("{oid}=relative", 'cannot go to "relative", which is not an absolute path'),
        ("{oid}={new}/space", "which is inside the data directory"),
        ("{oid}={large}", "cannot go to"),
        ("{oid}", "is not a tablespace mapping"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(
    site: Site, spaces: Spaces, pair: str, problem: str
) -> None:
    """A mistyped mapping must not let a tablespace go to its original place unnoticed."""
    new = site.base / "new"
    argument = pair.format(oid=spaces.fast_oid, new=new, large=spaces.large)

    done = site.run("backup-fetch", new, *mapping(argument), check=False)

    assert done.returncode == 2
    assert problem in complaint(done)
    assert not new.exists()


@pytest.mark.postgres(17)
def test_an_in_place_tablespace_comes_back_in_the_data_directory(site: Site) -> None:
    """It is a directory in pg_tblspc and no link, so there is nothing to map."""
    own = replace(site, repository=site.base / "repository")
    cluster = own.cluster(settings={"allow_in_place_tablespaces": "on"})
    cluster.sql("CREATE TABLESPACE here LOCATION ''")
    cluster.sql("CREATE TABLE t TABLESPACE here AS SELECT n FROM generate_series(1, 1000) n")
    own.backup(cluster)
    archive_everything(cluster)
    oid = cluster.scalar("SELECT oid FROM pg_tablespace WHERE spcname = 'here'")
    cluster.kill()

    restored = own.restore()

    place = restored.data_dir / "pg_tblspc" / str(oid)
    assert place.is_dir()
    assert not place.is_symlink()
    check_table(restored)


def test_a_linked_pg_wal_comes_back_as_a_directory(site: Site) -> None:
    """Where WAL lay on the lost host is no concern of the new one."""
    own = replace(site, repository=site.base / "repository")
    cluster = own.cluster(pg_wal=own.base / "wal disk")
    cluster.sql("CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) n")
    own.backup(cluster)
    archive_everything(cluster)
    cluster.kill()

    restored = own.restore()

    assert not (restored.data_dir / "pg_wal").is_symlink()
    check_table(restored)
