"""A report of a repository in which much has happened."""

from datetime import timedelta

import pytest

from backup_core.report.document import parse, render
from backup_core.report.model import Report
from backup_core.report.page import render_page
from backup_core.report.survey import read_report
from backup_core.verify.promise import Promise
from tests.support.history import Life

HOUR = timedelta(hours=1)


def report_of(life: Life) -> Report:
    """What is told of it an hour later."""
    return read_report(life.storage, Promise(), clock=lambda: life.now + HOUR, pitr_version="1.0.0")


@pytest.fixture(scope="module")
def life() -> Life:
    """A backup, a promotion, a lost segment, an upgrade, and backups after each."""
    life = Life()
    life.archive(2)
    life.backup(permanent=True, delta=False)
    life.archive(3)
    life.promote()
    life.archive(4)
    life.backup(permanent=False, delta=False)
    life.archive(4)
    life.lose(2)
    life.upgrade()
    life.archive(2)
    life.backup(permanent=False, delta=False)
    life.archive(2)
    return life


def test_each_timeline_of_each_cluster_is_told(life: Life) -> None:
    """After an upgrade timeline 1 is there twice, and of two clusters."""
    found = report_of(life)
    lines = [(line.timeline, line.system_identifier) for line in found.timelines]
    assert len({cluster for _, cluster in lines}) == 2
    assert sorted(timeline for timeline, _ in lines) == [1, 1, 2]
    assert sum(gap.segments for line in found.timelines for gap in line.gaps) == 1


def test_ranges_and_gaps_follow_each_other_in_time(life: Life) -> None:
    """As they do in the WAL, and none is without a time."""
    for line in report_of(life).timelines:
        stretches = sorted([*line.ranges, *line.gaps], key=lambda each: each.first)
        times = [time for each in stretches for time in (each.from_time, each.to_time)]
        assert None not in times
        assert times == sorted(time for time in times if time)


def test_growth_ends_at_all_that_is_stored(life: Life) -> None:
    """WAL as the listing has it, backups as their sentinels say."""
    found = report_of(life)
    wal = sum(info.size for info in life.storage.list("wal_005/") if ".history" not in info.key)
    assert found.growth[-1].wal == wal
    assert found.growth[-1].backups == sum(backup.stored_size for backup in found.backups)


def test_it_travels_and_is_drawn_with_its_clusters_named(life: Life) -> None:
    """Where there are several; one goes without saying."""
    found = report_of(life)
    assert parse(render(found), name="x") == found
    clusters = {line.system_identifier for line in found.timelines}
    page = render_page(found)
    assert all(f"cluster {each}" in page for each in clusters)
    alone = Life()
    alone.archive(2)
    alone.backup(permanent=False, delta=False)
    alone.archive(2)
    assert "<span>cluster " not in render_page(report_of(alone))


def test_a_promise_is_judged_by_the_clock_after_reading() -> None:
    """Or what came while it was read would be later than the report."""
    life = Life()
    asked: list[bool] = []
    found = read_report(
        life.storage,
        Promise(freshness=HOUR),
        clock=lambda: asked.append(True) or life.now,  # type: ignore[func-returns-value]
        pitr_version="1.0.0",
    )
    assert (asked, found.made) == ([True], life.now)
    assert [each.promise for each in found.broken] == ["recovery_freshness"]


def test_the_last_week_is_drawn_only_where_the_whole_is_long(life: Life) -> None:
    """A short history needs no second drawing."""
    assert "The last seven days" not in render_page(report_of(life))
    late = read_report(
        life.storage,
        Promise(),
        clock=lambda: life.now + timedelta(days=60),
        pitr_version="1.0.0",
    )
    assert "The last seven days" in render_page(late)
