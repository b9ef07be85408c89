"""YAML with its lines kept, and without its traps.

Everything that an engineer wrote is read through here: a value carries the file and the line where
it stands, so that an error, a plan and `explain` can name them. What readers of YAML disagree on
(`0640`, `on`, a date, a key given twice, tags, merge keys) is an error with the words to write
instead, since the same file also has to mean the same to people and to other tools. A loader that
builds Python's own dictionaries could give neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from provision.errors import InputError
from provision.scalars import ScalarTrapError, Value, plain

_LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = (
    yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
)
LONGEST = 8 << 20  # bytes of a file
DEEPEST = 32  # levels of nesting
MOST_ALIASED = 10_000  # values that aliases repeat
# Control characters, and line ends that only some readers of YAML know.
_UNREADABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, kw_only=True, order=True, slots=True)
class Origin:
    """The line of a file where something is written; lines count from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scalar:
    """A single value; `text` is it as written, `quoted` whether it is a text beyond doubt."""

    value: Value
    text: str
    origin: Origin
    quoted: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is written, which YAML takes for null."""
        return not self.quoted and self.text == ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    origin: Origin


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapping:
    """A map in the order written; keys are texts, and none is there twice."""

    items: tuple[tuple[Scalar, Node], ...]
    origin: Origin

    def get(self, key: str) -> Node | None:
        """Return what stands under a key; None if the key is not there."""
        return next((node for name, node in self.items if name.value == key), None)


Node = Scalar | Sequence | Mapping


def wrong(origin: Origin, message: str, hint: str | None = None) -> InputError:
    """Return the error that names the line, for the caller to raise."""
    return InputError(f"{origin}: {message}", hint=hint)


def load(path: Path, name: str = "") -> Node:
    """Read a file, which errors call `name` or by its path; raises InputError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    return parse(data, name or str(path))


def parse(data: bytes, file: str) -> Node:
    """Read the one document in `data`, null if there is none; raises InputError with the line."""
    text = _decoded(data, file)
    try:
        return _Composer(text, file).document()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, file) from None
    except yaml.YAMLError:
        raise InputError(f"{file}:1: this is not YAML") from None


def _decoded(data: bytes, file: str) -> str:
    if len(data) > LONGEST:
        raise InputError(f"{file}:1: the file is larger than {LONGEST >> 20} MiB")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = len(_LINE_END.findall(data[: error.start].decode("latin-1"))) + 1
        raise InputError(
            f"{file}:{line}: this is not UTF-8", hint="Save the file in UTF-8."
        ) from None
    found = _UNREADABLE.search(text)
    if found:
        line = len(_LINE_END.findall(text[: found.start()])) + 1
        raise InputError(
            f"{file}:{line}: the character U+{ord(found[0]):04X} must not stand in YAML as it is",
            hint="Take it out, or write its escape in double quotes.",
        )
    return text


class _Composer:
    """Builds nodes from the events of the parser."""

    def __init__(self, text: str, file: str) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)
        self._file = file
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        self._nodes = 0
        self._aliased = 0

    def document(self) -> Node:
        """Return the root of the only document."""
        next(self._events)  # the stream begins
        first = next(self._events)
        if not isinstance(first, yaml.DocumentStartEvent):
            return Scalar(value=None, text="", origin=Origin(file=self._file, line=1))
        if first.version or first.tags:
            raise wrong(self._origin(first), "a line that begins with % is not taken")
        root = self._node(next(self._events), 0)
        next(self._events)  # the document ends
        after = next(self._events)
        if isinstance(after, yaml.DocumentStartEvent):
            raise wrong(self._origin(after), "a second document begins here", "Use one file each.")
        return root

    def _node(self, event: yaml.Event, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            raise TypeError(f"{type(event).__name__} begins no value")
        origin = self._origin(event)
        if event.tag is not None:
            raise wrong(
                origin,
                f"the tag {event.tag} is not taken",
                "Leave it out; quotes make a text, and the schema knows the other types.",
            )
        if depth > DEEPEST:
            raise wrong(origin, f"this is nested more than {DEEPEST} levels deep")
        before = self._nodes
        self._nodes += 1
        if event.anchor:
            self._declare(event.anchor, origin)
        node = self._content(event, origin, depth)
        if event.anchor:
            self._anchors[event.anchor] = (node, self._nodes - before)
        return node

    def _content(self, event: yaml.NodeEvent, origin: Origin, depth: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event, origin)
        if isinstance(event, yaml.SequenceStartEvent):
            events = self._until(yaml.SequenceEndEvent)
            items = tuple(self._node(each, depth + 1) for each in events)
            return Sequence(items=items, origin=origin)
        return self._mapping(origin, depth)

    def _mapping(self, origin: Origin, depth: int) -> Mapping:
        items: dict[str, tuple[Scalar, Node]] = {}
        for event in self._until(yaml.MappingEndEvent):
            key = self._key(event, depth)
            if key.text in items:
                first = items[key.text][0].origin.line
                raise wrong(key.origin, f"the key {key.text} is in line {first} already")
            items[key.text] = (key, self._node(next(self._events), depth + 1))
        return Mapping(items=tuple(items.values()), origin=origin)

    def _key(self, event: yaml.Event, depth: int) -> Scalar:
        origin = self._origin(event)
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and not event.style:
            raise wrong(
                origin, "merge keys are not taken", "Put what is common into a role of its own."
            )
        key = self._node(event, depth + 1)
        if not isinstance(key, Scalar) or not isinstance(key.value, str):
            raise wrong(origin, "a key must be a text", "Write it in quotes.")
        return key

    def _alias(self, event: yaml.AliasEvent) -> Node:
        origin = self._origin(event)
        if event.anchor not in self._anchors:
            raise wrong(
                origin,
                f"no anchor &{event.anchor} stands before this",
                "A text that begins with * is written in quotes.",
            )
        found = self._anchors[event.anchor]
        if found is None:
            raise wrong(origin, f"*{event.anchor} stands within what it repeats")
        node, size = found
        self._nodes += size
        self._aliased += size
        if self._aliased > MOST_ALIASED:
            raise wrong(origin, f"aliases repeat more than {MOST_ALIASED} values")
        return node

    def _declare(self, anchor: str, origin: Origin) -> None:
        if anchor in self._anchors:
            raise wrong(origin, f"the anchor &{anchor} is there already")
        self._anchors[anchor] = None

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield event

    def _origin(self, event: yaml.Event) -> Origin:
        mark = event.start_mark
        return Origin(file=self._file, line=mark.line + 1 if mark else 1)


def _scalar(event: yaml.ScalarEvent, origin: Origin) -> Scalar:
    if event.style:
        return Scalar(value=event.value, text=event.value, origin=origin, quoted=True)
    try:
        return Scalar(value=plain(event.value), text=event.value, origin=origin)
    except ScalarTrapError as trap:
        raise wrong(origin, str(trap), trap.hint) from None


def _syntax_error(error: yaml.MarkedYAMLError, text: str, file: str) -> InputError:
    mark = error.problem_mark or error.context_mark
    number = mark.line + 1 if mark else 1
    lines = _LINE_END.split(text)
    line = lines[number - 1] if number <= len(lines) else ""
    where = Origin(file=file, line=min(number, len(lines)))
    return wrong(where, f"this is not YAML: {error.problem}", _syntax_hint(error, line))


def _syntax_hint(error: yaml.MarkedYAMLError, line: str) -> str | None:
    problem, context = error.problem or "", error.context or ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "Indent with blanks, not with tabs."
    if "alias" in context or "anchor" in context or "cannot start" in problem:
        return "A text that begins with * & @ % or ` is written in quotes."
    if "mapping values" in problem:
        return "A text with a colon and a blank in it is written in quotes."
    if "escape" in problem:
        return "In double quotes a backslash is doubled; in single quotes it is itself."
    if context.startswith("while parsing a block"):
        return "Look at the indentation of this line and of those before it."
    return None
