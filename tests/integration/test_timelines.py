"""A promotion begins a timeline; recovery follows the branch that is meant and no other.

One repository holds two branches: the primary that went on by itself, and the cluster that was
restored from its backup, promoted, and archived beside it.
"""

import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.commands import complaint
from tests.support.site import Site, archive_everything, check_indexes, promoted


@dataclass(frozen=True, kw_only=True)
class Branches:
    """Backups before the switch, after it on the abandoned timeline 1, and on timeline 2."""

    repository: Path
    switch: str
    before: str
    abandoned: str
    after: str


@pytest.fixture(scope="module")
def branches(module_site: Site) -> Branches:
    """Let a cluster branch: the trunk, then a row on each side of the switch and behind backups."""
    old = module_site.cluster()
    old.sql("CREATE TABLE t (row text PRIMARY KEY)")
    before = module_site.backup(old)
    old.sql("INSERT INTO t VALUES ('trunk')")
    target = str(old.scalar("SELECT pg_current_wal_lsn()"))
    archive_everything(old)
    new = module_site.restore("--target-lsn", target, "--target-action", "promote")
    promoted(new)
    new.sql("INSERT INTO t VALUES ('new branch')")
    after = module_site.backup(new)
    new.sql("INSERT INTO t VALUES ('new leaf')")
    archive_everything(new)
    old.sql("INSERT INTO t VALUES ('old branch')")
    module_site.run("backup-push", env=old.environ)
    (abandoned,) = set(module_site.backups()) - {before, after}
    archive_everything(old)
    history = (new.data_dir / "pg_wal" / "00000002.history").read_text()
    old.kill()
    new.kill()
    return Branches(
        repository=module_site.repository,
        switch=history.split()[1],
        before=before,
        abandoned=abandoned,
        after=after,
    )


@pytest.fixture
def site(site: Site, branches: Branches) -> Site:
    """A place to restore the shared repository to."""
    return replace(site, repository=branches.repository)


def recovered(site: Site, *args: str) -> Cluster:
    """Restore and let recovery end; nothing is archived, the repository stays as it is."""
    restored = site.restore(*args, "--archive-mode-off")
    promoted(restored)
    check_indexes(restored)
    return restored


def rows(cluster: Cluster) -> list[str]:
    """What the table holds, in the order of writing."""
    return [row for (row,) in cluster.sql("SELECT row FROM t")]


def test_recovery_crosses_the_switch_to_the_newest_timeline(site: Site, branches: Branches) -> None:
    """From the backup before the switch, latest leads through timeline 2 to its end."""
    restored = recovered(site, branches.before)

    assert rows(restored) == ["trunk", "new branch", "new leaf"]
    assert (restored.data_dir / "pg_wal" / "00000003.history").exists()


def test_recovery_starts_on_the_new_timeline(site: Site, branches: Branches) -> None:
    """A backup taken after the promotion is restored like any other."""
    assert rows(recovered(site, branches.after)) == ["trunk", "new branch", "new leaf"]


@pytest.mark.parametrize("timeline", ["current", "1"])
def test_recovery_can_stay_on_the_old_timeline(
    site: Site, branches: Branches, timeline: str
) -> None:
    """What the old primary wrote after the switch is there, what the new one wrote is not."""
    restored = recovered(site, branches.before, "--target-timeline", timeline)

    assert rows(restored) == ["trunk", "old branch"]


def test_an_abandoned_backup_comes_back_on_its_own_timeline(site: Site, branches: Branches) -> None:
    """A backup of the old primary's afterlife is of use where the old timeline is named."""
    restored = recovered(site, branches.abandoned, "--target-timeline", "current")

    assert rows(restored) == ["trunk", "old branch"]


@pytest.mark.parametrize("timeline", ["2", "latest"])
def test_a_backup_that_the_timeline_left_behind_is_refused(
    site: Site, branches: Branches, timeline: str
) -> None:
    """The server itself would notice only after everything is copied."""
    done = site.run(
        *("backup-fetch", site.base / "new", branches.abandoned, "--target-timeline", timeline),
        check=False,
    )

    assert done.returncode == 3
    assert f"timeline 2 does not contain backup {branches.abandoned}" in complaint(done)
    assert not (site.base / "new").exists()


def test_a_timeline_without_history_is_not_found(site: Site, branches: Branches) -> None:
    """What is not archived cannot be followed."""
    done = site.run(
        *("backup-fetch", site.base / "new", branches.before, "--target-timeline", "7"),
        check=False,
    )

    assert done.returncode == 5
    assert "timeline 7 has no history file" in complaint(done)
    assert not (site.base / "new").exists()


def test_wal_show_prints_each_timeline_with_its_origin(site: Site, branches: Branches) -> None:
    """An operator reads the parent and the point of the switch from it."""
    lines = site.run("wal-show").stdout.splitlines()

    assert [line.split()[:3] for line in lines[1:3]] == [
        ["1", "-", "-"],
        ["2", "1", branches.switch],
    ]
    assert not [line for line in lines if line.startswith("GAP")]


def test_wal_show_prints_json(site: Site, branches: Branches) -> None:
    """Programs read the same from it."""
    shown = json.loads(site.run("wal-show", "--json").stdout)

    one, two = shown["timelines"]
    assert (one["timeline"], one["parent"], one["begin_lsn"]) == (1, None, None)
    assert (two["timeline"], two["parent"], two["begin_lsn"]) == (2, 1, branches.switch)
    assert one["gaps"] == two["gaps"] == []
    assert re.fullmatch("00000002[0-9A-F]{16}", two["ranges"][0]["first"])


def test_two_servers_on_one_timeline_cannot_overwrite_each_other(site: Site) -> None:
    """Of two copies of a cluster that archive into one repository, the slower is refused."""
    own = replace(site, repository=site.base / "repository")
    cluster = own.cluster()
    cluster.sql("CREATE TABLE t (row text)")
    cluster.stop()
    shutil.copytree(cluster.data_dir, own.base / "copy")
    cluster.start()
    cluster.sql("INSERT INTO t VALUES ('the cluster')")
    name = archive_everything(cluster)
    stored = own.repository / "wal_005" / f"{name}.zst"
    content = stored.read_bytes()

    copy = own.make_cluster(adopt=own.base / "copy")
    copy.sql("INSERT INTO t VALUES ('the copy')")
    copy.sql("SELECT pg_switch_wal()")
    copy.wait_until("SELECT failed_count > 0 FROM pg_stat_archiver")
    done = own.run("wal-push", copy.data_dir / "pg_wal" / name, check=False)

    assert done.returncode == 3
    assert f"{name} is archived already as" in complaint(done)
    assert copy.scalar("SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver") < name
    assert stored.read_bytes() == content
