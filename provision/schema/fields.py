"""How a line of the schema is written: an attribute of a kind, or a section of attributes.

The schema is frozen dataclasses, because a recipe then has every attribute with its type. What a
type cannot say (the words for people, bounds, how lists of several layers meet) stands in the
field's metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from types import MappingProxyType
from typing import Literal, TypeVar, cast

from provision.kinds import Kind, MapKind

T = TypeVar("T")
D = TypeVar("D")

# replace: the higher layer's value stands alone. append_unique: the items of all layers, the lower
# layers' first, each once. merge: a map by its keys. by_name: a list of maps, by their names.
Merge = Literal["replace", "append_unique", "merge", "by_name"]
Path = tuple[str, ...]

_LINE = "schema"


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """What the schema says of one attribute; `derived` says from what a default None is made."""

    kind: Kind[object]
    doc: str
    merge: Merge = "replace"
    required: bool = False
    derived: str = ""


@dataclass(frozen=True, kw_only=True)
class SectionLine:
    """A section of the schema, and what it is about."""

    section: Section
    doc: str


@dataclass(frozen=True, kw_only=True)
class RecordsLine:
    """A list of maps that are merged by their names."""

    record: Section
    doc: str


Line = Attribute | SectionLine | RecordsLine


@dataclass(frozen=True, kw_only=True)
class Section:
    """The schema of a map: its lines and defaults by name, and the dataclass to make of them."""

    make: Callable[..., object]
    lines: Mapping[str, Line]
    defaults: Mapping[str, object]


def attribute(
    kind: Kind[T],
    *,
    default: D,
    doc: str,
    merge: Merge = "replace",
    required: bool = False,
    derived: str = "",
) -> T | D:
    """One attribute of a section.

    With `required` a layer has to set it, and the default stands where nothing uses it.
    """
    line = Attribute(kind=kind, doc=doc, merge=merge, required=required, derived=derived)
    return field(default=default, metadata={_LINE: line})


def open_map(kind: MapKind[T], *, doc: str) -> Mapping[str, T]:
    """An attribute with keys of the engineer's choice; layers are merged key by key."""
    line = Attribute(kind=kind, doc=doc, merge="merge")
    empty: Mapping[str, T] = MappingProxyType({})
    return field(default_factory=lambda: empty, metadata={_LINE: line})


def records(record: type[T], *, doc: str) -> tuple[T, ...]:
    """A list of maps with a `name` each; layers are merged record by record, key by key."""
    return field(default=(), metadata={_LINE: RecordsLine(record=schema_of(record), doc=doc)})


def section(cls: type[T], *, doc: str) -> T:
    """A section within a section."""
    return field(
        default_factory=cls, metadata={_LINE: SectionLine(section=schema_of(cls), doc=doc)}
    )


def schema_of(cls: type[object]) -> Section:
    """Return what a dataclass says of its fields."""
    found: tuple[Field[object], ...] = fields(cls)  # type: ignore[arg-type]
    return Section(
        make=cls,
        lines={each.name: each.metadata[_LINE] for each in found},
        defaults={each.name: _default(each) for each in found},
    )


def _default(each: Field[object]) -> object:
    if each.default is not MISSING:
        return each.default
    return cast("Callable[[], object]", each.default_factory)()
