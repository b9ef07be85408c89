"""The schema as rows, from which the reference of attributes is generated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from provision.schema.fields import Attribute, Merge, Path, RecordsLine, Section, SectionLine
from provision.values import shown


@dataclass(frozen=True, kw_only=True)
class Row:
    """One attribute: `path` as it is written in `explain`, and the rest in words.

    A section has no kind, default or merging of its own.
    """

    path: str
    kind: str
    default: str
    merge: Merge | None
    doc: str

    @property
    def is_section(self) -> bool:
        """Whether this is a heading for the rows below it."""
        return self.merge is None


def rows_of(root: Section) -> tuple[Row, ...]:
    """Return a row for each section and attribute, in the schema's order."""
    return tuple(_rows(root, ()))


def _rows(section: Section, above: Path) -> Iterator[Row]:
    for name, line in section.lines.items():
        path = (*above, name)
        written = ".".join(path)
        match line:
            case SectionLine():
                yield Row(path=written, kind="", default="", merge=None, doc=line.doc)
                yield from _rows(line.section, path)
            case RecordsLine():
                yield Row(
                    path=written, kind="list of maps", default="[]", merge="by_name", doc=line.doc
                )
                yield from _rows(line.record, (*above, f"{name}[]"))
            case Attribute():
                yield Row(
                    path=written,
                    kind=line.kind.text,
                    default=_default(line, section.defaults[name]),
                    merge=line.merge,
                    doc=line.doc,
                )


def _default(line: Attribute, default: object) -> str:
    if line.required:
        return "required"
    if default is None:
        return f"from {line.derived}" if line.derived else "none"
    return shown(default)
