"""Who is to be reached and how: values only, so that plans and tests can hold them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from provision.transport.known_hosts import HostKey

SSH_PORT = 22


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Seconds for each step; all together cannot take longer than `whole`.

    `busy` is for how long a connection that the server drops before it says who it is (sshd's
    MaxStartups) is tried again.
    """

    connect: float = 10
    banner: float = 15
    login: float = 15
    channel: float = 15
    busy: float = 30
    keepalive: int = 15
    whole: float = 3600


@dataclass(frozen=True, kw_only=True)
class Target:
    """A host, the account to log in to, and how the host proves that it is the one.

    Pinned `host_keys` decide alone where there are any; otherwise the entries of `known_hosts`
    for the name, or else for the address. Keys of the agent are offered only with `use_agent`.
    """

    name: str
    address: str
    user: str
    port: int = SSH_PORT
    gateway: Target | None = None
    host_keys: tuple[HostKey, ...] = ()
    known_hosts: tuple[Path, ...] = ()
    identities: tuple[Path, ...] = ()
    use_agent: bool = False
    timeouts: Timeouts = field(default_factory=Timeouts)

    @property
    def endpoint(self) -> str:
        """The address and port as messages show them."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return address if self.port == SSH_PORT else f"{address}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a command ended; above 128 its exit status is 128 and the signal that killed it."""

    exit_status: int
    stdout: bytes
    stderr: bytes
