"""What is missing is lost, or on its way; the two are not the same trouble."""

from dataclasses import replace

import pytest

from backup_core.postgres.lsn import Lsn
from backup_core.postgres.timeline import TimelineHistory, TimelineSwitch
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalRange
from backup_core.verify.integrity import Integrity, Position, integrity
from backup_core.verify.window import ClusterWal, Facts
from tests.support.archives import SEGMENT, backup_at
from tests.support.segments import SYSTEM_IDENTIFIER

LEFT_AT_5 = TimelineHistory(
    timeline=2, switches=(TimelineSwitch(timeline=1, end=Lsn(5 * SEGMENT + 100), reason=""),)
)


def run(timeline: int, first: int, last: int) -> WalRange:
    return WalRange(timeline=timeline, first=first, last=last)


def in_segment(number: int, timeline: int = 1) -> Backup:
    return backup_at(timeline, number * SEGMENT + 0x28, 0x100)


def look(
    *backups: Backup,
    runs: list[WalRange],
    position: Position | None = None,
    histories: dict[int, TimelineHistory] | None = None,
    oldest: str | None = None,
) -> Integrity:
    cluster = ClusterWal(system_identifier=SYSTEM_IDENTIFIER, runs=tuple(runs))
    facts = Facts(backups=backups, wal=(cluster,), histories=histories or {}, segment_size=SEGMENT)
    return integrity(facts, cluster, position, oldest=oldest)


def shape(found: Integrity) -> list[tuple[int, int, int, str]]:
    return [
        (item.wal.timeline, item.wal.first, item.wal.last, item.status.name)
        for item in found.stretches
    ]


def at(segment: int, *, timeline: int = 1, archived: int | None = None) -> Position:
    """A server that is writing this segment, and has handed over up to the other."""
    name = None if archived is None else f"{timeline:08X}00000000{archived:08X}"
    return Position(timeline=timeline, lsn=Lsn(segment * SEGMENT + 500), archived=name)


def test_all_found_is_ok() -> None:
    """From the oldest backup to the end; what is before does not matter."""
    found = look(in_segment(3), in_segment(6), runs=[run(1, 1, 1), run(1, 3, 9)])
    assert shape(found) == [(1, 3, 9, "FOUND")]
    assert found.verdict == "OK"


def test_a_hole_far_behind_the_end_is_lost() -> None:
    """Nothing can be on its way there."""
    found = look(in_segment(3), runs=[run(1, 3, 4), run(1, 7, 99)])
    assert shape(found) == [(1, 3, 4, "FOUND"), (1, 5, 6, "LOST"), (1, 7, 99, "FOUND")]
    assert found.verdict == "FAILURE"


def test_a_hole_near_the_end_may_be_on_its_way() -> None:
    """Several are uploaded at once, and the later one may come first."""
    found = look(in_segment(3), runs=[run(1, 3, 4), run(1, 6, 9)])
    assert shape(found)[1] == (1, 5, 5, "UPLOADING")
    assert found.verdict == "WARNING"


def test_what_the_server_has_not_handed_over_is_on_its_way() -> None:
    """What it has is lost; the segment that is being written is not due."""
    found = look(in_segment(3), runs=[run(1, 3, 6)], position=at(12, archived=8))
    assert shape(found) == [(1, 3, 6, "FOUND"), (1, 7, 8, "LOST"), (1, 9, 11, "UPLOADING")]
    found = look(in_segment(3), runs=[run(1, 3, 11)], position=at(12, archived=11))
    assert shape(found) == [(1, 3, 11, "FOUND")]


def test_the_servers_word_makes_a_hole_near_the_end_lost() -> None:
    """It removes what it has handed over."""
    found = look(in_segment(3), runs=[run(1, 3, 4), run(1, 6, 9)], position=at(10, archived=9))
    assert shape(found)[1] == (1, 5, 5, "LOST")


def test_the_way_leads_through_the_ancestors() -> None:
    """A hole on the old timeline is lost for good."""
    found = look(in_segment(2), runs=[run(1, 2, 3), run(2, 5, 9)], histories={2: LEFT_AT_5})
    assert shape(found) == [(1, 2, 3, "FOUND"), (1, 4, 4, "LOST"), (2, 5, 9, "FOUND")]
    assert (found.timeline, found.oldest) == (2, in_segment(2))


@pytest.mark.parametrize(("server", "verdict"), [(2, "OK"), (1, "FAILURE"), (3, "OK")])
def test_a_server_behind_the_archives_timeline_is_a_failure(server: int, verdict: str) -> None:
    """It is the old primary, and archives what nobody will follow."""
    found = look(
        in_segment(2),
        runs=[run(1, 2, 4), run(2, 5, 9)],
        histories={2: LEFT_AT_5},
        position=at(10, timeline=server),
    )
    assert found.timeline_verdict == verdict


def test_a_permanent_backup_needs_its_own_wal_only() -> None:
    """The way begins at the oldest of the others."""
    old = replace(in_segment(2), permanent=True)
    found = look(old, in_segment(6), runs=[run(1, 2, 2), run(1, 6, 9)])
    assert shape(found) == [(1, 6, 9, "FOUND"), (1, 2, 2, "FOUND")]
    found = look(old, in_segment(6), runs=[run(1, 6, 9)])
    assert found.verdict == "FAILURE"


def test_a_named_backup_is_where_the_way_begins() -> None:
    """Others are not looked at."""
    one, two = in_segment(2), in_segment(6)
    found = look(one, two, runs=[run(1, 6, 9)], oldest=two.name)
    assert shape(found) == [(1, 6, 9, "FOUND")]


def test_without_a_backup_nothing_is_proved() -> None:
    """That is a warning, not all well."""
    assert look(runs=[run(1, 1, 9)]).verdict == "WARNING"
