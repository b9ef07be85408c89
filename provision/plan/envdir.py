"""Compare an envdir with the generation that is in force, and plan the next one.

Any difference makes a whole new generation: a variable that somebody changed by hand, added or
removed, a wrong mode. Its number is one more than the highest that exists, so that what an
interrupted apply left is never written into.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from provision.errors import SecretError
from provision.plan.model import Change
from provision.plan.paths import Comparison, compare_entry, compare_text
from provision.resources.base import Entry
from provision.resources.envdir import Envdir, link_target
from provision.state import ABSENT, PathState


def compare_envdir(envdir: Envdir, comparison: Comparison) -> Change | None:
    """Return the change that puts a new generation in force; None if the present one is right."""
    number = _current_number(envdir, comparison)
    store = Entry(path=envdir.store, kind="directory", group=envdir.group, mode="0750")
    following = envdir.generation(1 + max(_numbers(envdir, comparison), default=0))
    change = Change(
        id=envdir.id,
        action="create" if comparison.path(envdir.name).kind == "absent" else "update",
        resource=envdir,
        origin=envdir.origin,
        path=envdir.name,
        sensitive=any(content.sensitive for _, content in envdir.variables),
        entries=(store, *following),
        effects=envdir.notifies,
    )
    try:
        notes, diff = _differences(envdir, number, comparison)
    except SecretError as error:
        return replace(
            change, action="unknown", entries=(), notes=(f"not compared: {error.message}",)
        )
    wrong = compare_entry(store, comparison)
    if not notes and not diff and wrong is None:
        return None
    if wrong is not None and change.action != "create":
        notes = (*notes, f"{store.path}: {', '.join(wrong.notes)}")
    return replace(change, notes=notes, diff=diff)


def _differences(
    envdir: Envdir, number: int | None, comparison: Comparison
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Notes and diff; both empty if the generation is what it should be."""
    notes: list[str] = []
    diff: list[str] = []
    wanted = {} if number is None else {entry.path: entry for entry in envdir.generation(number)}
    found = _files(envdir, number, comparison)
    for name, content in envdir.variables:
        there = found.pop(name, ABSENT)
        lines = compare_text(there, content, comparison, private=content.sensitive)
        if lines is not None:
            diff += (f"@@ {name} @@", *lines[1:]) if lines else ()
            notes += [] if lines else [f"{name} differs"]
    for name in sorted(found):
        notes.append(f"{name} is not ours")
    if number is None:
        notes.append(_without_generation(comparison.path(envdir.name)))
    else:
        notes += _metadata(wanted, comparison)
    return tuple(notes), tuple(diff)


def _metadata(wanted: dict[str, Entry], comparison: Comparison) -> Iterator[str]:
    for path, entry in wanted.items():
        bare = replace(entry, content=None)
        difference = compare_entry(bare, comparison)
        if difference is not None and comparison.path(path).kind != "absent":
            yield f"{path}: {', '.join(difference.notes)}"


def _without_generation(current: PathState) -> str:
    if current.kind == "absent":
        return "the first generation"
    return f"a {current.kind} that is not a link to a generation is replaced"


def _current_number(envdir: Envdir, comparison: Comparison) -> int | None:
    current = comparison.path(envdir.name)
    if current.kind != "link":
        return None
    number = current.target.rpartition("/")[2]
    if not number.isdecimal() or current.target != link_target(envdir.generation_path(int(number))):
        return None
    return int(number)


def _numbers(envdir: Envdir, comparison: Comparison) -> Iterator[int]:
    """Every generation that exists."""
    prefix = f"{envdir.store}/"
    for path in comparison.state.paths:
        name = path.removeprefix(prefix)
        if path.startswith(prefix) and name.isdecimal():
            yield int(name)


def _files(envdir: Envdir, number: int | None, comparison: Comparison) -> dict[str, PathState]:
    root = envdir.name if number is None else envdir.generation_path(number)
    return {
        path.removeprefix(f"{root}/"): state
        for path, state in comparison.state.paths.items()
        if path.startswith(f"{root}/") and state.kind != "absent"
    }
