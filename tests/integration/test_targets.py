"""Recovery stops where the operator says: what must be there is there, what must not is not.

One cluster is archived once, with a row before and after each kind of target; each test restores
it beside the others and leaves the repository as it was.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backup_core.postgres.lsn import Lsn
from backup_core.postgres.wal import DEFAULT_SEGMENT_SIZE, segment_name, segment_of
from tests.support.cluster import Cluster
from tests.support.commands import complaint
from tests.support.site import Site, archive_everything, paused

# nothing but the tests' own statements may write WAL between two of them
QUIET = {"autovacuum": "off", "bgwriter_delay": "10s", "track_commit_timestamp": "on"}


@dataclass(frozen=True, kw_only=True)
class Story:
    """What happened, in this order: backup, rows `before` and `target`, a restore point, ..."""

    repository: Path
    first: str
    second: str
    lsn: str
    xid: str
    time: str
    between: str
    end: str

    def target(self, kind: str) -> list[str]:
        """The arguments that name the transaction which wrote the row `target`."""
        return [f"--target-{kind}", str(getattr(self, kind))]


@pytest.fixture(scope="module")
def story(module_site: Site) -> Story:
    """Archive a cluster with a row on either side of everything that can be a target."""
    cluster = module_site.cluster(settings=QUIET)
    cluster.sql("CREATE TABLE t (row text)")
    first = module_site.backup(cluster)
    cluster.sql("INSERT INTO t VALUES ('before')")
    xid, lsn = write_target(cluster)
    time = cluster.scalar("SELECT pg_xact_commit_timestamp(%s::text::xid)", xid)
    cluster.sql("SELECT pg_create_restore_point('the point')")
    cluster.sql("INSERT INTO t VALUES ('after')")
    between = datetime.now(UTC)
    second = module_site.backup(cluster)
    cluster.sql("INSERT INTO t VALUES ('last')")
    end = archive_everything(cluster)
    cluster.kill()
    return Story(
        repository=module_site.repository,
        first=first,
        second=second,
        lsn=lsn,
        xid=xid,
        time=time.isoformat(),
        between=between.isoformat(),
        end=end,
    )


def write_target(cluster: Cluster) -> tuple[str, str]:
    """Write the row `target`; return its transaction's id and the LSN of its commit record."""
    with cluster.connect() as connection, connection.transaction():
        connection.execute("INSERT INTO t VALUES ('target')")
        row = connection.execute("SELECT txid_current(), pg_current_wal_insert_lsn()").fetchone()
        assert row is not None
        return str(row[0]), str(row[1])


@pytest.fixture
def site(site: Site, story: Story) -> Site:
    """A place to restore the story's repository to."""
    return replace(site, repository=story.repository)


def rows(cluster: Cluster) -> list[str]:
    """What the table holds, in the order of writing."""
    return [row for (row,) in cluster.sql("SELECT row FROM t")]


@pytest.mark.parametrize("kind", ["time", "lsn", "xid"])
def test_an_inclusive_target_is_the_last_that_comes_back(
    site: Site, story: Story, kind: str
) -> None:
    """The transaction that the target names is there, the next one is not."""
    restored = site.restore(story.first, *story.target(kind))

    paused(restored)
    assert rows(restored) == ["before", "target"]


@pytest.mark.parametrize("kind", ["time", "lsn", "xid"])
def test_an_exclusive_target_stays_out(site: Site, story: Story, kind: str) -> None:
    """With --exclusive recovery stops just before the transaction that the target names."""
    restored = site.restore(story.first, *story.target(kind), "--exclusive")

    paused(restored)
    assert rows(restored) == ["before"]


def test_a_restore_point_ends_recovery(site: Site, story: Story) -> None:
    """What was committed before the restore point is there, what came after it is not."""
    restored = site.restore(story.first, "--target-name", "the point")

    paused(restored)
    assert rows(restored) == ["before", "target"]


def test_immediate_ends_recovery_at_the_end_of_the_backup(site: Site, story: Story) -> None:
    """Of all the WAL that is there only the backup's own is replayed."""
    restored = site.restore(story.first, "--target", "immediate")

    paused(restored)
    assert rows(restored) == []


@pytest.mark.parametrize("kind", ["time", "lsn"])
def test_the_newest_backup_that_ended_before_the_target_is_chosen(
    site: Site, story: Story, kind: str
) -> None:
    """Without a name, a backup that is newer than the target is passed over."""
    early = site.run("backup-fetch", site.base / "new", *story.target(kind), "--dry-run")
    latest = site.run("backup-fetch", site.base / "new", "--dry-run")

    assert early.stdout.splitlines()[0].split() == ["backup", story.first]
    assert latest.stdout.splitlines()[0].split() == ["backup", story.second]


@pytest.mark.parametrize("kind", ["time", "lsn"])
def test_a_target_before_the_end_of_the_backup_is_refused(
    site: Site, story: Story, kind: str
) -> None:
    """The files of a backup cannot be taken back to what they were before its end."""
    error = refused(site, 3, story.second, *story.target(kind))

    assert f"the target lies before the end of {story.second}" in error


def test_a_target_before_every_backup_is_refused(site: Site, story: Story) -> None:
    """Without a name the refusal says from when on there is something to restore."""
    error = refused(site, 3, "--target-time", "2001-01-01 00:00:00+00")

    assert f"no backup ended before the target; the oldest, {story.first}, ended at" in error


@pytest.mark.parametrize("target", [("--target-xid", "1000"), ("--target-name", "the point")])
def test_a_target_that_tells_no_order_needs_a_backup(site: Site, target: tuple[str, str]) -> None:
    """Only the operator can know which backup lies before a transaction or a restore point."""
    assert "Name the backup" in refused(site, 2, *target)


@pytest.mark.parametrize(
    "targets",
    [
        ("--target-lsn", "0/5000000", "--target-xid", "1000"),
        ("--target", "immediate", "--target-name", "the point"),
        ("--target", "immediate", "--exclusive"),
        ("--target-time", "yesterday"),
        ("--target-lsn", "5000000"),
        ("--target-action", "pause"),
    ],
    ids=" ".join,
)
def test_a_target_that_makes_no_sense_is_refused(site: Site, targets: Sequence[str]) -> None:
    """Two targets at once, or one that the server would not understand, is a usage error."""
    refused(site, 2, "LATEST", *targets)


@pytest.mark.parametrize("beyond", ["0/70000000", "FFFFFFFF/FFFFFFFF"])
def test_an_lsn_beyond_the_archived_wal_is_refused(site: Site, story: Story, beyond: str) -> None:
    """However far away the LSN is, the refusal names the first segment that is missing."""
    error = refused(site, 3, "--target-lsn", beyond)

    following = segment_name(1, int(story.end[8:], 16) + 1, DEFAULT_SEGMENT_SIZE)
    assert f"WAL segment {following}" in error


def test_immediate_is_refused_without_the_backups_own_wal(site: Site, story: Story) -> None:
    """A backup whose WAL is not whole can never be made consistent."""
    broken = replace(site, repository=site.base / "broken")
    shutil.copytree(story.repository, broken.repository)
    own = story.first.removeprefix("base_")
    (broken.repository / "wal_005" / f"{own}.zst").unlink()

    assert own in refused(broken, 3, story.first, "--target", "immediate")


def test_a_dry_run_prints_the_plan_and_writes_nothing(site: Site, story: Story) -> None:
    """The plan names backup, place, WAL and recovery settings; the directory is not even made."""
    plan = site.run("backup-fetch", site.base / "new", *story.target("lsn"), "--dry-run").stdout

    needed = segment_name(
        1, segment_of(Lsn.parse(story.lsn), DEFAULT_SEGMENT_SIZE), DEFAULT_SEGMENT_SIZE
    )
    assert f"restore to  {site.base / 'new'}: " in plan
    assert f"WAL         {story.first.removeprefix('base_')} to {needed}" in plan
    assert f"recovery_target_lsn = {story.lsn}" in plan
    assert "nothing was written (--dry-run)" in plan
    assert not (site.base / "new").exists()


def test_the_recovery_configuration_can_be_left_to_the_operator(site: Site, story: Story) -> None:
    """With --no-recovery-config there is neither a signal file nor a setting of ours."""
    directory = site.base / "new"
    done = site.run("backup-fetch", directory, story.second, "--no-recovery-config")

    assert not list(directory.glob("*.signal"))
    assert "recovery" not in (directory / "postgresql.auto.conf").read_text()
    assert "before you start the server, set restore_command" in done.stderr


def refused(site: Site, code: int, *args: str) -> str:
    """What a restore said that ended with `code` and made no directory."""
    done = site.run("backup-fetch", site.base / "new", *args, check=False)
    assert not (site.base / "new").exists()
    assert done.returncode == code
    return complaint(done)
