"""Everything that is needed to look at one host and to change it."""

from __future__ import annotations

from dataclasses import dataclass

from provision.catalog import Catalog
from provision.observation import ServerAddress
from provision.plan.compare import ServerRules
from provision.transport import Target


@dataclass(frozen=True, kw_only=True)
class HostJob:
    """A host: how it is reached, what it should be, and its server.

    `restart` is the command that restarts its PostgreSQL.
    """

    target: Target
    catalog: Catalog
    server: ServerAddress
    rules: ServerRules
    restart: tuple[str, ...]

    @property
    def host(self) -> str:
        """The host's name."""
        return self.catalog.host
