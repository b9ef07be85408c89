"""A backup copied to another repository is one there: whole, restorable, and never half."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from backup_core.repository import layout
from backup_core.storage.file import FileStorage
from tests.support.commands import complaint, finished, read_until, started
from tests.support.segments import stored_files
from tests.support.site import Site, archive_everything, open_site, promoted

FILL = "SELECT n, md5(n::text) AS h FROM generate_series(1, 20000) n"


@dataclass(frozen=True)
class Filled:
    """A site with two backups, and WAL after the second; its cluster is gone."""

    site: Site
    first: str
    second: str

    @property
    def url(self) -> str:
        """The repository that is copied from."""
        return f"file://{self.site.repository}"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """Filled once, for the tests only read it."""
    with open_site(tmp_path_factory.mktemp("filled")) as site:
        cluster = site.cluster()
        cluster.sql(f"CREATE TABLE t AS {FILL}")
        first = site.backup(cluster)
        cluster.sql("INSERT INTO t SELECT n, 'second' FROM generate_series(20001, 20100) n")
        second = site.backup(cluster)
        cluster.sql("INSERT INTO t SELECT n, 'after' FROM generate_series(20101, 20200) n")
        archive_everything(cluster)
        cluster.kill()
        yield Filled(site=site, first=first, second=second)


@pytest.fixture
def target(filled: Filled, tmp_path: Path) -> Site:
    """An empty repository beside, for commands and restores of its own."""
    repository = tmp_path / "target"
    repository.mkdir()
    return replace(filled.site, base=tmp_path, repository=repository)


def copy(filled: Filled, target: Site, *args: str, check: bool = True, code: int = 0) -> str:
    """Copy from the filled repository; return what the command said when it failed."""
    done = target.pitr("copy", filled.url, f"file://{target.repository}", *args, check=check)
    assert done.returncode == code, done.stderr
    return complaint(done) if code else done.stdout


def refused(filled: Filled, target: Site, *args: str, code: int) -> str:
    """Copy in vain, with this exit code; return the complaint."""
    return copy(filled, target, *args, check=False, code=code)


def a_part(repository: Path, name: str) -> Path:
    """The largest partition of a backup."""
    folder = repository / layout.partitions(name)
    return max(folder.iterdir(), key=lambda path: path.stat().st_size)


def objects_of(site: Site, name: str) -> list[tuple[str, int]]:
    """A backup's objects with their sizes; what a killed writer left is none."""
    found = FileStorage(site.repository).list(layout.backup_folder(name))
    return [(info.key, info.size) for info in found]


def flip(path: Path, at: int) -> None:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_a_copy_restores_to_where_its_backup_ended(filled: Filled, target: Site) -> None:
    """By default the latest backup comes, with just the WAL that makes it consistent."""
    copy(filled, target)
    assert target.backups() == [filled.second]
    promoted(restored := target.restore("--target", "immediate", "--target-action", "promote"))
    assert restored.scalar("SELECT count(*) FROM t") == 20100


def test_with_history_a_copy_restores_to_the_end(filled: Filled, target: Site) -> None:
    """All WAL after the backup is there too."""
    copy(filled, target, "--backup", filled.first, "--with-history")
    promoted(restored := target.restore())
    assert restored.scalar("SELECT count(*) FROM t") == 20200


def test_a_copy_leads_over_a_promotion(site: Site, tmp_path: Path) -> None:
    """With history both branches come along; without, a backup's own timeline does."""
    old = site.cluster()
    old.sql("CREATE TABLE t (row text)")
    before = site.backup(old)
    target_lsn = str(old.scalar("SELECT pg_current_wal_lsn()"))
    archive_everything(old)
    promoted(new := site.restore("--target-lsn", target_lsn, "--target-action", "promote"))
    new.sql("INSERT INTO t VALUES ('new branch')")
    site.backup(new)
    archive_everything(new)
    old.sql("INSERT INTO t VALUES ('old branch')")
    archive_everything(old)
    old.kill()
    new.kill()
    for name, args in {
        "whole": ("--backup", before, "--with-history"),
        "latest": ("--backup", "LATEST"),
    }.items():
        (tmp_path / name).mkdir()
        site.pitr("copy", f"file://{site.repository}", f"file://{tmp_path / name}", *args)

    def rows(repository: str, *args: str) -> list[str]:
        copied = replace(site, repository=tmp_path / repository)
        name = f"{repository}-{len(args)}"
        restored = copied.restore(*args, "--archive-mode-off", name=name)
        promoted(restored)
        return [row for (row,) in restored.sql("SELECT row FROM t")]

    assert rows("whole") == ["new branch"]
    assert rows("whole", "--target-timeline", "1") == ["old branch"]
    promote = ("--target", "immediate", "--target-action", "promote")
    assert rows("latest", *promote) == ["new branch"]


def test_a_full_copy_is_the_repository_again(filled: Filled, target: Site) -> None:
    """The same objects with the same bytes, but for WAL from before the first backup."""
    copy(filled, target, "--all", "--with-history", "--verify")
    names = stored_files(target.repository)
    assert [name for name in names if name.startswith("basebackups")] == [
        name for name in stored_files(filled.site.repository) if name.startswith("basebackups")
    ]
    for name in names:
        copied = (target.repository / name).read_bytes()
        assert copied == (filled.site.repository / name).read_bytes(), name
    assert target.run("wal-show").stdout.count("GAP") == 0


def test_wal_g_finds_the_same_latest_backup(filled: Filled, target: Site) -> None:
    """It goes by the age of the sentinels, so they are written in the order of the backups."""
    copy(filled, target, "--all")
    ages = [
        (target.repository / layout.sentinel(name)).stat().st_mtime_ns
        for name in (filled.first, filled.second)
    ]
    assert ages == sorted(ages)
    assert len(set(ages)) == 2


def test_a_dry_run_says_what_a_copy_does(filled: Filled, target: Site) -> None:
    """And writes nothing."""
    shown = copy(filled, target, "--dry-run")
    assert stored_files(target.repository) == []
    copy(filled, target)
    listed = [line.split()[2] for line in shown.splitlines() if line.startswith("copy ")]
    assert sorted([*listed, layout.IDENTITY]) == stored_files(target.repository)


def test_a_copy_killed_at_any_moment_is_continued(filled: Filled, target: Site) -> None:
    """No sentinel is there before its backup is, and the same command again completes the copy."""
    urls = (filled.url, f"file://{target.repository}")
    for step in ("copy WAL", f"copy {filled.first}", f"copy {filled.second}"):
        for after in (0, 0.01, 0.03):
            with started(target, "copy", *urls, "--all", "--workers", "1") as process:
                read_until(process, step)
                time.sleep(after)
                process.kill()
                finished(process)
            for name in target.backups():
                there, source = (objects_of(site, name) for site in (target, filled.site))
                assert there == source
    copy(filled, target, "--all", "--verify")
    assert target.backups() == [filled.first, filled.second]
    promoted(target.restore("--target", "immediate", "--target-action", "promote"))


def test_a_repeated_copy_copies_nothing(filled: Filled, target: Site) -> None:
    """Also if the mark of a backup was changed since."""
    copy(filled, target)
    before = {name: (target.repository / name).stat() for name in stored_files(target.repository)}
    metadata = target.repository / layout.metadata(filled.second)
    marked = json.loads(metadata.read_bytes()) | {"is_permanent": True}
    metadata.write_text(json.dumps(marked))
    assert "to copy  0 objects" in copy(filled, target, "--dry-run")
    copy(filled, target)
    for name, status in before.items():
        assert (target.repository / name).stat().st_ino == status.st_ino, name
    assert json.loads(metadata.read_bytes())["is_permanent"] is True


def test_without_its_sentinel_a_copy_is_no_backup(filled: Filled, target: Site) -> None:
    """It is listed as unfinished, until the copy is continued."""
    copy(filled, target)
    (target.repository / layout.sentinel(filled.second)).unlink()
    listed = target.run("backup-list").stdout
    assert "there is no backup" in listed
    assert f"unfinished {filled.second}" in listed
    copy(filled, target)
    assert target.backups() == [filled.second]


@pytest.fixture
def damaged(filled: Filled, tmp_path: Path) -> Filled:
    """A copy of the filled repository that may be damaged."""
    repository = tmp_path / "damaged"
    shutil.copytree(filled.site.repository, repository)
    return replace(filled, site=replace(filled.site, repository=repository))


def test_a_damaged_part_is_not_copied(damaged: Filled, target: Site) -> None:
    """Its digest in the index betrays it, and nothing of it becomes visible."""
    part = a_part(damaged.site.repository, damaged.second)
    flip(part, part.stat().st_size // 2)
    said = refused(damaged, target, code=6)
    assert f"{part.name} is damaged" in said
    assert part.name not in " ".join(stored_files(target.repository))
    assert target.backups() == []


def test_a_part_of_the_wrong_size_is_found_before_anything_is_copied(
    damaged: Filled, target: Site
) -> None:
    """The index tells each part's size."""
    part = a_part(damaged.site.repository, damaged.second)
    os.truncate(part, part.stat().st_size - 1)
    assert "the backup's index says" in refused(damaged, target, code=6)
    assert stored_files(target.repository) == []


def test_a_damaged_segment_is_not_copied(damaged: Filled, target: Site) -> None:
    """It is decoded in passing."""
    name = damaged.second.removeprefix("base_")
    segment = damaged.site.repository / layout.wal(name, "zst")
    flip(segment, segment.stat().st_size // 2)
    assert f"{name}.zst" in refused(damaged, target, code=6)
    assert target.backups() == []


def test_a_missing_segment_is_found_before_anything_is_copied(
    damaged: Filled, target: Site
) -> None:
    """The refusal names it."""
    name = damaged.second.removeprefix("base_")
    (damaged.site.repository / layout.wal(name, "zst")).unlink()
    assert f"lacks WAL segment {name}" in refused(damaged, target, code=3)
    assert stored_files(target.repository) == []


def test_the_repository_of_another_cluster_is_refused(filled: Filled, target: Site) -> None:
    """Nothing is written beside its identity."""
    identity = target.repository / layout.IDENTITY
    identity.parent.mkdir()
    identity.write_text('{"system_identifier": 42}')
    assert "system identifier 42" in refused(filled, target, code=3)
    assert stored_files(target.repository) == [layout.IDENTITY]


@pytest.mark.parametrize("end", [0, 1], ids=["size", "content"])
def test_other_content_in_the_target_is_refused(filled: Filled, target: Site, end: int) -> None:
    """The key is named, and nothing is overwritten."""
    copy(filled, target)
    part = a_part(target.repository, filled.second)
    changed = part.read_bytes()[:-1] + b"x" * end
    part.write_bytes(changed)
    said = refused(filled, target, code=3)
    assert f"{part.name} with different content" in said
    assert part.read_bytes() == changed


def test_other_content_amid_a_large_object_is_found_on_request(
    filled: Filled, target: Site
) -> None:
    """Without --verify, large objects that are there are compared by size and by their ends."""
    copy(filled, target)
    part = a_part(target.repository, filled.second)
    assert part.stat().st_size > 1 << 20
    flip(part, 1000)
    copy(filled, target)
    assert part.name in refused(filled, target, "--verify", code=3)


def test_a_part_of_another_backup_in_the_target_is_refused(filled: Filled, target: Site) -> None:
    """For wal-g would restore it with the others."""
    stray = target.repository / layout.partition(filled.second, "part_777", "zst")
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"stray")
    assert stray.name in refused(filled, target, code=3)
    assert target.backups() == []


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--backup", "base_000000010000000000000077"], 5, "there is no backup"),
        (["--backup", "nonsense"], 2, "is not the name of a backup"),
        (["--all", "--backup", "LATEST"], 2, "not allowed with argument"),
        (["--repository", "/tmp"], 2, "between two repositories"),
        (["--workers", "none"], 2, "none"),
    ],
)
def test_mistakes_are_told_apart(
    filled: Filled, target: Site, args: list[str], code: int, words: str
) -> None:
    """Each with its exit code, and nothing written."""
    assert words in refused(filled, target, *args, code=code)
    assert stored_files(target.repository) == []


def test_a_repository_is_not_copied_to_itself(filled: Filled) -> None:
    """Nor is a target that is not there made."""
    pitr = filled.site.pitr
    done = pitr("copy", filled.url, f"{filled.url}/", check=False)
    assert done.returncode == 2
    assert "to itself" in complaint(done)
    done = pitr("copy", filled.url, f"{filled.url}/nowhere", check=False)
    assert done.returncode == 7
    assert "nowhere" in complaint(done)
