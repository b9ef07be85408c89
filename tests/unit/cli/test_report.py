"""`pitr report`: a file that is whole, an exit code that tells, and the facts of other commands."""

import json
import stat
from pathlib import Path

import pytest

from backup_core.repository import drills
from backup_core.storage.file import FileStorage
from tests.support.drills import PROVED
from tests.support.fixtures import Pitr
from tests.support.history import Life


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two backups, a promotion, a lost segment, a third backup, and a drill."""
    life = Life()
    life.archive(2)
    life.backup(permanent=False, delta=False)
    life.archive(3)
    life.backup(permanent=False, delta=False)
    life.promote()
    life.archive(3)
    life.backup(permanent=False, delta=False)
    life.archive(3)
    life.lose(1)
    life.backup(permanent=False, delta=False)
    life.archive(2)
    path = tmp_path / "repository"
    path.mkdir()
    storage = FileStorage(path)
    for info in life.storage.list():
        storage.put(info.key, life.storage.get(info.key))
    drills.store(storage, PROVED, None)
    return path


def test_the_page_is_written_to_a_file(pitr: Pitr, repository: Path, tmp_path: Path) -> None:
    """Which others may read as the umask says, with nothing beside it."""
    path = tmp_path / "out/report.html"
    path.parent.mkdir()
    path.write_text("old")
    done = pitr("report", "-o", path, "--repository", repository)
    assert done.stdout == ""
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]
    assert stat.S_IMODE(path.stat().st_mode) & stat.S_IRUSR


def test_without_a_file_it_is_printed(pitr: Pitr, repository: Path) -> None:
    """To be piped elsewhere."""
    done = pitr("report", "--repository", repository)
    assert done.stdout.startswith("<!DOCTYPE html>")


def test_a_device_is_written_to_and_stays(pitr: Pitr, repository: Path) -> None:
    """It is not replaced by a file."""
    pitr("report", "-o", "/dev/null", "--repository", repository)
    assert Path("/dev/null").is_char_device()


def test_a_file_that_cannot_be_written_is_named(pitr: Pitr, repository: Path) -> None:
    """By its path, with the reason."""
    done = pitr("report", "-o", "/no/such/report.html", "--repository", repository, check=False)
    assert done.returncode == 1
    assert "cannot write /no/such/report.html: No such file or directory" in done.stderr


def test_a_broken_promise_ends_with_10_and_a_page(
    pitr: Pitr, repository: Path, tmp_path: Path
) -> None:
    """Which says so."""
    path = tmp_path / "report.html"
    promise = ("--recovery-freshness", "1min")
    done = pitr("report", "-o", path, *promise, "--repository", repository, check=False)
    assert done.returncode == 10
    assert "A promise is broken" in path.read_text()


def test_an_empty_repository_has_a_page(pitr: Pitr, tmp_path: Path) -> None:
    """On which nothing can be recovered."""
    (tmp_path / "empty").mkdir()
    done = pitr("report", "--repository", tmp_path / "empty")
    assert "Nothing can be recovered." in done.stdout
    assert "The repository holds no backup" in done.stdout


def test_its_facts_are_those_of_the_other_commands(pitr: Pitr, repository: Path) -> None:
    """Windows and what is wrong, gaps, backups, drills."""

    def told(*words: str) -> dict[str, object]:
        done = pitr(*words, "--json", "--repository", repository)
        found: dict[str, object] = json.loads(done.stdout)
        return found

    report, windows, wal = told("report"), told("windows"), told("wal-show")
    for key in ("windows", "unusable", "damaged", "broken"):
        assert report[key] == windows[key]
    for one, two in zip(report["timelines"], wal["timelines"], strict=True):  # type: ignore[call-overload]
        assert (one["timeline"], one["parent"], one["begin_lsn"]) == (
            two["timeline"],
            two["parent"],
            two["begin_lsn"],
        )
        for key in ("ranges", "gaps"):
            names = [(each["first"], each["last"], each["segments"]) for each in one[key]]
            assert names == [(each["first"], each["last"], each["segments"]) for each in two[key]]
    shared = {"name", "stored_size", "finish_lsn", "hostname", "permanent"}
    listed = told("backup-list")["backups"]
    assert [{key: each[key] for key in shared} for each in report["backups"]] == [  # type: ignore[attr-defined]
        {key: each[key] for key in shared}
        for each in listed  # type: ignore[attr-defined]
    ]
    assert [each["name"] for each in report["drills"]] == [  # type: ignore[attr-defined]
        each["name"]
        for each in told("drill", "list")["drills"]  # type: ignore[attr-defined]
    ]


def test_what_retention_would_remove_is_what_delete_plans(pitr: Pitr, repository: Path) -> None:
    """Nothing is removed by looking."""
    words = ("--json", "--repository", repository)
    told = json.loads(pitr("report", "--retain", "FULL 1", *words).stdout)["retention"]
    planned = json.loads(pitr("delete", "retain", "FULL", "1", *words).stdout)
    assert told["policy"] == "retain FULL 1"
    assert [(each["name"], each["keep"], each["reason"]) for each in told["verdicts"]] == [
        (each["name"], each["keep"], each["reason"]) for each in planned["backups"]
    ]
    assert told["freed"] == planned["freed_size"] > 0
    assert told["wal_segments"] == sum(each["segments"] for each in planned["wal"])


@pytest.mark.parametrize("words", ["", "FULL", "7 --confirm", "7 --repository x", "'7", "x"])
def test_a_policy_that_is_none_is_refused(pitr: Pitr, repository: Path, words: str) -> None:
    """Before anything is read, and --confirm above all."""
    done = pitr("report", f"--retain={words}", "--repository", repository, check=False)
    assert done.returncode == 2
    assert "<!DOCTYPE" not in done.stdout


def test_times_of_gaps_lie_between_those_of_their_neighbours(pitr: Pitr, repository: Path) -> None:
    """However the clocks of server and store went."""
    told = json.loads(pitr("report", "--json", "--repository", repository).stdout)
    for line in told["timelines"]:
        stretches = sorted([*line["ranges"], *line["gaps"]], key=lambda each: each["first"])
        times = [time for each in stretches for time in (each["from_time"], each["to_time"])]
        assert times == sorted(times)
