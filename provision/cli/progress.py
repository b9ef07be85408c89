"""What hosts are doing while they are worked on: a live table on a terminal, plain lines elsewhere.

Both go to standard error, so that a plan in JSON on standard output stays JSON.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Is told how far hosts are; safe to be called from several threads."""

    def tell(self, host: str, status: str, *, done: bool = True) -> None:
        """Say what a host does, or how it ended."""


@contextmanager
def progress(hosts: Sequence[str], *, verb: str, lines: bool) -> Iterator[Progress]:
    """Show how `hosts` get on with `verb`; without a terminal only with `lines`, one a host."""
    if not sys.stderr.isatty():
        yield _Lines() if lines else _Silent()
        return
    from provision.cli.live import live_table

    with live_table(hosts, verb) as table:
        yield table


class _Silent:
    def tell(self, host: str, status: str, *, done: bool = True) -> None:
        del host, status, done


class _Lines:
    def tell(self, host: str, status: str, *, done: bool = True) -> None:
        if done:
            print(f"{host}: {status}", file=sys.stderr, flush=True)
