"""Which keys a host shows before anybody logs in: what `ssh-keyscan` asks for.

The keys prove nothing, for whoever answers could show them; they are for people to compare. A
gateway on the way is judged as always.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from paramiko import SSHException, Transport

from provision.errors import UnreachableError
from provision.transport.connection import DroppedError, open_wire
from provision.transport.known_hosts import HostKey
from provision.transport.session import Session
from provision.transport.target import Target

_KINDS = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256"),
)


def shown_keys(target: Target) -> tuple[HostKey, ...]:
    """Return the host's keys, one of each kind; raises UnreachableError if it shows none."""
    with ExitStack() as opened:
        gateway = None
        if target.gateway is not None:
            gateway = opened.enter_context(Session(target.gateway)).transport
        keys = tuple(_keys(target, gateway))
    if not keys:
        raise UnreachableError(
            f"{target.name}: {target.endpoint} shows no host key",
            hint="Look at the address and port in the inventory, and whether sshd runs there.",
        )
    return keys


def _keys(target: Target, gateway: Transport | None) -> Iterator[HostKey]:
    for kinds in _KINDS:
        key = _key(target, gateway, kinds)
        if key is not None:
            yield key


def _key(target: Target, gateway: Transport | None, kinds: Sequence[str]) -> HostKey | None:
    """The host's key of one kind; None if it has none, when it ends the connection."""
    try:
        wire = open_wire(target, gateway)
    except DroppedError:
        return None
    transport = Transport(wire)
    transport.banner_timeout = target.timeouts.banner
    options = transport.get_security_options()
    try:
        options.key_types = tuple(kind for kind in kinds if kind in options.key_types)
        transport.start_client(timeout=target.timeouts.banner)
        key = transport.get_remote_server_key()
        return HostKey(kind=key.get_name(), blob=key.asbytes())
    except (SSHException, EOFError, OSError):
        return None
    finally:
        transport.close()
        wire.close()
