"""Old backups go, and every moment that is still promised comes back on a real server."""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from backup_core.repository.lock import backup_lock
from backup_core.storage.file import FileStorage
from tests.support.cluster import Cluster
from tests.support.commands import complaint
from tests.support.site import Site, archive_everything, promoted

INSERT = "INSERT INTO t VALUES (%s)"


@dataclass(frozen=True, kw_only=True)
class Story:
    """Four backups over a promotion, the first of them permanent; the windows after retention."""

    site: Site
    backups: list[str]
    plan: str
    left: list[str]
    windows: list[dict[str, Any]]


@pytest.fixture(scope="module")
def story(module_site: Site) -> Story:
    """Rows between the backups; then all but the newest two full ones are removed."""
    site = module_site
    old = site.cluster()
    old.sql("CREATE TABLE t (row int)")
    taken = [site.backup(old, "--permanent")]
    old.sql(INSERT, 1)
    taken.append(site.backup(old))
    old.sql(INSERT, 2)
    archive_everything(old)
    old.kill()
    new = site.restore(name="new")
    promoted(new)
    for row in (3, 4):
        new.sql(INSERT, row)
        archive_everything(new)
        taken.append(site.backup(new))
    new.sql(INSERT, 5)
    archive_everything(new)
    new.kill()
    plan = site.run("delete", "retain", "FULL", "2").stdout
    assert len(site.backups()) == 4
    site.run("delete", "retain", "FULL", "2", "--confirm")
    shown = json.loads(site.run("windows", "--json").stdout)
    return Story(site=site, backups=taken, plan=plan, left=site.backups(), windows=shown["windows"])


@pytest.fixture
def site(site: Site, story: Story) -> Site:
    """A place to restore what is left to."""
    return replace(site, repository=story.site.repository)


def rows(cluster: Cluster) -> list[int]:
    return [row for (row,) in cluster.sql("SELECT row FROM t ORDER BY row")]


def test_the_plan_names_each_backup_with_the_reason(story: Story) -> None:
    """And carries out nothing."""
    first, second, third, fourth = story.backups
    lines = {words[1]: words for words in map(str.split, story.plan.splitlines()) if words[1:]}
    assert lines[first][0] == "keep"
    assert "marked permanent" in " ".join(lines[first])
    assert lines[second][0] == "REMOVE"
    assert lines[third][0] == lines[fourth][0] == "keep"
    assert story.plan.endswith("nothing was removed; --confirm carries this out\n")


def test_what_no_rule_keeps_is_gone(story: Story) -> None:
    """With its folder, and the WAL that nothing needs."""
    first, second, third, fourth = story.backups
    assert story.left == sorted([first, third, fourth])
    assert not (story.site.repository / "basebackups_005" / second).exists()
    assert [window["timeline"] for window in story.windows] == [1, 2]


def test_the_permanent_backup_comes_back(site: Site, story: Story) -> None:
    """Its own WAL was kept, though not what followed."""
    restored = site.restore(
        *(story.backups[0], "--target", "immediate", "--target-timeline", "current"),
        *("--target-action", "promote", "--archive-mode-off"),
    )
    promoted(restored)
    assert rows(restored) == []


@pytest.mark.parametrize(("edge", "content"), [("begin", [1, 2, 3]), ("end", [1, 2, 3, 4])])
def test_the_edges_of_the_window_come_back(
    site: Site, story: Story, edge: str, content: list[int]
) -> None:
    """From the end of the oldest backup to just before the last transaction."""
    window = story.windows[-1]
    moment = datetime.fromisoformat(window[f"{edge}_time"])
    if edge == "end":
        moment -= timedelta(microseconds=1)
    restored = site.restore(
        *("--target-time", moment.isoformat(), "--target-action", "promote", "--archive-mode-off")
    )
    promoted(restored)
    assert rows(restored) == content


def test_deletions_wait_for_no_backup_and_disturb_none(site: Site) -> None:
    """While one runs the plan can be seen, and not carried out."""
    with backup_lock(FileStorage(site.repository)):
        assert "nothing was removed" in site.run("delete", "retain", "1").stdout
        done = site.run("delete", "retain", "1", "--confirm", check=False)
    assert done.returncode == 3
    assert "holds the lock" in complaint(done)


def test_the_last_good_backup_cannot_be_named(site: Site, story: Story) -> None:
    """Nor a permanent one."""
    for name, why in ((story.backups[3], "is the last good one"), (story.backups[0], "permanent")):
        done = site.run("delete", "target", name, "--confirm", check=False)
        assert done.returncode == 3
        assert why in complaint(done)
    assert site.backups() == story.left


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["retain"], "needs a rule"),
        (["retain", "0"], "at least 1"),
        (["retain", "FORCE", "3"], "does not take FORCE"),
        (["retain", "three"], 'does not take "three"'),
        (["before"], "takes one backup"),
        (["before", "yesterday"], "neither the name of a backup nor a time"),
        (["garbage", "x"], 'does not take "x"'),
        (["target", "x", "--daily", "3"], "is a rule of delete retain"),
        (["retain", "1", "--window", "x"], "is not a duration"),
    ],
)
def test_nonsense_is_refused(site: Site, words: list[str], message: str) -> None:
    """Before anything is looked at."""
    done = site.run("delete", *words, check=False)
    assert done.returncode == 2
    assert message in complaint(done)
