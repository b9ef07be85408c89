"""What one source says of the attributes: a role, an environment, an attribute file or a host.

A source is checked when its file is read, once for all hosts, and kept flat, by path: merging is
then a matter of looking up. So a wrong value is found even where a higher layer hides it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from provision.errors import InputError
from provision.kinds import MapKind
from provision.reading import empty_hint, items_of, open_map, problem, unknown_key
from provision.schema import ROOT, Attribute, Path, RecordsLine, Section, SectionLine
from provision.source import Node, Origin, Scalar, wrong

Family = Literal["default", "override"]
Level = Literal["file", "environment", "role", "node"]
FAMILIES: tuple[Family, ...] = ("default", "override")

Report = Callable[[InputError], None]


class Reset(Enum):
    """`null`: forget what the layers below say, so that the schema's default is back."""

    RESET = "null"


RESET = Reset.RESET


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerName:
    """Which layer: `name` is the file's, environment's, role's or host's."""

    family: Family
    level: Level
    name: str

    def __str__(self) -> str:
        return f"{self.family} · {self.level} {self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """A value as one layer gives it, or RESET; `attribute` is the path that the schema has."""

    value: object
    origin: Origin
    attribute: Path
    appends: bool = False


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer: values by path, in the order written."""

    name: LayerName
    given: Mapping[Path, Given]


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Both layers of one source."""

    default: Layer
    override: Layer


def read_layers(fields: Mapping[str, Node], level: Level, name: str, report: Report) -> Layers:
    """Read `default_attributes` and `override_attributes`, where they are given.

    Every error is reported, and what is wrong is left out.
    """
    default, override = (
        read_layer(
            fields.get(f"{family}_attributes"),
            LayerName(family=family, level=level, name=name),
            report,
        )
        for family in FAMILIES
    )
    return Layers(default=default, override=override)


def read_layer(node: Node | None, name: LayerName, report: Report) -> Layer:
    """Read one layer; every error is reported, and what is wrong is left out."""
    given: dict[Path, Given] = {}
    if node is not None:
        try:
            _check_written(node, f"{name.family}_attributes")
            for path, value in _Reader(report).section(node, ROOT, ()):
                given[path] = value
        except InputError as error:
            report(error)
    return Layer(name=name, given=given)


def path_text(path: Path) -> str:
    """Write a path as `explain` takes it."""
    return ".".join(path)


Found = Iterator[tuple[Path, Given]]


class _Reader:
    """Walks a map along the schema."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def section(self, node: Node, section: Section, above: Path) -> Found:
        for key, value in open_map(node, path_text(above) or "attributes"):
            line = section.lines.get(key.text)
            path = (*above, key.text)
            if line is None:
                self._report(unknown_key(key, path_text(above), section.lines))
                continue
            try:
                yield from self._line(value, line, path)
            except InputError as error:
                self._report(error)

    def _line(self, node: Node, line: Attribute | SectionLine | RecordsLine, path: Path) -> Found:
        if is_null(node, path_text(path)):
            yield path, Given(value=RESET, origin=node.origin, attribute=path)
        elif isinstance(line, SectionLine):
            yield from self.section(node, line.section, path)
        elif isinstance(line, RecordsLine):
            yield from self._records(node, line.record, path)
        elif isinstance(line.kind, MapKind):
            yield from self._map(node, line.kind, path)
        else:
            yield path, _given(node, line, path, path)

    def _map(self, node: Node, kind: MapKind[object], path: Path) -> Found:
        seen: set[str] = set()
        at = path_text(path)
        for key, value in open_map(node, at):
            try:
                name = kind.key(key, at)
                if name in seen:
                    raise problem(key.origin, at, f"{name} is there already")
            except InputError as error:
                self._report(error)
                continue
            seen.add(name)
            yield from self._entry(value, kind, path, name)

    def _entry(self, node: Node, kind: MapKind[object], path: Path, name: str) -> Found:
        at = path_text((*path, name))
        try:
            value = RESET if is_null(node, at) else kind.item.read(node, at)
        except InputError as error:
            self._report(error)
            return
        yield (*path, name), Given(value=value, origin=node.origin, attribute=path)

    def _records(self, node: Node, record: Section, path: Path) -> Found:
        seen: set[str] = set()
        for item in items_of(node, path_text(path)):
            try:
                name = _name_of(item, record, path)
                if name in seen:
                    raise problem(item.origin, path_text(path), f"{name} is there already")
                seen.add(name)
                yield from self._record(item, record, path, name)
            except InputError as error:
                self._report(error)

    def _record(self, node: Node, record: Section, path: Path, name: str) -> Found:
        for key, value in open_map(node, path_text(path)):
            line, at = record.lines.get(key.text), (*path, name, key.text)
            if not isinstance(line, Attribute):
                self._report(unknown_key(key, path_text((*path, name)), record.lines))
                continue
            try:
                if is_null(value, path_text(at)):
                    yield at, Given(value=RESET, origin=value.origin, attribute=path)
                else:
                    yield at, _given(value, line, at, path)
            except InputError as error:
                self._report(error)


def is_null(node: Node, at: str) -> bool:
    """Whether null is written; raises InputError where nothing is, which YAML takes for null."""
    if not isinstance(node, Scalar) or node.value is not None:
        return False
    if node.is_empty:
        hint = "Write null to go back to the schema's default, or {} for nothing more."
        raise problem(node.origin, at, "this has no value", hint)
    return True


def _check_written(node: Node, at: str) -> None:
    if isinstance(node, Scalar) and node.value is None:
        raise wrong(node.origin, f"{at} has no value", empty_hint(node))


def _given(node: Node, line: Attribute, path: Path, attribute: Path) -> Given:
    return Given(
        value=line.kind.read(node, path_text(path)),
        origin=node.origin,
        attribute=attribute,
        appends=line.merge == "append_unique",
    )


def _name_of(node: Node, record: Section, path: Path) -> str:
    line = record.lines["name"]
    names = [value for key, value in open_map(node, path_text(path)) if key.text == "name"]
    if not names or not isinstance(line, Attribute):
        raise problem(node.origin, path_text(path), "this has no name", "Each item needs a name.")
    return str(line.kind.read(names[0], path_text((*path, "name"))))
