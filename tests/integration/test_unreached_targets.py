"""A target that the archived WAL does not reach stops the server; it must never promote instead.

Only the server can know this, for a restore point or a transaction is nowhere but in the WAL. Since
13 it ends with FATAL itself; before, it forgets its target at the end of the archive and promotes,
unless wal-fetch keeps that end from it.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.site import Site, archive_everything

NEVER_REACHED = {
    "restore point": ("--target-name", "no such point"),
    "time": ("--target-time", str(datetime.now(UTC) + timedelta(days=1))),
    "transaction": ("--target-xid", "4000000000"),
}


@dataclass(frozen=True, kw_only=True)
class Story:
    """An archived cluster with WAL behind its backup."""

    repository: Path
    backup: str


def tell(site: Site) -> Story:
    """Back a cluster up, write some more and archive it all."""
    cluster = site.cluster()
    backup = site.backup(cluster)
    cluster.sql("CREATE TABLE t AS SELECT 'last' AS row")
    archive_everything(cluster)
    cluster.kill()
    return Story(repository=site.repository, backup=backup)


@pytest.fixture(scope="module")
def story(module_site: Site) -> Story:
    """The story of the machine's own PostgreSQL, told once."""
    return tell(module_site)


@pytest.mark.parametrize("kind", NEVER_REACHED)
def test_the_server_ends_with_fatal(site: Site, story: Story, kind: str) -> None:
    """It stops where the archive ends and says that the target was not reached."""
    restored = recover(replace(site, repository=story.repository), story, kind)

    assert "FATAL:  recovery ended before configured recovery target was reached" in restored.log


@pytest.mark.postgres(12)
@pytest.mark.parametrize("kind", ["restore point", "time"])
def test_before_13_wal_fetch_stops_the_server(site: Site, kind: str) -> None:
    """Asked for the segment after the last one, wal-fetch does not prove its absence but fails."""
    restored = recover(site, tell(site), kind)

    assert "is not archived and the recovery target is not reached" in restored.log


def recover(site: Site, story: Story, kind: str) -> Cluster:
    """Restore, and let recovery run until the server ends itself without having promoted."""
    restored = site.restore(
        story.backup,
        *NEVER_REACHED[kind],
        *("--target-action", "promote", "--archive-mode-off"),
        start=False,
    )
    restored.launch()
    assert restored.wait_exit() != 0
    assert not list((restored.data_dir / "pg_wal").glob("*.history"))
    assert "database system is ready to accept connections" not in restored.log
    return restored
