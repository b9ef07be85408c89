"""Timeline history files: what the server accepts is understood, all else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.timeline import TimelineHistory, history_of_first, parse_history

# Timeline 4 came from 2 at 0/7000000, which came from 1 at 0/3000000.
BRANCHED = """\
1\t0/3000000\tno recovery target specified

2\t0/7000000\tbefore 2026-11-22 10:15:00+00

"""

END_OF_1, END_OF_2 = 0x3000000, 0x7000000


@st.composite
def histories(draw: st.DrawFn) -> TimelineHistory:
    """The history of timeline 1001, with up to six ancestors."""
    ancestors = sorted(draw(st.sets(st.integers(1, 1000), max_size=6)))
    ends = draw(st.lists(st.integers(1, 2**64 - 1), min_size=6, max_size=6))
    lines = [f"{timeline}\t{Lsn(end)}\tx" for timeline, end in zip(ancestors, ends, strict=False)]
    return parse_history("\n".join(lines), 1001)


def test_switches_are_read_in_order() -> None:
    """Each line is an ancestor, where it was left, and why."""
    history = parse_history(BRANCHED, 4)
    assert history.timeline == 4
    assert [(item.timeline, item.end, item.reason) for item in history.switches] == [
        (1, END_OF_1, "no recovery target specified"),
        (2, END_OF_2, "before 2026-11-22 10:15:00+00"),
    ]


def test_a_timeline_begins_where_its_parent_was_left() -> None:
    """The last line tells; the first timeline begins at zero."""
    assert parse_history(BRANCHED, 4).begin == END_OF_2
    assert history_of_first().begin == 0


@pytest.mark.parametrize(
    ("lsn", "timeline"),
    [
        (0, 1),
        (END_OF_1 - 1, 1),
        (END_OF_1, 2),
        (END_OF_2 - 1, 2),
        (END_OF_2, 4),
        (2**64 - 1, 4),
    ],
)
def test_each_byte_is_in_one_timelines_wal(lsn: int, timeline: int) -> None:
    """The byte at a switch point belongs to the child already."""
    assert parse_history(BRANCHED, 4).timeline_at(lsn) == timeline


@pytest.mark.parametrize(
    ("timeline", "lsn", "on_the_way"),
    [
        (1, 0, True),
        (1, END_OF_1, True),
        (1, END_OF_1 + 1, False),
        (2, END_OF_2, True),
        (2, END_OF_2 + 1, False),
        (3, END_OF_1, False),
        (4, END_OF_2 - 1, False),
        (4, END_OF_2, True),
        (4, 2**64 - 1, True),
        (5, END_OF_2, False),
    ],
)
def test_a_point_is_on_the_history_or_beside_it(timeline: int, lsn: int, on_the_way: bool) -> None:
    """A backup that ends on an ancestor after it was left cannot be recovered to this timeline."""
    assert parse_history(BRANCHED, 4).contains(timeline, lsn) == on_the_way


@given(history=histories(), lsn=st.integers(0, 2**64 - 1))
def test_the_timeline_at_a_point_contains_it(history: TimelineHistory, lsn: int) -> None:
    """The two questions agree, whatever the history."""
    assert history.contains(history.timeline_at(lsn), lsn)


def test_recovery_may_stop_before_a_switch_of_its_target_timeline() -> None:
    """The server then writes an ancestor's later end before the parent's earlier one.

    Timeline 3 was made by recovering along timeline 2 to a point at which that was still 1.
    """
    text = "1\t0/5000000\tno recovery target specified\n\n2\t0/4025AB0\tafter LSN 0/4025A70\n"
    history = parse_history(text, 3)
    fork = Lsn.parse("0/4025AB0")
    assert history.begin == fork
    assert [history.timeline_at(fork - 1), history.timeline_at(fork)] == [1, 3]
    assert not history.contains(1, fork + 1)
    assert not history.contains(2, 0x5000000)


def test_comments_and_blank_lines_are_passed_over() -> None:
    """As in the server, and so are blanks around the fields."""
    text = "# a comment\n\n \t\n  1   0/3000000  why not\r\n  # another\n"
    history = parse_history(text, 2)
    assert [(item.timeline, item.reason) for item in history.switches] == [(1, "why not")]


def test_a_reason_may_be_missing() -> None:
    """It is for people only."""
    assert parse_history("1\t0/3000000", 2).switches[0].reason == ""


def test_a_file_of_comments_is_a_timeline_without_parents() -> None:
    """The server reads it so too."""
    assert parse_history("# nothing\n", 2) == TimelineHistory(timeline=2, switches=())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("one\t0/3000000\tx\n", 1),
        ("1\n", 1),
        ("1\tno recovery target specified\n", 1),
        ("1\t0/3000000\tx\n\n2\t0-7000000\tx\n", 3),
        ("1 0/3000000x\n", 1),
        ("-1\t0/3000000\tx\n", 1),
        ("0\t0/3000000\tx\n", 1),
        ("1\t0/0\tx\n", 1),
        ("4\t0/3000000\tx\n", 1),
        ("9\t0/3000000\tx\n", 1),
        ("2\t0/3000000\tx\n1\t0/7000000\tx\n", 2),
        ("2\t0/3000000\tx\n2\t0/7000000\tx\n", 2),
        ("<html>404</html>", 1),
        ("1\t0/3000000\tat restore point two\nlines\n", 2),
    ],
)
def test_a_damaged_line_is_named(text: str, line: int) -> None:
    """Nothing is guessed: the error says which line of which timeline's file it is."""
    with pytest.raises(CorruptError, match=f"^line {line} of the history file of timeline 4 "):
        parse_history(text, 4)


@given(text=st.text(alphabet="0123456789ABF/\t\n #x", max_size=60))
def test_any_text_is_a_history_or_corrupt(text: str) -> None:
    """No text crashes the parser, and what it accepts has ancestors in order."""
    try:
        history = parse_history(text, 2**31)
    except CorruptError:
        return
    timelines = [item.timeline for item in history.switches]
    ends = [item.end for item in history.switches]
    assert timelines == sorted(set(timelines))
    assert ends == sorted(ends)
