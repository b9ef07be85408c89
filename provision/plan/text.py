"""The plan for people: what changes, once, with the hosts that it concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from provision.plan.groups import Group, effect_lines, groups, sentence
from provision.plan.model import Action, HostPlan, Plan

Paint = Callable[[str, str], str]

MARKS: dict[Action, str] = {
    "create": "+",
    "update": "~",
    "delete": "-",
    "skip": ".",
    "unknown": "?",
}
_COLOURS: dict[str, str] = {"+": "green", "~": "yellow", "-": "red", "?": "magenta", ".": "dim"}


def plain(text: str, _colour: str) -> str:
    """Paint nothing, for files and pipes."""
    return text


def text_of(plan: Plan, *, paint: Paint = plain) -> str:
    """Return the plan as text; `paint` colours a line for a terminal."""
    lines = [line for group in groups(plan) for line in _group_lines(group, paint)]
    lines += [line for host in plan.hosts for line in _host_lines(host, paint)]
    lines += effect_lines(plan.hosts)
    return "\n".join([*lines, sentence(plan)]) + "\n"


def _group_lines(group: Group, paint: Paint) -> Iterator[str]:
    change = group.change
    mark = MARKS[change.action]
    asked = f"  (recipe {change.origin.recipe})" if change.origin is not None else ""
    yield paint(f"{mark} {_title(change.id, change.path)}", _COLOURS[mark]) + asked
    yield f"    on {', '.join(group.hosts)}"
    for note in change.notes:
        yield f"    {note}"
    for line in change.diff:
        yield "    " + paint(line, _COLOURS.get(line[:1], ""))
    yield ""


def _title(resource_id: str, path: str) -> str:
    """The resource, and the path where it does not say so."""
    return resource_id if not path or path in resource_id else f"{resource_id} {path}"


def _host_lines(host: HostPlan, paint: Paint) -> Iterator[str]:
    if host.problem:
        yield paint(f"! {host.host}: {host.problem}", "red")
        if host.hint:
            yield f"    hint: {host.hint}"
    for warning in host.warnings:
        yield paint(f"! {host.host}: {warning}", "yellow")
    if host.orphans:
        yield f"! {host.host}: no longer in the roles, and there: {', '.join(host.orphans)}"
        yield "    hint: --prune removes them."
