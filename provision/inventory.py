"""The inventory: which hosts there are, how to reach them, and what they are.

Groups name hosts that share a cluster, an environment, a way in or the beginning of a run list.
They carry no attributes: what hosts share of those is a role's, so that the ladder of precedence
stays Chef's. What a host says itself goes before its groups, and these before the defaults; two
groups that contradict each other are an error and not a matter of order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from provision.errors import InputError
from provision.host_access import (
    NAME,
    SSH_PORT,
    Access,
    Gateway,
    Gateways,
    read_access,
    read_address,
    read_host_keys,
)
from provision.kinds import LINES
from provision.layers import Layers, Report, read_layers
from provision.reading import closed_map, items_of, open_map, problem
from provision.roles import DEFAULT_ENVIRONMENT
from provision.run_list import RunList, read_run_list
from provision.source import Mapping as Map
from provision.source import Node, Origin, Scalar
from provision.suggestion import did_you_mean

T = TypeVar("T")

_WAY_IN = ("user", "port", "gateway")
_DEFAULTS = (*_WAY_IN, "environment")
_SHARED = (*_WAY_IN, "environment", "cluster", "run_list", "description")
_GROUP = (*_SHARED, "hosts")
_HOST = (*_SHARED, "address", "host_key", "default_attributes", "override_attributes")
_ATTRIBUTES = frozenset(("attributes", "default_attributes", "override_attributes"))


@dataclass(frozen=True, kw_only=True)
class Host:
    """A host; `user` None is whoever logs in.

    `cluster` names the servers that replicate one another. `host_keys` are as in known_hosts,
    without names: `ssh-ed25519 AAAA...`. `gateways` are passed one after the other, the outermost
    first. The run list has that of each group before the host's own.
    """

    name: str
    address: str
    user: str | None
    port: int
    gateways: tuple[Gateway, ...]
    host_keys: tuple[str, ...]
    groups: tuple[str, ...]
    environment: str
    cluster: str | None
    run_list: RunList
    layers: Layers
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Group:
    """A group: its hosts, and what they share."""

    name: str
    hosts: tuple[str, ...]
    run_list: RunList
    access: Access
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """All hosts and groups by name, in the order written."""

    hosts: Mapping[str, Host]
    groups: Mapping[str, Group]


def read_inventory(node: Node, environments: Iterable[str], report: Report) -> Inventory:
    """Read the inventory; every error is reported, and what is wrong is left out.

    Raises InputError where nothing can be made of it.
    """
    fields = closed_map(node, "", ("defaults", "gateways", "groups", "hosts"))
    if "hosts" not in fields:
        raise problem(node.origin, "hosts", "there are none", "Name the hosts under hosts:.")
    defaults = _defaults(fields.get("defaults"))
    gateways = Gateways(fields.get("gateways"), defaults, report)
    written = open_map(fields["hosts"], "hosts")
    groups = _groups(fields.get("groups"), {key.text for key, _ in written}, report)
    known = {*environments, DEFAULT_ENVIRONMENT}
    reader = _HostReader(defaults, gateways, tuple(groups.values()), known, report)
    hosts = {}
    for key, value in written:
        try:
            hosts[key.text] = reader.host(key, value)
        except InputError as error:
            report(error)
    return Inventory(hosts=hosts, groups=groups)


def _defaults(node: Node | None) -> Access:
    return (
        Access()
        if node is None
        else read_access(closed_map(node, "defaults", _DEFAULTS), "defaults")
    )


def _groups(node: Node | None, hosts: set[str], report: Report) -> Mapping[str, Group]:
    groups = {}
    for key, value in () if node is None else open_map(node, "groups"):
        try:
            groups[key.text] = _group(key, value, hosts, report)
        except InputError as error:
            report(error)
    return groups


def _group(key: Scalar, node: Node, hosts: set[str], report: Report) -> Group:
    name = NAME.read(key, "groups")
    at = f"groups.{name}"
    _check_no_attributes(node, at)
    fields = closed_map(node, at, _GROUP)
    _check_description(fields, at)
    if "hosts" not in fields:
        raise problem(key.origin, at, "no hosts are named", "Write hosts: and a list of names.")
    members = []
    for item in items_of(fields["hosts"], f"{at}.hosts"):
        member = NAME.read(item, f"{at}.hosts")
        if member not in hosts:
            hint = did_you_mean(member, hosts)
            report(problem(item.origin, f"{at}.hosts", f"there is no host {member}", hint))
        members.append(member)
    return Group(
        name=name,
        hosts=tuple(dict.fromkeys(members)),
        run_list=_run_list(fields, at),
        access=read_access(fields, at),
        origin=key.origin,
    )


def _check_no_attributes(node: Node, at: str) -> None:
    for key, _ in node.items if isinstance(node, Map) else ():
        if key.text in _ATTRIBUTES:
            hint = "Put them into a role, and the role into the group's run list."
            raise problem(key.origin, at, "a group has no attributes", hint)


def _check_description(fields: Mapping[str, Node], at: str) -> None:
    if "description" in fields:
        LINES.read(fields["description"], f"{at}.description")


def _run_list(fields: Mapping[str, Node], at: str) -> RunList:
    node = fields.get("run_list")
    return () if node is None else read_run_list(node, f"{at}.run_list")


class _HostReader:
    def __init__(
        self,
        defaults: Access,
        gateways: Gateways,
        groups: Sequence[Group],
        environments: set[str],
        report: Report,
    ) -> None:
        self._defaults = defaults
        self._gateways = gateways
        self._environments = environments
        self._report = report
        self._groups_of: dict[str, list[Group]] = {}
        for group in groups:
            for host in group.hosts:
                self._groups_of.setdefault(host, []).append(group)

    def host(self, key: Scalar, node: Node) -> Host:
        name = NAME.read(key, "hosts")
        at = f"hosts.{name}"
        fields = closed_map(node, at, _HOST)
        _check_description(fields, at)
        groups = tuple(self._groups_of.get(name, ()))
        access = self._joined(read_access(fields, at), groups, key.origin, at)
        own = _run_list(fields, at)
        if not (own or "run_list" in fields or any(group.run_list for group in groups)):
            hint = "Write run_list: [] for a host that gives up all that is ours."
            raise problem(key.origin, at, "neither the host nor a group has a run list", hint)
        return Host(
            name=name,
            address=read_address(fields.get("address"), name, at),
            user=access.user,
            port=access.port or SSH_PORT,
            gateways=self._gateways.chain(access.gateway, key.origin, f"{at}.gateway"),
            host_keys=read_host_keys(fields.get("host_key"), at),
            groups=tuple(group.name for group in groups),
            environment=access.environment or DEFAULT_ENVIRONMENT,
            cluster=access.cluster,
            run_list=(*(item for group in groups for item in group.run_list), *own),
            layers=read_layers(fields, "node", name, self._report),
            origin=key.origin,
        )

    def _joined(self, own: Access, groups: Sequence[Group], origin: Origin, at: str) -> Access:
        """Put together what the host, its groups and the defaults say."""
        said = [(group.name, group.access) for group in groups]
        lowest = self._defaults
        users = [(name, each.user) for name, each in said]
        ports = [(name, each.port) for name, each in said]
        gateways = [(name, each.gateway) for name, each in said]
        environments = [(name, each.environment) for name, each in said]
        clusters = [(name, each.cluster) for name, each in said]
        environment = _agreed(own.environment, environments, origin, f"{at}.environment")
        environment = environment or lowest.environment
        self._check_environment(environment, origin, at)
        port = _agreed(own.port, ports, origin, f"{at}.port")
        gateway = _agreed(own.gateway, gateways, origin, f"{at}.gateway")
        return Access(
            user=_agreed(own.user, users, origin, f"{at}.user") or lowest.user,
            port=port or lowest.port,
            gateway=lowest.gateway if gateway is None else gateway,
            environment=environment,
            cluster=_agreed(own.cluster, clusters, origin, f"{at}.cluster"),
        )

    def _check_environment(self, name: str | None, origin: Origin, at: str) -> None:
        if name is not None and name not in self._environments:
            hint = did_you_mean(name, self._environments)
            raise problem(origin, f"{at}.environment", f"there is no environment {name}", hint)


def _agreed(
    own: T | None, groups: Sequence[tuple[str, T | None]], origin: Origin, at: str
) -> T | None:
    """Return the host's own value, else the one that its groups agree on."""
    if own is not None:
        return own
    said = [(name, value) for name, value in groups if value is not None]
    for name, value in said[1:]:
        if value != said[0][1]:
            message = f"the group {said[0][0]} says {said[0][1]}, and the group {name} {value}"
            raise problem(origin, at, message, "Write it at the host.")
    return said[0][1] if said else None
