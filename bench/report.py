"""The figures as tables for a terminal and as the Markdown of RESULTS.md.

A section keeps its place in the document until the same section is measured again, so each part of
the benchmark can be run alone.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from bench.growth import Growth
from bench.measure import Sample, middle
from bench.works import Series

OURS = "pitr"
TITLE = "# pitr measured"
INTRODUCTION = """\
Made by `make bench`. Times are medians in seconds; *ratio* is pitr / the other, smaller is faster;
*spread* is the fastest and slowest run of each; *processor* is user and system time of the
processes that are compared, not of servers, in seconds, and in the next column for each GiB. Memory
is the peak resident size. Pairs are pitr / the other. Both sides alternate, so that what else the
machine does strikes them alike."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One table: the heads of its columns, and its rows."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Section:
    """Figures that belong together, and what they were measured on."""

    title: str
    facts: Sequence[tuple[str, str]]
    explanation: str
    tables: Sequence[Figures]


def print_sections(sections: Sequence[Section]) -> None:
    """Print tables for a terminal."""
    console = Console(highlight=False)
    for section in sections:
        console.rule(section.title)
        for figures in section.tables:
            table = Table(*figures.heads)
            for row in figures.rows:
                table.add_row(*row)
            console.print(table)


def document(sections: Sequence[Section], before: str) -> str:
    """The whole document: new sections in place of those of the same title in `before`."""
    _, *kept = re.split(r"^## (.+)$", before, flags=re.MULTILINE)
    bodies = dict(zip(kept[::2], kept[1::2], strict=True))
    bodies |= {section.title: _body(section) for section in sections}
    parts = [
        TITLE,
        INTRODUCTION,
        *(f"## {title}\n\n{body.strip()}" for title, body in bodies.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _body(section: Section) -> str:
    blocks = ["\n".join(f"* {name}: {value}" for name, value in section.facts), section.explanation]
    for figures in section.tables:
        rows = [figures.heads, ["---"] * len(figures.heads), *figures.rows]
        blocks.append("\n".join(f"| {' | '.join(cells)} |" for cells in rows))
    return "\n\n".join(filter(None, blocks))


def compared(found: Sequence[Series], peer: str, *memory: str) -> Figures:
    """Two sides of the same work; `memory` names what a sample's two figures of memory are."""
    columns = ("data", "work", OURS, peer, "ratio", "spread", "processor", "a GiB", *memory)
    return Figures(heads=columns, rows=[_compared(series, peer) for series in found])


def several(found: Sequence[Series], tools: Sequence[str]) -> Figures:
    """More than two sides of the same work; the first is ours."""
    ours, *others = tools
    ratios = [f"{ours} / {other}" for other in others]
    columns = ("data", "work", *tools, *ratios, "spread", "processor")
    return Figures(heads=columns, rows=[_several(series, ours, others) for series in found])


def alone(found: Sequence[Series]) -> Figures:
    """What only we do."""
    columns = ("data", "work", "seconds", "spread", "processor", "memory")
    return Figures(heads=columns, rows=[_alone(series) for series in found])


def beside_all(found: Sequence[Series]) -> Figures:
    """One side beside all others; the ratio is that of the first to each."""
    rows = [row for series in found for row in _beside_all(series)]
    heads = ("data", "work", "by", "seconds", "ratio", "spread", "worker")
    return Figures(heads=heads, rows=rows)


def calls(found: Mapping[str, float]) -> Figures:
    """Calls of less than milliseconds."""
    rows = [[name, f"{seconds * 1000:.2f}"] for name, seconds in found.items()]
    return Figures(heads=("call", "ms"), rows=rows)


def limits(found: Sequence[Series]) -> Figures:
    """What the machine does at most."""
    return Figures(
        heads=("limit", "data", "seconds", "MiB/s"), rows=[_limit(each) for each in found]
    )


def growth(found: Sequence[Growth]) -> Figures:
    """One side at several sizes: what matters is that the quotients stay the same."""
    heads = ("size", "work", "seconds", "a unit", "processor a unit", "largest process")
    return Figures(
        heads=heads,
        rows=[
            _growth(each, work, middle(samples))
            for each in found
            for work, samples in each.samples.items()
        ],
    )


def start_ups(found: Sequence[Series]) -> Figures:
    """Processes of milliseconds."""
    return Figures(
        heads=("start-up", "ms", "largest process"), rows=[_start(each) for each in found]
    )


def _compared(series: Series, peer: str) -> list[str]:
    names = [name for name in (OURS, peer) if name in series.samples]
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
        "-" if series.objects else " / ".join(_per_gib(series, sample) for sample in both),
        " / ".join(_megabytes(sample.largest) for sample in both) + " MB",
        " / ".join(_megabytes(sample.tree) for sample in both) + " MB",
    ]


def _several(series: Series, ours: str, others: Sequence[str]) -> list[str]:
    found = {name: middle(series.samples[name]) for name in (ours, *others)}
    return [
        series.data,
        series.work,
        *(f"{sample.wall:.2f}" for sample in found.values()),
        *(f"{found[ours].wall / found[other].wall:.3f}" for other in others),
        " / ".join(_spread(series.samples[name]) for name in found),
        " / ".join(f"{sample.cpu:.2f}" for sample in found.values()),
    ]


def _alone(series: Series) -> list[str]:
    (samples,) = series.samples.values()
    found = middle(samples)
    return [
        series.data,
        series.work,
        _time(series, found),
        _spread(samples),
        f"{found.cpu:.2f}",
        f"{_megabytes(found.largest)} MB",
    ]


def _beside_all(series: Series) -> Iterator[list[str]]:
    first = middle(next(iter(series.samples.values()))).wall
    for name, samples in series.samples.items():
        found = middle(samples)
        yield [
            *(series.data, series.work, name),
            *(f"{found.wall:.3f}", f"{first / found.wall:.2f}", _spread(samples)),
            _memory(found.largest),
        ]


def _growth(each: Growth, work: str, sample: Sample) -> list[str]:
    return [
        each.name,
        work,
        f"{sample.wall:.2f}",
        f"{sample.wall / each.amount:.2f} s/{each.unit}",
        f"{sample.cpu / each.amount:.2f} s/{each.unit}",
        _memory(sample.largest),
    ]


def _time(series: Series, sample: Sample) -> str:
    rate = series.size / sample.wall
    return f"{sample.wall:.2f} ({f'{rate:.0f}/s' if series.objects else _mebibytes(rate)})"


def _per_gib(series: Series, sample: Sample) -> str:
    return f"{sample.cpu / series.size * (1 << 30):.2f}"


def _mebibytes(rate: float) -> str:
    return f"{rate / (1 << 20):.0f} MiB/s"


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
    return [series.work, f"{found.wall * 1000:.1f}", _memory(found.largest)]


def _memory(size: int) -> str:
    return f"{_megabytes(size)} MB" if size else "-"
