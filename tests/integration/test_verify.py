"""Damage that was done on purpose is found, and what is whole is not complained of."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.commands import complaint
from tests.support.site import Site, archive_everything


@dataclass(frozen=True, kw_only=True)
class Story:
    """Two backups and WAL, taken with segments of 1 MB; the server still runs."""

    site: Site
    cluster: Cluster


@pytest.fixture(scope="module")
def story(module_site: Site) -> Story:
    """Enough WAL that records cross segments, and switches in between."""
    cluster = module_site.cluster(
        wal_segment_mb=1, settings={"wal_keep_size": "100MB", "min_wal_size": "100MB"}
    )
    cluster.sql("CREATE TABLE t (row text)")
    module_site.backup(cluster)
    cluster.sql("INSERT INTO t SELECT repeat('x', 900) FROM generate_series(1, 6000)")
    archive_everything(cluster)
    module_site.backup(cluster)
    archive_everything(cluster)
    return Story(site=module_site, cluster=cluster)


@pytest.fixture
def site(site: Site, story: Story) -> Site:
    """The story's repository, to be damaged."""
    shutil.copytree(story.site.repository, site.repository, dirs_exist_ok=True)
    return site


def segments(site: Site) -> list[Path]:
    """The archived segments but for those before the first backup, in order."""
    found = sorted(site.repository.glob("wal_005/" + "[0-9A-F]" * 24 + ".zst"))
    first = site.backups()[0].removeprefix("base_")
    return [path for path in found if path.name >= first]


def parts(site: Site) -> list[Path]:
    return sorted(site.repository.glob("basebackups_005/*/tar_partitions/part_*"))


def flip(path: Path, at: int = -20) -> None:
    """Change one bit of a file, in place."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_whole_archive_is_ok(site: Site, story: Story) -> None:
    """Also to pg_waldump, and to the server's own word."""
    done = site.run("wal-verify", "--server", "--content", env=story.cluster.environ)
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"integrity: OK, from {site.backups()[0]} to timeline 1")
    assert [line for line in lines if line.startswith("timeline: OK")]
    count = len(segments(site))
    assert f"content: 0 bad of {count} segments" in done.stdout
    assert f"{count} of them by pg_waldump" in done.stdout


def test_wal_that_a_crash_cut_short_is_no_damage(site: Site) -> None:
    """The server goes on behind the record that it could not finish."""
    own = replace(site, repository=site.base / "crashes")
    own.repository.mkdir()
    cluster = own.cluster("crashing", wal_segment_mb=1)
    own.backup(cluster)
    cluster.sql("CREATE TABLE t (row text)")
    for _ in range(3):
        connection = cluster.connect()
        connection.execute("BEGIN")
        connection.execute("INSERT INTO t SELECT repeat('x', 5000) FROM generate_series(1, 900)")
        cluster.kill()
        connection.close()
        cluster.start()
    archive_everything(cluster)
    done = own.run("wal-verify", "--content")
    assert "content: 0 bad of" in done.stdout


@pytest.mark.parametrize("codec", ["zstd", "lz4", "brotli"])
def test_backups_of_wal_g_are_walked(site: Site, codec: str) -> None:
    """They have no digests; a changed byte breaks the codec's own sums or the tar."""
    archive = site.base / "walg"
    shutil.copytree(Path(__file__).parents[1] / "fixtures/wal-g" / codec / "archive", archive)
    own = replace(site, repository=archive)
    own.run("backup-verify")
    part = max(
        archive.glob("basebackups_005/*/tar_partitions/part_*"), key=lambda p: p.stat().st_size
    )
    flip(part, at=part.stat().st_size // 2)
    assert own.run("backup-verify", check=False).returncode == 6


def test_a_lost_segment_is_lost_and_comes_back_from_the_server(site: Site, story: Story) -> None:
    """wal-repair pushes it again from pg_wal, and says what it cannot find."""
    env = story.cluster.environ
    lost = segments(site)[2]
    lost.unlink()
    done = site.run("wal-verify", "--server", env=env, check=False)
    assert done.returncode == 10
    assert "MISSING_LOST" in done.stdout
    pg_wal = story.cluster.data_dir / "pg_wal"
    empty = site.base / "empty"
    empty.mkdir()
    done = site.run("wal-repair", "--pg-wal", empty, check=False)
    assert done.returncode == 10
    assert f"LOST {lost.stem}: {empty} does not have it" in done.stdout
    assert (
        f"would push {lost.stem}" in site.run("wal-repair", "--pg-wal", pg_wal, "--dry-run").stdout
    )
    assert not lost.exists()
    assert f"pushed {lost.stem}" in site.run("wal-repair", "--pg-wal", pg_wal).stdout
    site.run("wal-verify", "--server", "--content", env=env)


@pytest.mark.parametrize("harm", ["cut", "other", "zeros", "page"])
def test_a_file_that_is_not_the_lost_segment_is_not_pushed(
    site: Site, story: Story, harm: str
) -> None:
    """A standby may have received half of it, or recycled the file."""
    lost, other = segments(site)[2], segments(site)[4]
    lost.unlink()
    offered = site.base / "pg_wal"
    offered.mkdir()
    pg_wal = story.cluster.data_dir / "pg_wal"
    data = bytearray((pg_wal / (other if harm == "other" else lost).stem).read_bytes())
    half = len(data) // 2
    if harm == "cut":
        data = data[:half]
    elif harm == "zeros":
        data[half:] = bytes(len(data) - half)
    elif harm == "page":
        data[half:] = (pg_wal / other.stem).read_bytes()[half:]
    (offered / lost.stem).write_bytes(data)
    done = site.run("wal-repair", "--pg-wal", offered, check=False)
    assert done.returncode == 10
    assert f"LOST {lost.stem}" in done.stdout
    assert not lost.exists()


def test_content_finds_what_a_listing_does_not(site: Site) -> None:
    """A damaged object, and one that holds another segment."""
    one, two, three = segments(site)[1:4]
    flip(one)
    two.write_bytes(three.read_bytes())
    site.run("wal-verify")
    done = site.run("wal-verify", "--content", check=False)
    assert done.returncode == 6
    bad = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("BAD")]
    assert bad == [f"{one.stem}:", f"{two.stem}:"]


def test_pg_waldump_finds_what_the_pages_do_not_show(site: Site) -> None:
    """A changed byte inside a record, stored as if it had been so from the start."""
    path = segments(site)[2]
    name = path.stem
    content = site.base / name
    site.run("wal-fetch", name, content)
    flip(content, at=300_000)
    path.unlink()
    site.run("wal-push", content)
    done = site.run("wal-verify", "--content", check=False)
    assert done.returncode == 6
    assert "pg_waldump: " in done.stdout


def test_whole_backups_are_verified(site: Site) -> None:
    """By the digest of every partition."""
    shown = json.loads(site.run("backup-verify", "--json").stdout)
    assert [(b["name"], b["status"]) for b in shown["backups"]] == [
        (name, "verified") for name in site.backups()
    ]
    assert all(b["parts"] == b["proved"] > 1 for b in shown["backups"])


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (flip, "its SHA-256 is not the one in the index"),
        (Path.unlink, "is missing or smaller"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is missing or smaller"),
    ],
    ids=["flipped", "removed", "cut"],
)
def test_a_damaged_backup_is_named(site: Site, harm: Callable[[Path], None], reason: str) -> None:
    """The other one stays verified."""
    harm(parts(site)[0])
    done = site.run("backup-verify", check=False)
    assert done.returncode == 6
    statuses = [line.split()[1] for line in done.stdout.splitlines()[1:3]]
    assert statuses == ["damaged", "verified"]
    assert reason in done.stdout
    site.run("backup-verify", "LATEST")


@pytest.mark.parametrize("name", ["index.json.zst", "backup_manifest"])
def test_a_damaged_list_is_damage(site: Site, name: str) -> None:
    """It is what the rest is proved by."""
    flip(site.repository / "basebackups_005" / site.backups()[0] / name, at=100)
    assert site.run("backup-verify", check=False).returncode == 6


def test_a_pass_goes_on_where_it_ended(site: Site) -> None:
    """A share at a time; at its end it begins anew."""
    state = site.base / "state"
    seen = []
    for _ in range(9):
        shown = json.loads(
            site.run("backup-verify", "--sample", "50%", "--state", state, "--json").stdout
        )
        seen.append(sum(b["proved"] for b in shown["backups"]))
        if all(b["status"] == "verified" for b in shown["backups"]):
            break
    assert seen == sorted(set(seen))
    assert state.read_text() == ""


def test_time_may_end_before_the_backups(site: Site) -> None:
    """What was not read is incomplete, which is no failure."""
    done = site.run("backup-verify", "--time-budget", "1us")
    assert [line.split()[1] for line in done.stdout.splitlines()[1:]] == ["incomplete"] * 2


@pytest.mark.parametrize("share", ["0%", "101%", "some"])
def test_a_share_that_is_none_is_refused(site: Site, share: str) -> None:
    """As a wrong command line."""
    done = site.run("backup-verify", "--sample", share, check=False)
    assert done.returncode == 2
    assert "is not a share" in complaint(done)


def test_checks_that_do_not_exist_are_refused(site: Site) -> None:
    """And a half position."""
    for words in (["magic"], ["--timeline", "1"]):
        assert site.run("wal-verify", *words, check=False).returncode == 2
