"""How tests lead the product to a host."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from provision.transport import Target, Timeouts, parse_host_key


class Reachable(Protocol):
    """A host of the rig, or what stands in for one."""

    @property
    def name(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def login(self) -> str: ...
    @property
    def host_keys(self) -> tuple[str, ...]: ...
    @property
    def identity(self) -> Path: ...


def reach(
    host: Reachable,
    *,
    user: str | None = None,
    host_keys: Sequence[str] | None = None,
    gateway: Target | None = None,
    timeouts: Timeouts | None = None,
) -> Target:
    """Return the host's Target; its real keys are pinned unless others are given."""
    pinned = host.host_keys if host_keys is None else host_keys
    return Target(
        name=host.name,
        address=host.address,
        port=host.port,
        user=user or host.login,
        gateway=gateway,
        host_keys=tuple(map(parse_host_key, pinned)),
        identities=(host.identity,),
        timeouts=timeouts or Timeouts(),
    )
