"""Run lists: which recipes a host runs, through which roles, in Chef's order.

Depth first, in the order written, each role and each recipe once: a role that was already met is
passed over, which also ends loops. A role's attributes apply after those of the roles it includes,
so that the outer role wins (docs.chef.io, "About Run-lists").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from provision.errors import InputError
from provision.reading import described, items_of, problem
from provision.source import Node, Origin, Scalar, wrong
from provision.suggestion import did_you_mean

COOKBOOK = "pitr"
RECIPES = (
    "tooling",
    "archiving",
    "base_backup",
    "retention",
    "recovery",
    "drill",
    "logrotate",
    "monitoring",
)
_ITEM = re.compile(r"(recipe|role)\[([^\[\]]*)\]")
_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class RunListItem:
    """`recipe[pitr::NAME]` or `role[NAME]`."""

    kind: Literal["recipe", "role"]
    name: str
    origin: Origin

    def __str__(self) -> str:
        return f"role[{self.name}]" if self.kind == "role" else f"recipe[{COOKBOOK}::{self.name}]"


RunList = tuple[RunListItem, ...]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One item as it was met; `by` is who includes it, `skipped` whether it was met before."""

    depth: int
    item: RunListItem
    by: str
    skipped: bool = False


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """Recipes in the order in which they run; roles in the order in which attributes apply."""

    recipes: tuple[str, ...]
    roles: tuple[str, ...]
    trace: tuple[Step, ...]


def read_run_list(node: Node, at: str = "run_list") -> RunList:
    """Read a run list; raises InputError for an item that Chef has and we have not."""
    return tuple(_item(each, at) for each in items_of(node, at))


def expand(run_list: RunList, roles: Mapping[str, RunList], *, by: str) -> Expansion:
    """Expand a run list; `roles` has the run list that each role has in the host's environment.

    `by` is whose run list it is, for the trace and for errors. Raises InputError that names every
    role that is missing, and who includes it.
    """
    walk = _Walk(roles)
    walk.through(run_list, by, 0)
    if walk.missing:
        raise _missing_roles(walk.missing, roles)
    return Expansion(recipes=tuple(walk.recipes), roles=tuple(walk.roles), trace=tuple(walk.trace))


@dataclass
class _Walk:
    run_lists: Mapping[str, RunList]
    recipes: dict[str, None] = field(default_factory=dict)
    roles: list[str] = field(default_factory=list)
    met: set[str] = field(default_factory=set)
    trace: list[Step] = field(default_factory=list)
    missing: list[Step] = field(default_factory=list)

    def through(self, run_list: RunList, by: str, depth: int) -> None:
        for item in run_list:
            known = self.recipes if item.kind == "recipe" else self.met
            step = Step(depth=depth, item=item, by=by, skipped=item.name in known)
            self.trace.append(step)
            if item.kind == "recipe":
                self.recipes.setdefault(item.name)
            else:
                self._role(step)

    def _role(self, step: Step) -> None:
        name = step.item.name
        included = self.run_lists.get(name)
        if included is None:
            self.missing.append(step)
        elif not step.skipped:
            self.met.add(name)
            self.through(included, f"role {name}", step.depth + 1)
            self.roles.append(name)


def format_trace(expansion: Expansion) -> str:
    """Write the trace as a tree, a line an item."""
    return "".join(
        f"{'  ' * step.depth}{step.item}{'  (met before)' if step.skipped else ''}\n"
        for step in expansion.trace
    )


def _missing_roles(steps: list[Step], known: Iterable[str]) -> InputError:
    """One error for all of them, at the line of the first."""
    first, *others = steps
    more = [f"nor does {step.item}, included by {step.by} ({step.item.origin})" for step in others]
    message = f"{first.item}, included by {first.by}, does not exist"
    return wrong(
        first.item.origin, "; ".join((message, *more)), did_you_mean(first.item.name, known)
    )


def _item(node: Node, at: str) -> RunListItem:
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        message = f"this is {described(node)}, not an item of a run list"
        raise problem(node.origin, at, message, _forms())
    matched = _ITEM.fullmatch(node.value)
    if matched is None:
        raise problem(node.origin, at, f"{node.value!r} is not an item of a run list", _forms())
    kind, name = matched.groups()
    if "@" in name:
        hint = "Leave out the version: a checkout of this project has one of each recipe."
        raise problem(node.origin, at, f"{node.value} asks for a version", hint)
    if kind == "role":
        if not _NAME.fullmatch(name):
            hint = "A role's name has letters, digits, - and _."
            raise problem(node.origin, at, f"{name!r} is not the name of a role", hint)
        return RunListItem(kind="role", name=name, origin=node.origin)
    return RunListItem(kind="recipe", name=_recipe(name, node.origin, at), origin=node.origin)


def _recipe(name: str, origin: Origin, at: str) -> str:
    cookbook, colons, recipe = name.partition("::")
    if not colons:
        word = name if name in RECIPES else "NAME"
        hint = f"Write recipe[{COOKBOOK}::{word}]; without :: Chef takes it for a cookbook's name."
        raise problem(origin, at, f"recipe[{name}] names no recipe of a cookbook", hint)
    if cookbook != COOKBOOK:
        hint = f"The only cookbook is {COOKBOOK}."
        raise problem(origin, at, f"there is no cookbook {cookbook}", hint)
    if recipe not in RECIPES:
        hint_ = did_you_mean(recipe, RECIPES)
        raise problem(origin, at, f"there is no recipe {COOKBOOK}::{recipe}", hint_)
    return recipe


def _forms() -> str:
    return f"Write recipe[{COOKBOOK}::NAME] or role[NAME]."
