"""What a report comes to: bad, watch or good, with every reason that it is not better."""

from dataclasses import replace

import pytest

from backup_core.report.model import Broken, Report, Trouble
from backup_core.report.verdict import judge, lost_between, why_nothing
from tests.support.reports import DAY, EMPTY, REPORT, WHOLE, drill

SOUND = replace(WHOLE, drills=(drill(6), drill(7)))
TROUBLE = Trouble(name="x", reason="y")


def test_a_repository_without_a_flaw_is_good() -> None:
    """And nothing is said against it."""
    found = judge(SOUND)
    assert (found.level, found.reasons) == ("good", ())


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (replace(SOUND, unreadable=(TROUBLE,)), "1 backup cannot be read"),
        (replace(SOUND, unusable=(TROUBLE,)), "1 backup is of no use"),
        (replace(SOUND, damaged=(TROUBLE, TROUBLE)), "2 WAL segments are damaged"),
        (replace(SOUND, timelines=REPORT.timelines), "1 WAL segment is missing"),
        (replace(SOUND, drills=(drill(7, succeeded=False),)), "failed in its phase replay"),
        (
            replace(SOUND, drills=(replace(drill(7), signature="wrong"),)),
            "has a wrong signature",
        ),
        (replace(SOUND, made=SOUND.made - DAY), "Clocks differ"),
    ],
)
def test_each_flaw_is_told(report: Report, reason: str) -> None:
    """What can be recovered is not all that there should be."""
    found = judge(report)
    assert found.level == "watch"
    assert reason in " ".join(found.reasons)


def test_a_drill_that_failed_is_forgiven_by_the_next() -> None:
    """The last of each name counts."""
    assert judge(replace(SOUND, drills=(drill(6, succeeded=False), drill(7)))).level == "good"


def test_a_broken_promise_is_bad_whatever_can_be_recovered() -> None:
    """With the sentence that says which."""
    broken = Broken(promise="recovery_window", message="recovery reaches back to noon")
    found = judge(replace(SOUND, broken=(broken,)))
    assert found.level == "bad"
    assert found.reasons[0] == "Recovery reaches back to noon."


@pytest.mark.parametrize(
    ("report", "why"),
    [
        (EMPTY, "holds no backup"),
        (replace(EMPTY, unfinished=("base_1",)), "is finished"),
        (replace(EMPTY, unreadable=(TROUBLE,)), "can be read"),
        (replace(REPORT, windows=()), "8 backups, and none of use"),
    ],
)
def test_why_nothing_can_be_recovered_is_told(report: Report, why: str) -> None:
    """It is bad, and the word for it is the reason."""
    assert judge(report).level == "bad"
    assert why in why_nothing(report)


def test_what_lies_between_two_windows_is_told() -> None:
    """Of the current timeline; the older timelines' ends are no holes."""
    assert lost_between(REPORT) == ("from 26 Nov 2026, 16:48:00 to 27 Nov 2026, 03:30:00",)
    assert lost_between(WHOLE) == ()
