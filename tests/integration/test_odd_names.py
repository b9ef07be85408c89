"""Any name and any encoding: nothing is left to chance between shell, server and pitr."""

from dataclasses import replace
from shlex import quote

import pytest

from tests.support.environment import pitr_program
from tests.support.site import Site, archive_everything, check_indexes, promoted

SHELL = "$HOME `id` \\ & ; # 100% %p %f %%"
ODD_NAMES = [f'it\'s "quoted" {SHELL}', "--repository Ünïcödé-日本"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_directories_with_odd_names_make_no_difference(site: Site, name: str) -> None:
    """The whole way: archive, back up, restore, recover by the rendered restore_command."""
    odd = replace(site, base=site.base / name, repository=site.base / name / f"repository {name}")
    odd.repository.mkdir(parents=True)
    cluster = odd.cluster(f"{name}/data {name}", settings={"archive_command": command_for(odd)})
    odd.backup(cluster)
    cluster.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
    archive_everything(cluster)
    cluster.kill()
    restored = odd.restore("LATEST", name=f"restored {name}")
    promoted(restored)
    assert restored.scalar("SELECT count(*) FROM t") == 1000
    check_indexes(restored)


def test_tablespaces_with_odd_names_make_no_difference(site: Site) -> None:
    """Their locations pass through the backup's tablespace map and OLD=NEW."""
    old, new = site.base / f"old {SHELL}", site.base / f"new {SHELL}"
    old.mkdir()
    cluster = site.cluster()
    cluster.sql(f"CREATE TABLESPACE space LOCATION '{old}'")
    cluster.sql("CREATE TABLE t TABLESPACE space AS SELECT generate_series(1, 1000) AS n")
    site.backup(cluster)
    cluster.kill()
    restored = site.restore("LATEST", "--tablespace-mapping", f"{old}={new}")
    promoted(restored)
    assert restored.scalar("SELECT count(*) FROM t") == 1000
    location = "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'space'"
    assert restored.scalar(location) == str(new)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_the_encoding_of_a_cluster_makes_no_difference(site: Site, encoding: str) -> None:
    """Also without one, which is what initdb makes where no locale is set."""
    cluster = site.cluster(encoding=encoding)
    cluster.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
    site.backup(cluster)
    cluster.kill()
    restored = site.restore("LATEST")
    promoted(restored)
    assert restored.scalar("SELECT count(*) FROM t") == 1000


def command_for(site: Site) -> str:
    """An archive_command for a repository of any name: quoted for the shell and the server."""
    words = f"--repository {quote(str(site.repository))}".replace("%", "%%")
    return f"{quote(str(pitr_program()))} wal-push %p {words}"
