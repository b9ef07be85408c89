"""The live table, and the only place of provision that knows rich.

Hosts that are done without trouble leave the table first when it would grow too long.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

MOST_ROWS = 20
_COLOURS = {
    "failed": "red",
    "rolled": "red",
    "refused": "red",
    "unreachable": "magenta",
    "held": "yellow",
}


@contextmanager
def live_table(hosts: Sequence[str], verb: str) -> Iterator[LiveTable]:
    """Show a table on standard error while the block runs; nothing of it stays."""
    table = LiveTable(hosts, verb)
    console = Console(file=sys.stderr)
    with Live(console=console, get_renderable=table.render, refresh_per_second=8, transient=True):
        yield table


class LiveTable:
    """The hosts, what each does, and for how long."""

    def __init__(self, hosts: Sequence[str], verb: str) -> None:
        self._verb = verb
        self._began = monotonic()
        self._lock = threading.Lock()
        self._status = dict.fromkeys(hosts, "waiting")
        self._times: dict[str, _Times] = {}

    def tell(self, host: str, status: str, *, done: bool = True) -> None:
        """Say what a host does, or how it ended."""
        with self._lock:
            self._status[host] = status
            times = self._times.setdefault(host, _Times(began=monotonic()))
            if done:
                times.ended = monotonic()

    def render(self) -> Group:
        """Draw it; its own title would be no wider than the table."""
        with self._lock:
            rows = self._rows()
            done = sum(times.ended is not None for times in self._times.values())
        elapsed = monotonic() - self._began
        title = f"{self._verb}: {done} of {len(self._status)} hosts, {elapsed:.0f} s"
        table = Table(box=None, pad_edge=False)
        for name in ("host", "status", "s"):
            table.add_column(name, no_wrap=True, justify="right" if name == "s" else "left")
        for host, status, seconds in rows:
            table.add_row(Text(host), Text(status, style=_colour(status)), Text(seconds))
        return Group(Text(title, style="bold"), table)

    def _rows(self) -> list[tuple[str, str, str]]:
        """What is being done and what went wrong first, then what waits, then what is done."""
        ordered = sorted(self._status, key=self._rank)
        return [(host, self._status[host], self._seconds(host)) for host in ordered[:MOST_ROWS]]

    def _rank(self, host: str) -> int:
        times = self._times.get(host)
        if times is None:
            return 1
        return 0 if times.ended is None or _colour(self._status[host]) else 2

    def _seconds(self, host: str) -> str:
        times = self._times.get(host)
        if times is None:
            return ""
        return f"{(monotonic() if times.ended is None else times.ended) - times.began:.1f}"


@dataclass
class _Times:
    """When work on a host began, and when it ended, if it did."""

    began: float
    ended: float | None = None


def _colour(status: str) -> str:
    """The colour of trouble; "" for none."""
    return _COLOURS.get(status.split(" ")[0].rstrip(":"), "")
