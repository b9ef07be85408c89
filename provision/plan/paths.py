"""Compare one object of a file system: its kind, owner, mode and bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from provision.content import Content, Resolve
from provision.errors import SecretError
from provision.plan.model import Action
from provision.resources.base import Entry
from provision.state import ABSENT, HostState, PathState

# From the content that is there (None: nothing) and what should be, to the lines of a diff; the
# last says whether what is there may hold secrets that nobody knows as such.
Diff = Callable[[str | None, Content, bool], tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What comparing takes: the host's state, secrets, and how a redacted diff is made."""

    state: HostState
    resolve: Resolve = field(repr=False)
    diff: Diff

    def path(self, path: str) -> PathState:
        """What is at a path."""
        return self.state.paths.get(path, ABSENT)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How one object differs from what it should be."""

    action: Action
    notes: tuple[str, ...] = ()
    diff: tuple[str, ...] = ()


def compare_entry(entry: Entry, comparison: Comparison) -> Difference | None:
    """Return how the object at the entry's path differs; None if it does not."""
    current = comparison.path(entry.path)
    if entry.kind == "absent":
        return None if current.kind == "absent" else Difference(action="delete")
    if entry.kind == "link":
        return _compare_link(entry, current)
    if current.kind not in (entry.kind, "absent"):
        return Difference(
            action="update", notes=(f"{entry.path} is a {_said(current.kind)}, not a {entry.kind}",)
        )
    return _compare_object(entry, current, comparison)


def compare_text(
    current: PathState, after: Content, comparison: Comparison, *, private: bool
) -> tuple[str, ...] | None:
    """Return the diff of a file's content, () if it differs but cannot be shown, None if equal.

    Raises SecretError if a secret in it is not at hand. `private` is for a file whose lines that go
    are not to be shown.
    """
    wanted = after.reveal(comparison.resolve)
    if current.kind == "file" and current.digest == sha256(wanted).hexdigest():
        return None
    return comparison.diff(_text(current), after, private)


def is_private(current: PathState) -> bool:
    """Whether others may not read it, so that it may hold secrets."""
    return current.kind == "file" and not int(current.mode or "0", 8) & 0o004


def metadata_notes(entry: Entry, current: PathState) -> tuple[str, ...]:
    """Say how owner, group and mode differ."""
    pairs = (
        ("owner", current.owner, entry.owner),
        ("group", current.group, entry.group),
        ("mode", current.mode, entry.mode),
    )
    return tuple(f"{what} {old} -> {new}" for what, old, new in pairs if new and old != new)


def _compare_link(entry: Entry, current: PathState) -> Difference | None:
    if current.kind == "link" and current.target == entry.target:
        return None
    if current.kind == "absent":
        return Difference(action="create", notes=(f"-> {entry.target}",))
    was = f"-> {current.target}" if current.kind == "link" else f"a {_said(current.kind)}"
    return Difference(action="update", notes=(f"{was} becomes -> {entry.target}",))


def _compare_object(entry: Entry, current: PathState, comparison: Comparison) -> Difference | None:
    try:
        diff = (
            None
            if entry.content is None
            else compare_text(current, entry.content, comparison, private=is_private(current))
        )
    except SecretError as error:
        return Difference(action="unknown", notes=(f"not compared: {error.message}",))
    if current.kind == "absent":
        made = f"{entry.kind}, {entry.owner}:{entry.group} {entry.mode}"
        return Difference(action="create", notes=(made,), diff=diff or ())
    notes = metadata_notes(entry, current)
    if diff is None and not notes:
        return None
    if diff == ():
        notes = (*notes, "content differs")
    return Difference(action="update", notes=notes, diff=diff or ())


def _text(current: PathState) -> str | None:
    """The content as text; None if there is no file; bytes that are no text are shown as such."""
    if current.kind != "file":
        return None
    return (current.content or b"").decode("utf-8", "backslashreplace")


def _said(kind: str) -> str:
    return {"other": "device, socket or pipe", "link": "symbolic link"}.get(kind, kind)
