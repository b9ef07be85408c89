"""Roles, environments and attribute files as Chef has them, with Chef's keys.

A file's name is the name of what is in it, so that a name that a run list mentions leads to the
file. What is wrong is reported and left out, since one look should show all that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from provision.errors import InputError
from provision.kinds import LINES, TEXT
from provision.layers import Layers, Level, Report, read_layers
from provision.reading import closed_map, open_map, problem
from provision.run_list import RunList, read_run_list
from provision.source import Node, Origin
from provision.suggestion import did_you_mean

DEFAULT_ENVIRONMENT = "_default"
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_ATTRIBUTES = ("default_attributes", "override_attributes")
_HEAD = ("name", "description")


@dataclass(frozen=True, kw_only=True)
class Role:
    """A role; `run_lists` are by environment, and `_default` is for all others."""

    name: str
    description: str
    run_lists: Mapping[str, RunList]
    layers: Layers
    origin: Origin

    def run_list(self, environment: str) -> RunList:
        """Return the run list that the role has in an environment."""
        return self.run_lists.get(environment, self.run_lists[DEFAULT_ENVIRONMENT])


@dataclass(frozen=True, kw_only=True)
class Environment:
    """An environment: the attributes that its hosts share."""

    name: str
    description: str
    layers: Layers
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class AttributeFile:
    """Attributes of all hosts."""

    name: str
    layers: Layers


def read_role(node: Node, name: str, report: Report) -> Role:
    """Read the role of the file `name`; raises InputError where nothing can be made of it."""
    fields = closed_map(node, f"role {name}", (*_HEAD, "run_list", "env_run_lists", *_ATTRIBUTES))
    return Role(
        name=_name(fields, node, name),
        description=_description(fields),
        run_lists=_run_lists(fields, report),
        layers=read_layers(fields, "role", name, report),
        origin=node.origin,
    )


def read_environment(node: Node, name: str, report: Report) -> Environment:
    """Read the environment of the file `name`; raises InputError as `read_role` does."""
    fields = closed_map(node, f"environment {name}", (*_HEAD, *_ATTRIBUTES))
    _name(fields, node, name)
    if name == DEFAULT_ENVIRONMENT:
        hint = "Attributes of all hosts stand in roles/attributes/."
        raise problem(node.origin, "name", f"{name} is the environment without attributes", hint)
    return Environment(
        name=name,
        description=_description(fields),
        layers=read_layers(fields, "environment", name, report),
        origin=node.origin,
    )


def read_attribute_file(node: Node, name: str, report: Report) -> AttributeFile:
    """Read the attribute file `name`; raises InputError as `read_role` does."""
    fields = closed_map(node, f"attributes {name}", ("description", *_ATTRIBUTES))
    _description(fields)
    level: Level = "file"
    return AttributeFile(name=name, layers=read_layers(fields, level, name, report))


def check_environments(roles: Iterable[Role], known: Iterable[str], report: Report) -> None:
    """Report run lists for environments that do not exist."""
    names = {*known, DEFAULT_ENVIRONMENT}
    for role in roles:
        for name in role.run_lists.keys() - names:
            at = f"role {role.name}: env_run_lists.{name}"
            hint = did_you_mean(name, names)
            report(problem(role.origin, at, f"there is no environment {name}", hint))


def _name(fields: Mapping[str, Node], node: Node, stem: str) -> str:
    written = fields.get("name")
    origin = node.origin if written is None else written.origin
    name = stem if written is None else TEXT.read(written, "name")
    if name != stem:
        hint = f"Rename the file, or write {stem}."
        raise problem(origin, "name", f"{name} is not the name of the file, {stem}", hint)
    if not _NAME.fullmatch(name):
        raise problem(origin, "name", f"{name!r} has more than letters, digits, - and _")
    return name


def _description(fields: Mapping[str, Node]) -> str:
    node = fields.get("description")
    return "" if node is None else LINES.read(node, "description")


def _run_lists(fields: Mapping[str, Node], report: Report) -> Mapping[str, RunList]:
    found: dict[str, RunList] = {DEFAULT_ENVIRONMENT: ()}
    run_list, by_environment = fields.get("run_list"), fields.get("env_run_lists")
    try:
        if run_list is not None:
            found[DEFAULT_ENVIRONMENT] = read_run_list(run_list)
        if by_environment is not None:
            found.update(_by_environment(by_environment, has_default=run_list is not None))
    except InputError as error:
        report(error)
    return found


def _by_environment(node: Node, *, has_default: bool) -> Mapping[str, RunList]:
    found = {
        key.text: read_run_list(value, f"env_run_lists.{key.text}")
        for key, value in open_map(node, "env_run_lists")
    }
    if (DEFAULT_ENVIRONMENT in found) == has_default:
        message = (
            f"{DEFAULT_ENVIRONMENT} is {'given as run_list, too' if has_default else 'missing'}"
        )
        hint = "Give the run list for all other environments once, as run_list."
        raise problem(node.origin, "env_run_lists", message, hint)
    return found
