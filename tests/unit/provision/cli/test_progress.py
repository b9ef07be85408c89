"""Progress: a live table on a terminal, a line a host elsewhere, and nothing on standard output."""

import os
import pty
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from provision.cli.live import MOST_ROWS, LiveTable
from provision.cli.progress import progress
from tests.support.environment import clean_environ

ROOT = Path(__file__).parents[4]
HIDE_CURSOR, SHOW_CURSOR, ERASE_LINE = "\x1b[?25l", "\x1b[?25h", "\x1b[2K"
WORK = """
import sys, time
from provision.cli.progress import progress
from provision.scrubbing import ScrubbedStream, Scrubber
sys.stderr = ScrubbedStream(sys.stderr, Scrubber())
with progress(["db1", "db2", "db3"], verb="applying", lines=True) as shown:
    shown.tell("db1", "applied, 3 changes")
    shown.tell("db2", "verifying", done=False)
    time.sleep(0.5)
print("the plan")
"""


def on_a_terminal(script: str) -> tuple[str, str]:
    """Run a script whose standard error is a terminal; return standard output and what it drew."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=clean_environ() | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"},
        text=True,
    ) as process:
        os.close(theirs)
        drawn = b""
        try:
            while data := os.read(ours, 1 << 16):
                drawn += data
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        assert process.stdout is not None
        output = process.stdout.read()
    assert process.returncode == 0, drawn.decode()
    return output, drawn.decode()


def test_a_terminal_shows_a_table_that_goes_away() -> None:
    """What hosts do is in it; after it, the cursor is back and standard output is clean."""
    output, drawn = on_a_terminal(WORK)
    assert output == "the plan\n"
    assert "applying: 1 of 3 hosts" in drawn
    for words in ("db1", "applied, 3 changes", "db2", "verifying", "db3", "waiting"):
        assert words in drawn
    assert drawn.index(HIDE_CURSOR) < drawn.rindex(SHOW_CURSOR)
    assert ERASE_LINE in drawn[drawn.rindex("waiting") :]


def test_without_a_terminal_there_is_a_line_for_each_host(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """When it is done, and not before: a log is read afterwards."""
    with progress(["db1", "db2"], verb="applying", lines=True) as shown:
        shown.tell("db1", "verifying", done=False)
        shown.tell("db1", "applied, 3 changes")
    assert capsys.readouterr() == ("", "db1: applied, 3 changes\n")


def test_without_a_terminal_and_without_lines_there_is_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A plan speaks of every host itself."""
    with progress(["db1"], verb="looking", lines=False) as shown:
        shown.tell("db1", "looked at")
    assert capsys.readouterr() == ("", "")


def rows(table: LiveTable) -> list[list[str]]:
    """The words of the table's rows, without the heads."""
    console = Console(file=StringIO(), width=80)
    with console.capture() as captured:
        console.print(table.render())
    return [line.split() for line in captured.get().splitlines()[2:]]


def test_what_is_done_and_well_leaves_a_long_table_first() -> None:
    """Hosts that are worked on and hosts with trouble stay in sight."""
    hosts = [f"h{number}" for number in range(2 * MOST_ROWS)]
    table = LiveTable(hosts, "applying")
    for host in hosts[:-2]:
        table.tell(host, "applied, 1 changes")
    table.tell(hosts[5], "rolled back")
    table.tell(hosts[-1], "applying", done=False)
    found = rows(table)
    assert len(found) == MOST_ROWS
    assert [row[:2] for row in found[:3]] == [
        [hosts[5], "rolled"],
        [hosts[-1], "applying"],
        [hosts[-2], "waiting"],
    ]


def test_a_host_s_time_counts_from_its_own_beginning() -> None:
    """A host that waits has none."""
    table = LiveTable(["db1", "db2"], "looking")
    table.tell("db1", "looking", done=False)
    working, waiting = rows(table)
    assert working[:2] == ["db1", "looking"]
    assert float(working[2]) >= 0
    assert waiting == ["db2", "waiting"]
