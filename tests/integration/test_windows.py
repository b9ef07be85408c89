"""The windows that are shown are those that real servers can be recovered to."""

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backup_core.postgres.lsn import Lsn
from backup_core.postgres.records import check_pages, is_complete, transaction_ends
from backup_core.postgres.wal import parse_segment_header
from tests.support.chromium import chromium
from tests.support.cluster import Cluster
from tests.support.fixtures import MakeCluster
from tests.support.site import Site, archive_everything, promoted

ENDED = re.compile(r"lsn: (\S+),.*desc: (?:COMMIT|ABORT)\S* .*?(\d{4}-\S+ \d\S+\.\d+)")
WINDOWS_SHOWN = """
[...document.querySelectorAll('table')]
  .find(table => table.caption.innerText == 'Recovery windows')
  .querySelectorAll('tbody tr').values()
  .map(row => [
    row.cells[0].innerText.trim(),
    row.cells[1].querySelector('time').dateTime,
    row.cells[2].querySelector('time').dateTime,
    ...[4, 5, 6, 7].map(at => row.cells[at].innerText)
  ]).toArray()
"""
INSERT = "INSERT INTO t VALUES (%s)"


@pytest.mark.postgres(12, 15, 18)
def test_the_times_are_those_that_pg_waldump_tells(make_cluster: MakeCluster) -> None:
    """Commits, aborts and prepared transactions, over several pages and segments."""
    cluster = make_cluster(
        settings={"max_prepared_transactions": 2, "wal_level": "logical"}, wal_segment_mb=1
    )
    cluster.sql("CREATE TABLE t (row text)")
    cluster.sql("INSERT INTO t SELECT repeat('x', 500) FROM generate_series(1, 3000)")
    cluster.sql("BEGIN; INSERT INTO t VALUES ('lost'); SAVEPOINT s; SELECT 1; ROLLBACK")
    cluster.sql("BEGIN; INSERT INTO t VALUES ('two'); PREPARE TRANSACTION 'two'")
    cluster.sql("COMMIT PREPARED 'two'")
    name = cluster.scalar("SELECT pg_walfile_name(pg_switch_wal())")
    cluster.stop()
    for path in sorted((cluster.data_dir / "pg_wal").glob("0" * 7 + "1" + "?" * 16)):
        if path.name > name:
            continue
        data = path.read_bytes()
        header = parse_segment_header(data, name=path.name)
        assert list(transaction_ends(data, header)) == waldump(cluster, path)
        check_pages(data, header, name=path.name)
        assert is_complete(data, header)
        half = data[: len(data) // 2].ljust(len(data), b"\0")
        assert not is_complete(half, header) or path.name == name


def waldump(cluster: Cluster, path: Path) -> list[tuple[int, datetime]]:
    """Where and when transactions ended, of those whose records end in the segment."""
    try:
        text = cluster.run("pg_waldump", "-r", "Transaction", str(path)).stdout
    except RuntimeError as error:  # the last record goes on in a segment that was not asked for
        text = str(error)
    found = []
    for lsn, time in ENDED.findall(text):
        moment = datetime.strptime(time, "%Y-%m-%d %H:%M:%S.%f").astimezone()
        found.append((int(Lsn.parse(lsn)), moment))
    return found


@dataclass(frozen=True, kw_only=True)
class Story:
    """A repository with a promotion and a gap, and what was written when."""

    site: Site
    shown: dict[str, Any]


@pytest.fixture(scope="module")
def story(module_site: Site) -> Story:
    """A backup, rows, a promotion to timeline 2, rows, a lost segment, and a second backup."""
    site = module_site
    old = site.cluster()
    old.sql("CREATE TABLE t (row int)")
    site.backup(old)
    old.sql(INSERT, 1)
    archive_everything(old)
    old.kill()
    new = site.restore(name="new")
    promoted(new)
    new.sql(INSERT, 2)
    archive_everything(new)
    new.sql(INSERT, 3)
    lost = archive_everything(new)
    new.sql(INSERT, 4)
    site.backup(new)
    new.sql(INSERT, 5)
    archive_everything(new)
    new.kill()
    (site.repository / "wal_005" / f"{lost}.zst").unlink()
    shown = json.loads(site.run("windows", "--json").stdout)
    return Story(site=site, shown=shown)


@pytest.fixture
def site(site: Site, story: Story) -> Site:
    """A place to restore the story's repository to."""
    return replace(site, repository=story.site.repository)


def rows(cluster: Cluster) -> list[int]:
    return [row for (row,) in cluster.sql("SELECT row FROM t ORDER BY row")]


def test_a_promotion_and_a_gap_make_three_windows(story: Story) -> None:
    """The old timeline's, the new one's up to the gap, and from the second backup on."""
    windows = story.shown["windows"]
    assert [window["timeline"] for window in windows] == [1, 2, 2]
    assert [window["current"] for window in windows] == [False, False, True]
    assert windows[0]["backups"] == windows[1]["backups"] != windows[2]["backups"]
    assert all(window["end_source"] == "wal" for window in windows)


@pytest.mark.parametrize(
    ("number", "edge", "content"),
    [
        (0, "begin", []),
        (0, "end", [1]),
        (1, "begin", []),
        (1, "end", [1, 2]),
        (2, "begin", [1, 2, 3, 4]),
        (2, "end", [1, 2, 3, 4, 5]),
    ],
)
def test_every_edge_of_a_window_can_be_recovered(
    site: Site, story: Story, number: int, edge: str, content: list[int]
) -> None:
    """To its beginning by time; to its end by taking all there is of it."""
    window = story.shown["windows"][number]
    name = window["backups"][-1]["name"]
    timeline = ("--target-timeline", str(window["timeline"]), "--archive-mode-off")
    if edge == "begin":
        target = ("--target-time", window["begin_time"])
    else:
        # the last commit itself is the first that a target before it leaves out
        last = datetime.fromisoformat(window["end_time"]) - timedelta(microseconds=1)
        target = ("--target-time", last.isoformat())
        content = content[:-1]
    restored = site.restore(name, *timeline, *target, "--target-action", "promote")
    promoted(restored)
    assert rows(restored) == content


def test_a_moment_between_two_windows_cannot_be_recovered(site: Site, story: Story) -> None:
    """The server would look for the lost segment; the plan says so first."""
    gap_begins = datetime.fromisoformat(story.shown["windows"][1]["end_time"])
    target = (gap_begins + timedelta(milliseconds=1)).isoformat()
    done = site.run("backup-fetch", site.base / "x", "--target-time", target, check=False)
    assert done.returncode == 3
    assert "is not in the repository" in done.stderr


def test_the_report_says_the_same(site: Site, story: Story) -> None:
    """As JSON, word for word; and that a segment is missing."""
    told = json.loads(site.run("report", "--json").stdout)
    assert {key: value for key, value in story.shown.items() if key != "version"} == {
        key: told[key] for key in ("windows", "unusable", "damaged", "broken")
    }
    assert [line["timeline"] for line in told["timelines"]] == [1, 2]
    assert [gap["segments"] for line in told["timelines"] for gap in line["gaps"]] == [1]


def test_the_page_shows_the_same(site: Site, story: Story, tmp_path: Path) -> None:
    """In a real browser: each window with its edges and backups, the gap, and no complaint."""
    path = tmp_path / "report.html"
    site.run("report", "-o", path)
    with chromium() as browser:
        page = browser.page()
        page.open(path)
        assert (page.problems, page.requests) == ([], [path.as_uri()])
        rows = page.value(WINDOWS_SHOWN)
        gaps = page.value("document.querySelectorAll('.lane rect.gap').length")
    assert [tuple(row) for row in reversed(rows)] == [
        (
            f"{window['timeline']}{' current' if window['current'] else ''}",
            datetime.fromisoformat(window["begin_time"]).isoformat(),
            datetime.fromisoformat(window["end_time"]).isoformat(),
            window["begin_lsn"],
            window["end_lsn"],
            str(len(window["backups"])),
            window["backups"][-1]["name"],
        )
        for window in story.shown["windows"]
    ]
    assert gaps == 1


def test_a_promise_that_the_gap_broke_is_told(site: Site) -> None:
    """By the exit code and by a line that names it."""
    done = site.run("windows", "--recovery-window", "1s", "--recovery-freshness", "1h")
    assert "BROKEN" not in done.stdout
    done = site.run("windows", "--recovery-window", "1d", check=False)
    assert done.returncode == 10
    assert "BROKEN recovery_window: recovery reaches back to" in done.stdout
