"""A project: all that the engineers wrote, read once, and each host's attributes from it.

It is made of files' bytes by name and not of a directory, so that a revision of git is read like
the working copy, without a checkout. All that is wrong is found in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from provision.attributes import Resolved, ladder, resolve
from provision.errors import InputError
from provision.inventory import Host, Inventory, read_inventory
from provision.layers import Layers, Report
from provision.roles import (
    AttributeFile,
    Environment,
    Role,
    check_environments,
    read_attribute_file,
    read_environment,
    read_role,
)
from provision.run_list import Expansion, expand
from provision.schema import Attributes
from provision.selection import Selectors, select
from provision.source import Node, parse, wrong

T = TypeVar("T")
Files = Mapping[str, bytes]

ROLES = "roles"
ENVIRONMENTS = "roles/environments"
ATTRIBUTES = "roles/attributes"
INVENTORY = "roles/inventory"
SUFFIXES = (".yml", ".yaml")
_FOLDERS = (ROLES, ENVIRONMENTS, ATTRIBUTES)


@dataclass(frozen=True, kw_only=True)
class Project:
    """Roles, environments, attribute files and the inventory, by name."""

    roles: Mapping[str, Role]
    environments: Mapping[str, Environment]
    attribute_files: Mapping[str, AttributeFile]
    inventory: Inventory


@dataclass(frozen=True, kw_only=True)
class ConfiguredHost:
    """A host, what it runs, and its attributes."""

    host: Host
    expansion: Expansion
    resolved: Resolved

    @property
    def attributes(self) -> Attributes:
        """The host's attributes, typed."""
        return self.resolved.attributes


def read_files(directory: Path) -> Files:
    """Return the files of a directory that belong to a project, by their names in it."""
    files = {}
    for folder in _FOLDERS:
        for path in sorted((directory / folder).glob("*")):
            name = f"{folder}/{path.name}"
            if belongs(name):
                try:
                    files[name] = path.read_bytes()
                except OSError as error:
                    raise InputError(f"cannot read {path}: {error.strerror}") from None
    return files


def belongs(name: str) -> bool:
    """Whether a file of that name, relative to the project, is one that a project is read from."""
    path = PurePosixPath(name)
    hidden = path.name.startswith(".")
    return not hidden and path.suffix in SUFFIXES and str(path.parent) in _FOLDERS


def load(directory: Path) -> Project:
    """Read the project in a directory; raises InputError, the first of all that is wrong."""
    return from_files(read_files(directory))


def from_files(files: Files) -> Project:
    """Make a project of files by name; raises InputError, the first of all that is wrong."""
    project, problems = survey(files)
    if problems or project is None:
        raise problems[0]
    return project


def survey(files: Files) -> tuple[Project | None, tuple[InputError, ...]]:
    """Return a project and all that is wrong with it, in the order of files and lines.

    What is wrong is left out of the project; None if it has no inventory.
    """
    return _Survey(files).result()


def configure(project: Project, host: Host) -> ConfiguredHost:
    """Return what a host runs, and with which attributes; raises InputError."""
    expansion = expansion_of(project, host)
    resolved = resolve(
        ladder(
            files=(each.layers for each in project.attribute_files.values()),
            environment=_environment_layers(project, host),
            roles=(project.roles[name].layers for name in expansion.roles),
            node=host.layers,
        )
    )
    if resolved.missing and expansion.recipes:
        path = resolved.missing[0]
        hint = "Set it in a role of the host's run list, or at the host."
        raise wrong(host.origin, f"{path} is not set for {host.name}", hint)
    return ConfiguredHost(host=host, expansion=expansion, resolved=resolved)


def configure_all(project: Project) -> tuple[tuple[ConfiguredHost, ...], tuple[InputError, ...]]:
    """Configure every host; what is wrong is said once, however many hosts it is wrong for."""
    hosts: list[ConfiguredHost] = []
    problems: dict[str, InputError] = {}
    for host in project.inventory.hosts.values():
        try:
            hosts.append(configure(project, host))
        except InputError as error:
            problems.setdefault(error.message, error)
    return tuple(hosts), tuple(problems.values())


def expansion_of(project: Project, host: Host) -> Expansion:
    """Expand a host's run list in its environment; raises InputError for roles that are missing."""
    roles = {name: role.run_list(host.environment) for name, role in project.roles.items()}
    return expand(host.run_list, roles, by=f"host {host.name}")


def choose(project: Project, selectors: Selectors) -> tuple[Host, ...]:
    """Return the hosts that are selected; raises UsageError as `select` does."""
    hosts = project.inventory.hosts.values() if selectors.roles else ()
    roles_of = {host.name: expansion_of(project, host).roles for host in hosts}
    return select(project.inventory, selectors, roles_of)


def _environment_layers(project: Project, host: Host) -> Layers | None:
    environment = project.environments.get(host.environment)
    return None if environment is None else environment.layers


class _Survey:
    """Reads all files and keeps what is wrong."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._problems: list[InputError] = []

    def result(self) -> tuple[Project | None, tuple[InputError, ...]]:
        attribute_files = self._folder(ATTRIBUTES, read_attribute_file)
        environments = self._folder(ENVIRONMENTS, read_environment)
        roles = self._folder(ROLES, read_role)
        check_environments(roles.values(), environments, self._report)
        inventory = self._inventory(environments)
        if inventory is None:
            return None, tuple(self._problems)
        project = Project(
            roles=roles,
            environments=environments,
            attribute_files=attribute_files,
            inventory=inventory,
        )
        return project, tuple(self._problems)

    def _folder(self, folder: str, read: Callable[[Node, str, Report], T]) -> Mapping[str, T]:
        found: dict[str, T] = {}
        for name in sorted(self._files):
            path = PurePosixPath(name)
            if str(path.parent) != folder or str(path.with_suffix("")) == INVENTORY:
                continue
            try:
                if path.stem in found:
                    raise InputError(f"{name}:1: {path.stem} is there with another suffix, too")
                found[path.stem] = read(parse(self._files[name], name), path.stem, self._report)
            except InputError as error:
                self._report(error)
        return found

    def _inventory(self, environments: Iterable[str]) -> Inventory | None:
        names = [f"{INVENTORY}{suffix}" for suffix in SUFFIXES]
        present = [name for name in names if name in self._files]
        try:
            if not present:
                hint = "Go to where roles/ is, or name that directory with --project."
                raise InputError(f"{names[0]}: there is none, and so there are no hosts", hint=hint)
            if len(present) > 1:
                hint = "Put all hosts into one of them."
                raise InputError(f"{' and '.join(present)}: one of them is enough", hint=hint)
            node = parse(self._files[present[0]], present[0])
            return read_inventory(node, environments, self._report)
        except InputError as error:
            self._report(error)
            return None

    def _report(self, error: InputError) -> None:
        self._problems.append(error)
