"""What all drawings share: lanes above a time axis, each an SVG as wide as the window.

Horizontal places are percentages and heights are pixels, so that no text is ever scaled. Everything
that is drawn says in a title what it is; what a lane says as a whole is its label, and the page has
the same facts in tables, for those who cannot see or hover.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from backup_core.report.html import Content, Markup, join, tag
from backup_core.report.scale import Mark, Scale, marks
from backup_core.report.words import moment

_EDGE = 5.0


def patterns() -> Markup:
    """The hatching of what is lost, once in a page: it is told from the rest without colours."""
    line = tag("path", d="M-1,1 l2,-2 M0,6 l6,-6 M5,7 l2,-2", class_="hatching")
    pattern = tag("pattern", line, id="lost", width="6", height="6", patternUnits="userSpaceOnUse")
    return tag(
        "svg", tag("defs", pattern), width="0", height="0", aria_hidden="true", class_="defs"
    )


def lane(name: Content, drawing: Markup, *, kind: str = "") -> Markup:
    """A row of a figure: its name, and what is drawn."""
    return tag("div", tag("div", name, class_="name"), drawing, class_=f"lane {kind}".strip())


def canvas(
    scale: Scale, height: int, label: str, *content: Content, now: datetime | None = None
) -> Markup:
    """The drawing of a lane, with the marks of the axis behind it and the present before it."""
    grid = [_upright(scale.place(mark.time), height, "grid") for mark in marks(scale)]
    present = _upright(scale.place(now), height, "now") if now is not None else None
    drawn = join(grid, *content, present)
    return tag(
        *("svg", drawn),
        role="img",
        aria_label=label,
        width="100%",
        height=str(height),
    )


def axis(scale: Scale) -> Markup:
    """The lane of the axis: every other label is left out where there is no room."""
    found = marks(scale)
    texts = [_label(scale, mark, minor=bool(at % 2)) for at, mark in enumerate(found)]
    years = sorted({scale.begin.year, scale.end.year})
    title = f"{'-'.join(map(str, years))}, UTC"
    drawing = tag("svg", texts, aria_hidden="true", width="100%", height="22")
    return lane(title, drawing, kind="axis")


def _label(scale: Scale, mark: Mark, *, minor: bool) -> Markup:
    place = scale.place(mark.time)
    anchor = "start" if place < _EDGE else "end" if place > 100 - _EDGE else "middle"
    return tag(
        *("text", mark.label),
        x=percent(place),
        y="15",
        text_anchor=anchor,
        class_="minor" if minor else None,
    )


def bar(
    scale: Scale, begin: datetime, end: datetime, *, y: float, height: float, kind: str, title: str
) -> Markup:
    """A stretch of time as a bar; what is too short to be seen is drawn by its outline."""
    left, right = scale.place(begin), scale.place(end)
    return tag(
        *("rect", tag("title", title)),
        x=percent(left),
        y=f"{y:g}",
        width=percent(max(0.0, right - left)),
        height=f"{height:g}",
        rx="2",
        class_=kind,
    )


def sign(scale: Scale, time: datetime, *, y: float, shape: str, kind: str, title: str) -> Markup:
    """A small drawing at a moment; `shape` is a path around 0,0."""
    path = tag("path", tag("title", title), d=shape, class_=kind)
    return tag("svg", path, x=percent(scale.place(time)), y=f"{y:g}", class_="sign")


def percent(value: float) -> str:
    """A place as an attribute."""
    return f"{value:.3f}".rstrip("0").rstrip(".") + "%"


def span_title(begin: datetime, end: datetime) -> str:
    """From when to when."""
    return f"{moment(begin)} to {moment(end)} UTC"


def legend(entries: Iterable[tuple[str, str]]) -> Markup:
    """What each kind of bar means: pairs of its class and words."""
    items = []
    for kind, text in entries:
        box = tag("rect", x="1", y="1", width="14", height="10", rx="2", class_=kind)
        swatch = tag("svg", box, width="16", height="12", aria_hidden="true")
        items.append(tag("li", swatch, text))
    return tag("ul", items, class_="legend")


def _upright(place: float, height: int, kind: str) -> Markup:
    x = percent(place)
    return tag("line", x1=x, x2=x, y1="0", y2=str(height), class_=kind)
