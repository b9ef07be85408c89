"""The drawing of growth: what is stored now, added up by when it came."""

from __future__ import annotations

from collections.abc import Sequence

from backup_core.report.drawing import axis, canvas, lane, legend
from backup_core.report.html import Markup, tag
from backup_core.report.model import Growth
from backup_core.report.scale import Scale
from backup_core.report.words import volume

_HEIGHT = 190
_PLOT = 176
_MOST_LINES = 4


def chart(points: Sequence[Growth], scale: Scale) -> Markup:
    """The figure: backups below, WAL above them."""
    top = max(point.backups + point.wal for point in points)
    steps = _round_sizes(top)
    high = max(top, steps[-1]) * 1.04
    areas = tag(
        "svg",
        _area(points, scale, high, with_wal=True, kind="grown wal"),
        _area(points, scale, high, with_wal=False, kind="grown backups"),
        viewBox="0 0 1000 1000",
        preserveAspectRatio="none",
        width="100%",
        height=str(_PLOT),
    )
    lines = [_line(step, high) for step in steps]
    last = points[-1]
    label = (
        f"Stored now: {volume(last.backups)} of base backups and {volume(last.wal)} of WAL; "
        "the drawing shows when they came"
    )
    name = [tag("strong", "Stored"), tag("span", "by when it came")]
    return tag(
        "figure",
        lane(name, canvas(scale, _HEIGHT, label, areas, lines)),
        axis(scale),
        legend((("grown backups", "base backups"), ("grown wal", "WAL"))),
        class_="history growth",
    )


def _area(
    points: Sequence[Growth], scale: Scale, high: float, *, with_wal: bool, kind: str
) -> Markup:
    """A staircase: nothing is known of the hours between two points."""
    path: list[str] = []
    below = 1000.0
    for point in points:
        x = 10 * scale.place(point.until)
        y = 1000 - 1000 * (point.backups + (point.wal if with_wal else 0)) / high
        path.append(f"{'L' if path else 'M'}{x:.1f},{below:.1f} L{x:.1f},{y:.1f}")
        below = y
    end = 10 * scale.place(scale.end)
    path.append(f"L{end:.1f},{below:.1f} L{end:.1f},1000 Z")
    return tag("path", d=" ".join(path), class_=kind)


def _line(size: int, high: float) -> tuple[Markup, Markup]:
    y = f"{_PLOT - _PLOT * size / high:.1f}"
    line = tag("line", x1="0", x2="100%", y1=y, y2=y, class_="level")
    return line, tag("text", volume(size), x="4", y=y, dy="-4", class_="size")


def _round_sizes(top: int) -> list[int]:
    """Sizes worth a line: the multiples of 1, 2, 5, 10, 20, 50, ... of the unit that fits."""
    unit = 1024 ** (max(0, top.bit_length() - 1) // 10)
    rounds = (unit * digit * 10**power for power in range(4) for digit in (1, 2, 5))
    step = next((each for each in rounds if top <= each * _MOST_LINES), unit)
    return [step * count for count in range(1, max(1, top // step) + 1)]
