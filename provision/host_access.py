"""How hosts are reached: addresses, accounts, the keys that prove a host, the gateways before it.

What stands here reaches ssh's own code as host names and options, so all of it is checked for its
form: an address that begins with a dash is not one. A gateway is pinned like any other host and is
listed apart, since nothing is ever provisioned on it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from provision.errors import InputError
from provision.kinds import PORT, USER_NAME, text
from provision.layers import Report
from provision.reading import closed_map, open_map, problem
from provision.schema.recovery import HOST_NAME
from provision.source import Node, Origin, Scalar, Sequence
from provision.suggestion import did_you_mean

SSH_PORT = 22
NAME = text("name", r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,250}[A-Za-z0-9])?")
_ADDRESS = text("name or address of a host", HOST_NAME)
_KEY = re.compile(r"(?P<type>[a-z0-9@.-]+) (?P<blob>[A-Za-z0-9+/]+={0,2})( .*)?")
_KEY_TYPES = re.compile(
    r"ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com"
)
_DIRECTLY = ""
_GATEWAY_KEYS = ("address", "user", "port", "gateway", "host_key")


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """A host through which others are reached; `user` None is whoever logs in."""

    name: str
    address: str
    user: str | None
    port: int
    host_keys: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Access:
    """What one place says; None where it says nothing. `gateway` "" is a host reached directly."""

    user: str | None = None
    port: int | None = None
    gateway: str | None = None
    environment: str | None = None
    cluster: str | None = None


def read_access(fields: Mapping[str, Node], at: str) -> Access:
    """Read the keys that hosts, groups and defaults have in common, where they are given."""
    user, port, gateway = fields.get("user"), fields.get("port"), fields.get("gateway")
    environment, cluster = fields.get("environment"), fields.get("cluster")
    return Access(
        user=None if user is None else USER_NAME.read(user, f"{at}.user"),
        port=None if port is None else PORT.read(port, f"{at}.port"),
        gateway=None if gateway is None else _gateway_name(gateway, f"{at}.gateway"),
        environment=None if environment is None else NAME.read(environment, f"{at}.environment"),
        cluster=None if cluster is None else NAME.read(cluster, f"{at}.cluster"),
    )


def read_address(node: Node | None, name: str, at: str) -> str:
    """Read the address of the host `name`, which is its name unless one is given."""
    return name if node is None else _ADDRESS.read(node, f"{at}.address")


def read_host_keys(node: Node | None, at: str) -> tuple[str, ...]:
    """Read one public key or a list of them, as known_hosts has them; a comment is left out."""
    if node is None:
        return ()
    nodes = node.items if isinstance(node, Sequence) else (node,)
    return tuple(_host_key(each, f"{at}.host_key") for each in nodes)


class Gateways:
    """The gateways by name; `chain` returns those to pass."""

    def __init__(self, node: Node | None, defaults: Access, report: Report) -> None:
        self._known: dict[str, Gateway] = {}
        self._before: dict[str, str] = {}
        for key, value in () if node is None else open_map(node, "gateways"):
            try:
                self._read(key, value, defaults)
            except InputError as error:
                report(error)

    def chain(self, name: str | None, origin: Origin, at: str) -> tuple[Gateway, ...]:
        """Return the gateway `name` and those before it, the outermost first.

        Raises InputError for a name that is not there, and for gateways that need each other.
        """
        chain: list[str] = []
        while name:
            if name not in self._known:
                hint = did_you_mean(name, self._known) or "Describe it under gateways:."
                raise problem(origin, at, f"there is no gateway {name}", hint)
            if name in chain:
                raise problem(origin, at, f"the gateway {name} is only reached through itself")
            chain.append(name)
            name = self._before.get(name)
        return tuple(self._known[each] for each in reversed(chain))

    def _read(self, key: Scalar, node: Node, defaults: Access) -> None:
        name = NAME.read(key, "gateways")
        at = f"gateways.{name}"
        fields = closed_map(node, at, _GATEWAY_KEYS)
        access = read_access(fields, at)
        self._before[name] = access.gateway or _DIRECTLY
        self._known[name] = Gateway(
            name=name,
            address=read_address(fields.get("address"), name, at),
            user=access.user or defaults.user,
            port=access.port or SSH_PORT,
            host_keys=read_host_keys(fields.get("host_key"), at),
        )


def _gateway_name(node: Node, at: str) -> str:
    if isinstance(node, Scalar) and node.value is None and not node.is_empty:
        return _DIRECTLY
    return NAME.read(node, at)


def _host_key(node: Node, at: str) -> str:
    written = text().read(node, at)
    matched = _KEY.fullmatch(written)
    if matched is None or not _is_key(matched["type"], matched["blob"]):
        hint = "Write it as ssh-keyscan prints it, without the host's name: ssh-ed25519 AAAA..."
        raise problem(node.origin, at, "this is not a public key of a host", hint)
    return f"{matched['type']} {matched['blob']}"


def _is_key(key_type: str, blob: str) -> bool:
    """A key begins with its type, in its length and characters (RFC 4253, section 6.6)."""
    try:
        data = base64.b64decode(blob, validate=True)
    except binascii.Error:
        return False
    head = len(key_type).to_bytes(4, "big") + key_type.encode()
    return _KEY_TYPES.fullmatch(key_type) is not None and data.startswith(head)
