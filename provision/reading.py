"""The shapes of YAML that all files share: closed maps, open maps, lists, and their errors.

A value that has the wrong shape is described and not repeated, since somebody may have pasted a
secret where none belongs.
"""

from __future__ import annotations

from collections.abc import Iterable

from provision.errors import InputError
from provision.source import Mapping, Node, Origin, Scalar, Sequence, wrong
from provision.suggestion import did_you_mean


def problem(origin: Origin, at: str, message: str, hint: str | None = None) -> InputError:
    """Return the error of an attribute's value, for the caller to raise."""
    return wrong(origin, f"{at}: {message}", hint)


def closed_map(node: Node, at: str, known: Iterable[str]) -> dict[str, Node]:
    """Return a map's values by key; raises InputError for a key that is not `known`."""
    names = tuple(known)
    values = {}
    for key, value in open_map(node, at):
        if key.text not in names:
            raise unknown_key(key, at, names)
        values[key.text] = value
    return values


def open_map(node: Node, at: str) -> tuple[tuple[Scalar, Node], ...]:
    """Return the items of a map; raises InputError for anything else."""
    if isinstance(node, Mapping):
        return node.items
    raise problem(node.origin, at, f"this is {described(node)}, not a map", empty_hint(node))


def items_of(node: Node, at: str) -> tuple[Node, ...]:
    """Return the items of a list; raises InputError for anything else."""
    if isinstance(node, Sequence):
        return node.items
    raise problem(node.origin, at, f"this is {described(node)}, not a list", empty_hint(node, "[]"))


def unknown_key(key: Scalar, at: str, known: Iterable[str]) -> InputError:
    """Return the error of a key that does not exist there."""
    place = f"{at}.{key.text}" if at else key.text
    hint = did_you_mean(key.text, known)
    if ":" in key.text:
        hint = "A colon between key and value is followed by a blank."
    return wrong(key.origin, f"{place} does not exist", hint)


def described(node: Node) -> str:
    """Say what was written without repeating it."""
    if isinstance(node, Mapping):
        return "a map"
    if isinstance(node, Sequence):
        return "a list"
    if node.value is None:
        return "empty" if node.is_empty else "null"
    if isinstance(node.value, bool):
        return "true or false"
    return "a text" if isinstance(node.value, str) else "a number"


def empty_hint(node: Node, instead: str = "{}") -> str | None:
    """Return what to write for what is empty, where nothing at all was written."""
    if isinstance(node, Scalar) and node.is_empty:
        return f"Write {instead} for none."
    return None
