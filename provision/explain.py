"""Where a host's attribute comes from: what each layer says, on which line, and who wins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from provision.attributes import LayerValue, Resolved
from provision.errors import UsageError
from provision.kinds import Kind, MapKind
from provision.layers import RESET, path_text
from provision.schema import ROOT, Attribute, Merge, Path, RecordsLine, Section, SectionLine
from provision.suggestion import did_you_mean
from provision.values import shown

# wins and adds make the value; overruled and forgotten do not; forgets is a null.
Verdict = Literal["wins", "adds", "overruled", "forgets", "forgotten"]


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one layer says; `origin` "" is the schema itself."""

    layer: str
    value: str
    origin: str
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """An attribute: its value, and what each layer said, the lowest first."""

    path: str
    value: str
    kind: str
    merge: Merge
    doc: str
    said: tuple[Said, ...]


_MARKS: Mapping[Verdict, str] = {
    "wins": "*",
    "adds": "+",
    "overruled": " ",
    "forgets": "-",
    "forgotten": " ",
}
_LIST_OF_MAPS: Kind[object] = Kind(text="list of maps", read=lambda node, _: node)


def explain(resolved: Resolved, path: str) -> tuple[Explanation, ...]:
    """Explain an attribute, or each one below a section, a map or a list of maps.

    Raises UsageError for a path that the schema does not have.
    """
    every = tuple(_explanations(resolved, ROOT, ()))
    found = tuple(each for each in every if f"{each.path}.".startswith(f"{path}."))
    if not found:
        hint = did_you_mean(path, (each.path for each in every))
        raise UsageError(f"there is no attribute {path}", hint=hint)
    return found


def format_explanations(explanations: Iterable[Explanation]) -> str:
    """Write explanations for people: the value, then a line a layer.

    A star marks the layer that wins, a plus those whose items are all in the value, and a minus a
    null, which forgets what stands before it.
    """
    return "\n".join(_formatted(each) for each in explanations)


def _formatted(explanation: Explanation) -> str:
    rows = [
        (_MARKS[said.verdict], said.layer, said.value, said.origin) for said in explanation.said
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = (_line(row, widths) for row in rows)
    return "\n".join((f"{explanation.path}: {explanation.value}", explanation.doc, *lines, ""))


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, (*widths, 0), strict=True))
    return f"  {'  '.join(cells).rstrip()}"


def _explanations(resolved: Resolved, section: Section, above: Path) -> Iterator[Explanation]:
    for name, line in section.lines.items():
        path = (*above, name)
        match line:
            case SectionLine():
                yield from _explanations(resolved, line.section, path)
            case RecordsLine():
                yield from _of_records(resolved, line, path)
            case Attribute(merge="merge"):
                yield from _of_map(resolved, line, path)
            case Attribute():
                default = _schema_says(section.defaults[name], line)
                yield _explanation(resolved, line, path, default)


def _of_map(resolved: Resolved, line: Attribute, path: Path) -> Iterator[Explanation]:
    keys = _below(resolved, path)
    for key in keys:
        kind = line.kind.item if isinstance(line.kind, MapKind) else line.kind
        entry = Attribute(kind=kind, doc=line.doc)
        yield _explanation(resolved, entry, key, None)
    if not keys:
        yield _explanation(resolved, line, path, "{}")


def _of_records(resolved: Resolved, records: RecordsLine, path: Path) -> Iterator[Explanation]:
    keys = _below(resolved, path)
    for key in keys:
        line = records.record.lines[key[-1]]
        if isinstance(line, Attribute):
            default = _schema_says(records.record.defaults[key[-1]], line)
            yield _explanation(resolved, line, key, default)
    if not keys:
        empty = Attribute(kind=_LIST_OF_MAPS, doc=records.doc, merge="by_name")
        yield _explanation(resolved, empty, path, "[]")


def _below(resolved: Resolved, path: Path) -> list[Path]:
    """What was ever said below a path; sorted, so that what belongs together stands together."""
    found = (each for each in resolved.provenance if each[: len(path)] == path and each != path)
    return sorted(found)


def _schema_says(default: object, line: Attribute) -> str | None:
    if line.required:
        return None
    if default is None and line.derived:
        return f"from {line.derived}"
    return "none" if default is None else shown(default)


def _explanation(
    resolved: Resolved, line: Attribute, path: Path, default: str | None
) -> Explanation:
    values = resolved.provenance.get(path, ())
    said = [_said(value, verdict) for value, verdict in zip(values, _verdicts(values), strict=True)]
    given = resolved.given.get(path)
    if default is not None:
        verdict: Verdict = "wins" if given is None else "overruled"
        said.insert(0, Said(layer="schema", value=default, origin="", verdict=verdict))
    return Explanation(
        path=path_text(path),
        value=(default or "not set") if given is None else shown(given.value),
        kind=line.kind.text,
        merge=line.merge,
        doc=line.doc,
        said=tuple(said),
    )


def _verdicts(values: tuple[LayerValue, ...]) -> list[Verdict]:
    """Judge from the top: above the highest null the highest wins, or all add."""
    verdicts: list[Verdict] = []
    forgotten = won = False
    for value in reversed(values):
        if forgotten:
            verdicts.append("forgotten")
        elif value.given.value is RESET:
            verdicts.append("forgets")
            forgotten = True
        elif value.given.appends:
            verdicts.append("adds")
        else:
            verdicts.append("overruled" if won else "wins")
            won = True
    return verdicts[::-1]


def _said(value: LayerValue, verdict: Verdict) -> Said:
    given = value.given
    return Said(
        layer=str(value.layer),
        value="null" if given.value is RESET else shown(given.value),
        origin=str(given.origin),
        verdict=verdict,
    )
