"""The figures as a table for a terminal and as the Markdown of RESULTS.md."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from bench.measure import Sample, middle
from bench.works import Series

OURS = "pitr"
PEER = "pgBackRest"
HEADS = ("data", "work", OURS, PEER, "ratio", "spread", "processor", "largest process", "all")
EXPLANATION = """\
Times are medians in seconds; *ratio* is pitr / pgBackRest, smaller is faster; *spread* is the
fastest and slowest run of each; *processor* is user and system time of all processes. Memory is
the peak resident size of the largest process and of the whole process tree. Pairs are
pitr / pgBackRest. Every run has two workers, page checksums, durable writes and a warm page cache;
backups include the proof that archiving works, and the checkpoint at their start is immediate."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that one run of the benchmark found."""

    machine: Sequence[tuple[str, str]]
    conditions: Sequence[str]
    compared: Sequence[Series]
    limits: Sequence[Series]
    start_up: Sequence[Series]


def print_results(results: Results) -> None:
    """Print tables on a terminal, Markdown elsewhere."""
    if not sys.stdout.isatty():
        print(markdown(results))
        return
    console = Console(highlight=False)
    for heads, rows in _tables(results):
        table = Table(*heads)
        for row in rows:
            table.add_row(*row)
        console.print(table)


def markdown(results: Results) -> str:
    """The whole document."""
    lines = ["# pitr beside pgBackRest", "", "Made by `make bench`.", ""]
    lines += [f"* {name}: {value}" for name, value in results.machine]
    lines += [f"* {condition}" for condition in results.conditions]
    lines += ["", EXPLANATION]
    for heads, rows in _tables(results):
        lines += ["", _row(heads), _row(["---"] * len(heads)), *map(_row, rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _tables(results: Results) -> list[tuple[Sequence[str], list[list[str]]]]:
    return [
        (HEADS, [_compared(series) for series in results.compared]),
        (("limit", "data", "seconds", "MiB/s"), [_limit(series) for series in results.limits]),
        (("start-up", "ms", "largest process"), [_start(series) for series in results.start_up]),
    ]


def _compared(series: Series) -> list[str]:
    names = [name for name in (OURS, PEER) if name in series.samples]
    both = [middle(series.samples[name]) for name in names]
    ratio = f"{both[0].wall / both[1].wall:.2f}" if len(both) == 2 else "-"
    return [
        series.data,
        series.work,
        *(_time(series, sample) for sample in both),
        *(["-"] * (2 - len(both))),
        ratio,
        " / ".join(_spread(series.samples[name]) for name in names),
        " / ".join(f"{sample.cpu:.2f}" for sample in both),
        " / ".join(_megabytes(sample.largest) for sample in both) + " MB",
        " / ".join(_megabytes(sample.tree) for sample in both) + " MB",
    ]


def _time(series: Series, sample: Sample) -> str:
    return f"{sample.wall:.2f} ({series.size / sample.wall / (1 << 20):.0f} MiB/s)"


def _spread(samples: Sequence[Sample]) -> str:
    walls = [sample.wall for sample in samples]
    return f"{min(walls):.2f}-{max(walls):.2f}"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.0f}"


def _limit(series: Series) -> list[str]:
    (samples,) = series.samples.values()
    wall = middle(samples).wall
    return [series.work, series.data, f"{wall:.2f}", f"{series.size / wall / (1 << 20):.0f}"]


def _start(series: Series) -> list[str]:
    (samples,) = series.samples.values()
    found = middle(samples)
    return [series.work, f"{found.wall * 1000:.1f}", f"{_megabytes(found.largest)} MB"]
