"""All that one host should be, in the order in which it is made so.

The order is by phase, and within a phase that of the recipes: a directory stands before what is in
it because its recipe says so. Two recipes that claim one path are a mistake in the roles that no
host should find out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from provision.errors import InputError
from provision.resources.base import PHASES, Resource
from provision.resources.envdir import Envdir


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """The resources of one host."""

    host: str
    resources: tuple[Resource, ...]

    @classmethod
    def of(cls, host: str, resources: Iterable[Resource]) -> Catalog:
        """Put resources in order; equal ones count once, contradictions raise InputError."""
        unique: dict[str, Resource] = {}
        for resource in resources:
            if unique.setdefault(resource.id, resource) != resource:
                _refuse(host, resource.id, unique[resource.id], resource)
        _check_paths(host, unique.values())
        ordered = sorted(unique.values(), key=lambda resource: PHASES.index(resource.phase))
        return cls(host=host, resources=tuple(ordered))


def paths_of(resource: Resource) -> tuple[str, ...]:
    """The paths that belong to a resource, for the journal: an envdir's generations are one."""
    if isinstance(resource, Envdir):
        return (resource.name, resource.store)
    return tuple(entry.path for entry in resource.entries())


def _check_paths(host: str, resources: Iterable[Resource]) -> None:
    owners: dict[str, Resource] = {}
    for resource in resources:
        for path in paths_of(resource):
            if owners.setdefault(path, resource) is not resource:
                _refuse(host, path, owners[path], resource)


def _refuse(host: str, what: str, first: Resource, second: Resource) -> None:
    raise InputError(
        f"host {host}: {what} is described differently by recipe {first.origin.recipe}"
        f" and recipe {second.origin.recipe}",
        hint="Two recipes cannot manage one object; give one of them another path.",
    )
