"""What somebody else changed: a host held against the journal of its last apply; pure.

The roles have no say here. A role that was changed and not applied yet is no drift, and what was
changed by hand on the host is, whether or not the roles agree with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from provision.state import ABSENT, Applied, HostState, PathState

Kind = Literal["changed", "missing", "never_applied", "interrupted", "server"]


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One thing on a host that is not as the last apply left it."""

    host: str
    kind: Kind
    path: str = ""
    notes: tuple[str, ...] = ()


def drift_of(host: str, state: HostState, warnings: tuple[str, ...]) -> tuple[Drift, ...]:
    """Return what has drifted; `warnings` are the plan's words about the running server."""
    if state.journal is None:
        return (Drift(host=host, kind="never_applied"),)
    found: list[Drift] = []
    if state.interrupted:
        found.append(Drift(host=host, kind="interrupted", notes=("an apply ended in the middle",)))
    for entry in state.journal.resources:
        for each in entry.objects:
            found += _drifted(host, each, state.paths.get(each.path, ABSENT))
    return (*found, *(Drift(host=host, kind="server", notes=(text,)) for text in warnings))


def _drifted(host: str, was: Applied, now: PathState) -> Iterator[Drift]:
    if now.kind == "absent":
        yield Drift(host=host, kind="missing", path=was.path)
        return
    notes = tuple(_differences(was, now))
    if notes:
        yield Drift(host=host, kind="changed", path=was.path, notes=notes)


def _differences(was: Applied, now: PathState) -> Iterator[str]:
    if was.kind != now.kind:
        yield f"a {was.kind} became a {now.kind}"
        return
    pairs = (
        ("owner", was.owner, now.owner),
        ("group", was.group, now.group),
        ("mode", was.mode, now.mode),
        ("target", was.target, now.target),
    )
    for what, old, new in pairs:
        if old and old != new:
            yield f"{what} {old} -> {new}"
    if was.digest and was.digest != now.digest:
        yield "content changed"
