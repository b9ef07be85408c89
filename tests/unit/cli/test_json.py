"""The keys and types of every --json are those of docs/json.md, and no others."""

import dataclasses
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from backup_core.postgres.lsn import Lsn
from backup_core.report.document import render
from backup_core.report.model import Drill, Promised, Timeline, Trouble
from backup_core.repository import drills, layout
from backup_core.repository.sentinel import Backup, Tablespace, render_metadata, render_sentinel
from backup_core.storage.file import FileStorage
from tests.support.drills import FAILED, PROVED
from tests.support.fixtures import Pitr
from tests.support.reports import EMPTY, REPORT
from tests.support.segments import BACKUP_HISTORY, FIRST, HISTORY, SECOND, THIRD, segment, wal_file

PAGE = Path(__file__).parents[3] / "docs/json.md"
ROW = re.compile(r"\| `([^`]+)` \| ([a-z ]+) \| \S")
FULL = "base_000000010000000000000001"
WITH_BACKUP = "000000010000000000000010"
LATER = "base_000000010000000000000009"
DELTA = "base_000000010000000000000003_D_000000010000000000000001"
NAMES = {dict: "object", list: "array", str: "string", int: "integer", bool: "boolean"} | {
    float: "number"
}

Types = dict[str, set[str]]


def documented(command: str) -> Types:
    """The types that the page gives each key of a command."""
    sections = PAGE.read_text().split("\n## ")
    [section] = [text for text in sections if text.startswith(f"{command}\n")]
    return {key: set(types.split(" or ")) for key, types in ROW.findall(section)}


def found_in(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Each key below a value, in the page's notation, with the type of what it holds."""
    if isinstance(value, dict):
        for key, inner in value.items():
            name = f"{path}.{key}" if path else key
            yield name, NAMES.get(type(inner), "null")
            yield from found_in(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from found_in(inner, f"{path}[]")


def printed(output: str) -> Types:
    """The types of each key that a command printed."""
    types: Types = {}
    for key, kind in found_in(json.loads(output)):
        types.setdefault(key, set()).add(kind)
    return types


def matches(seen: Types, page: Types) -> bool:
    """Tell whether each key was seen with every type that the page gives it, and no other."""
    wildcard = {key for key, types in page.items() if types == {"any"}}
    return seen.keys() == page.keys() and all(
        key in wildcard or seen[key] == page[key] for key in page
    )


def backup(name: str, **kwargs: object) -> Backup:
    """A backup of this name, with everything that can be left out left out."""
    moment = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
    values: dict[str, object] = {
        "name": name,
        "timeline": 1,
        "start_lsn": Lsn(0x1000028),
        "finish_lsn": Lsn(0x1000100),
        "start_time": moment,
        "finish_time": moment,
        "pg_version": 170002,
        "system_identifier": 7_000_000_000_000_000_001,
        "hostname": "db1",
        "data_dir": "/srv/pg",
        "uncompressed_size": 3,
        "compressed_size": 2,
        "data_catalog_size": 4,
    }
    return Backup(**(values | kwargs))  # type: ignore[arg-type]


def stored(repository: Path, key: str, content: bytes) -> None:
    """Put an object where a repository has it."""
    path = repository / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository in which every key of every document has something to show."""
    directory = tmp_path / "repository"
    space = Tablespace(oid=16389, location="/srv/fast")
    one = backup(FULL, tablespaces=(space,), user_data="nightly")
    chain = {"DeltaFrom": FULL, "DeltaFullName": FULL, "DeltaLSN": 1, "DeltaCount": 1}
    delta = json.loads(render_sentinel(backup(DELTA))) | chain
    stored(directory, layout.sentinel(FULL), render_sentinel(one))
    stored(directory, layout.metadata(FULL), render_metadata(one))
    stored(directory, layout.sentinel(DELTA), json.dumps(delta).encode())
    stored(directory, layout.sentinel("base_000000010000000000000004"), b"not JSON")
    stored(directory, layout.metadata("base_000000010000000000000005"), b"{}")
    wal = directory / "wal_005"
    wal_file(wal, FIRST, segment(FIRST))
    wal_file(wal, THIRD, segment(THIRD))
    wal_file(wal, "00000002.history", HISTORY)
    wal_file(wal, "000000010000000000000001.00000028.backup", BACKUP_HISTORY)
    return directory


@pytest.mark.parametrize("command", ["backup-list", "config"])
def test_the_documented_keys_are_those_printed(command: str, repository: Path, pitr: Pitr) -> None:
    """A key or a type that the page does not have, or has in vain, fails."""
    done = pitr(command, "--json", "--repository", repository, check=False)
    assert matches(printed(done.stdout), documented(command)), printed(done.stdout)


def test_wal_show_prints_the_documented_keys(repository: Path, tmp_path: Path, pitr: Pitr) -> None:
    """With and without WAL, as the segment size is null only where there is none."""
    history_only = tmp_path / "history"
    wal_file(history_only / "wal_005", "00000002.history", HISTORY)
    seen = printed(pitr("wal-show", "--json", "--repository", repository).stdout)
    for key, types in printed(
        pitr("wal-show", "--json", "--repository", history_only).stdout
    ).items():
        seen[key] |= types
    assert matches(seen, documented("wal-show")), seen


def test_windows_prints_the_documented_keys(repository: Path, pitr: Pitr) -> None:
    """With a window, a backup in none, a damaged segment and a broken promise."""
    stored(repository, layout.IDENTITY, b'{"system_identifier": 7000000000000000001}')
    wal_file(repository / "wal_005", WITH_BACKUP, segment(WITH_BACKUP))
    stored(repository, "wal_005/000000010000000000000011", b"no segment")
    lsns = {"start_lsn": Lsn(9 << 24), "finish_lsn": Lsn((9 << 24) + 1)}
    stored(repository, layout.sentinel(LATER), render_sentinel(backup(LATER, **lsns)))
    done = pitr(
        *("windows", "--json", "--repository", repository, "--recovery-freshness", "1d"),
        check=False,
    )
    assert done.returncode == 10
    assert matches(printed(done.stdout), documented("windows")), printed(done.stdout)


def test_report_writes_the_documented_keys() -> None:
    """Those of windows, and its own; each that may be null is null once."""
    fewest = dataclasses.replace(
        EMPTY,
        unfinished=("base_1",),
        unusable=(Trouble(name="x", reason="y"),),
        damaged=(Trouble(name="x", reason="y"),),
        unreadable=(Trouble(name="x", reason="y"),),
        promised=Promised(),
        backups=(dataclasses.replace(REPORT.backups[0], delta_from="x"),),
        drills=tuple(without_answers(each) for each in REPORT.drills),
        timelines=tuple(without_times(each) for each in REPORT.timelines),
    )
    whole = dataclasses.replace(
        REPORT, promised=Promised(recovery_window=1.0, recovery_freshness=1.0)
    )
    seen: Types = {}
    for report in (whole, fewest):
        for key, types in printed(render(report)).items():
            seen.setdefault(key, set()).update(types)
    page = documented("windows") | documented("report")
    assert matches(seen, page), {key: seen.get(key) for key in seen.keys() ^ page.keys()}


def without_answers(drill: Drill) -> Drill:
    """A drill that failed before it had anything to tell."""
    nothing = dict.fromkeys(
        ("backup", "timeline", "recovery_seconds", "data_lost_seconds"), cast("Any", None)
    )
    return dataclasses.replace(drill, failed_phase="plan", error="x", **nothing)


def without_times(line: Timeline) -> Timeline:
    """A timeline of which nothing tells when it was."""
    unknown: dict[str, Any] = {"from_time": None, "to_time": None}
    return dataclasses.replace(
        line,
        ranges=tuple(dataclasses.replace(each, **unknown) for each in line.ranges),
        gaps=tuple(dataclasses.replace(each, **unknown) for each in line.gaps),
    )


def test_wal_verify_prints_the_documented_keys(
    repository: Path, tmp_path: Path, pitr: Pitr
) -> None:
    """With damage and a position; and without a backup, whose name is null then."""
    empty = tmp_path / "no-backup"
    wal_file(empty / "wal_005", FIRST, segment(FIRST))
    wal_file(repository / "wal_005", WITH_BACKUP, segment(WITH_BACKUP))
    flags = ("--content", "--json", "--timeline", "1", "--lsn", "0/1100000")
    done = pitr("wal-verify", *flags, "--repository", repository, check=False)
    assert done.returncode == 6
    seen = printed(done.stdout)
    for key, types in printed(pitr("wal-verify", "--json", "--repository", empty).stdout).items():
        seen[key] |= types
    assert matches(seen, documented("wal-verify")), seen


def test_backup_verify_prints_the_documented_keys(repository: Path, pitr: Pitr) -> None:
    """Everything is wrong here."""
    done = pitr("backup-verify", "--json", "--repository", repository, check=False)
    assert done.returncode == 6
    assert matches(printed(done.stdout), documented("backup-verify")), printed(done.stdout)


def test_delete_prints_the_documented_keys(repository: Path, pitr: Pitr) -> None:
    """With WAL that goes, and a leftover, which has no finish time."""
    stored(repository, layout.IDENTITY, b'{"system_identifier": 7000000000000000001}')
    wal_file(repository / "wal_005", WITH_BACKUP, segment(WITH_BACKUP))
    (repository / layout.sentinel("base_000000010000000000000004")).unlink()
    done = pitr("delete", "garbage", "--json", "--repository", repository)
    assert matches(printed(done.stdout), documented("delete")), printed(done.stdout)


def test_keys_prints_the_documented_keys(repository: Path, pitr: Pitr) -> None:
    """For plain objects, and for one of OpenPGP: whether gpg has its key, only gpg knows."""
    session_key = bytes([0x84, 0x5E, 3]) + bytes(range(8)) + bytes([18]) + bytes(84)
    stored(repository, f"wal_005/{SECOND}.zst", session_key)
    env = {"PITR_GPG_KEY_ID": "0001020304050607"}
    seen = printed(pitr("keys", "--json", "--repository", repository, env=env).stdout)
    assert matches(seen, documented("keys")), seen


def test_check_prints_the_documented_keys(repository: Path, tmp_path: Path, pitr: Pitr) -> None:
    """Without a server, too."""
    env = {"PGHOST": str(tmp_path)}
    done = pitr("check", "--json", "--repository", repository, env=env, check=False)
    assert matches(printed(done.stdout), documented("check")), printed(done.stdout)


def test_drill_prints_the_documented_keys(tmp_path: Path, pitr: Pitr) -> None:
    """A list of one that proved everything and one that reached nothing; one of them alone."""
    stored_drills = [
        drills.store(FileStorage(tmp_path), record, None) for record in (PROVED, FAILED)
    ]
    seen = printed(pitr("drill", "list", "--json", "--repository", tmp_path).stdout)
    page = documented("drill list")
    assert matches(seen, page), seen
    alone: Types = {}
    for name in stored_drills:
        shown = pitr("drill", "show", name, "--json", "--repository", tmp_path).stdout
        for key, kinds in printed(shown).items():
            alone.setdefault(key, set()).update(kinds)
    del seen["drills"]
    assert alone == {key.removeprefix("drills[]."): kinds for key, kinds in seen.items()}


def test_standard_output_is_json_alone(repository: Path, pitr: Pitr) -> None:
    """Warnings go to standard error, so a script can read the output as it is."""
    done = pitr(
        *("config", "--json", "--repository", repository), env={"PITR_NO_SUCH_SETTING": "1"}
    )
    assert json.loads(done.stdout)["version"] == 1
    assert "PITR_NO_SUCH_SETTING" in done.stderr
