"""The live table, and the only place of provision that knows rich.

Hosts that are done without trouble leave the table when it would grow longer than the terminal.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

MOST_ROWS = 20
_COLOURS = {"failed": "red", "rolled": "red", "refused": "red", "unreachable": "magenta"}


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
        self._status = dict.fromkeys(hosts, "waits")
        self._ended: dict[str, float] = {}

    def tell(self, host: str, status: str, *, done: bool = True) -> None:
        """Say what a host does, or how it ended."""
        with self._lock:
            self._status[host] = status
            if done:
                self._ended[host] = monotonic() - self._began

    def render(self) -> Table:
        """Draw it."""
        with self._lock:
            rows = self._rows()
            done = len(self._ended)
        title = f"{self._verb}: {done} of {len(self._status)} hosts, {self._elapsed():.0f} s"
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for name in ("host", "status", "s"):
            table.add_column(name, no_wrap=True, justify="right" if name == "s" else "left")
        for host, status, seconds in rows:
            colour = _COLOURS.get(status.split(" ")[0].rstrip(":"), "")
            table.add_row(Text(host), Text(status, style=colour), Text(seconds))
        return table

    def _rows(self) -> list[tuple[str, str, str]]:
        """Those that are not done first; of those that are, as many as fit."""
        ordered = sorted(self._status, key=lambda host: host in self._ended)
        return [
            (host, self._status[host], f"{self._ended[host]:.1f}" if host in self._ended else "")
            for host in ordered[:MOST_ROWS]
        ]

    def _elapsed(self) -> float:
        return monotonic() - self._began
