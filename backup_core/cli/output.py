"""Text for people: sizes, durations, tables, and progress on a terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from backup_core import log

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size(count: float) -> str:
    """A byte count with three significant digits."""
    unit = 0
    while count >= 999.5 and unit < len(_UNITS) - 1:  # so that no count is rounded to 1e+03
        count /= 1024
        unit += 1
    return f"{count:.0f} B" if unit == 0 else f"{count:.3g} {_UNITS[unit]}"


def duration(length: timedelta) -> str:
    """A length of time in its two largest units."""
    seconds = max(0, round(length.total_seconds()))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02d}s"
    if seconds < 86400:
        return f"{seconds // 3600}h{seconds % 3600 // 60:02d}m"
    return f"{seconds // 86400}d{seconds % 86400 // 3600:02d}h"


def moment(time: datetime) -> str:
    """An instant in the local zone, to the second; one at the end of all time in its own."""
    with suppress(OverflowError):
        time = time.astimezone()
    return f"{time:%Y-%m-%d %H:%M:%S%z}"


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str] | str], *, right: Sequence[int] = ()
) -> Iterator[str]:
    """Yield aligned lines; a row that is a string stands across all columns."""
    cells = [list(heads), *(list(row) for row in rows if not isinstance(row, str))]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()

    yield line(heads)
    for row in rows:
        yield row if isinstance(row, str) else line(row)


@dataclass(frozen=True, kw_only=True)
class Reporter:
    """How a long command tells of a step, of the bytes to come and of bytes done."""

    step: Callable[[str], None]
    total: Callable[[int], None]
    advance: Callable[[int], None]


@contextmanager
def reporter(logger: logging.Logger) -> Iterator[Reporter]:
    """A progress bar where standard error is a terminal, a log line a step elsewhere."""
    if not sys.stderr.isatty():
        yield Reporter(
            step=lambda name: log.event(logger, log.INFO, name),
            total=lambda _: None,
            advance=lambda _: None,
        )
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield Reporter(
            step=lambda name: bar.update(task, description=name),
            total=lambda count: bar.update(task, total=count),
            advance=lambda count: bar.advance(task, count),
        )
