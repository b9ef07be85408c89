"""A host as the roles have it: where its server is, and what it is for."""

from __future__ import annotations

from dataclasses import dataclass

from provision.layout import Layout, layout_of
from provision.node import Node
from provision.recipes.base_backup import GATES
from provision.schema.recovery import Mode


@dataclass(frozen=True, kw_only=True)
class Place:
    """One host: `mode` is how it recovers, `roles` what its run list expands to."""

    node: Node
    layout: Layout
    roles: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The host's name."""
        return self.node.name

    @property
    def mode(self) -> Mode:
        """How its server recovers; "none" also where the run list does not speak of recovery."""
        return self.node.attributes.pitr.recovery.mode if self._has("recovery") else "none"

    @property
    def archives(self) -> bool:
        """Whether its server archives by its roles."""
        return self._has("archiving") and self.node.attributes.pitr.archive.enabled

    @property
    def has_server(self) -> bool:
        """Whether a server is expected to run; a drill host starts its own."""
        return self._has("archiving") or self._has("recovery")

    @property
    def backs_up(self) -> bool:
        """Whether base backups are taken here."""
        return self._has("base_backup") and self.node.attributes.pitr.base_backup.enabled

    @property
    def drills(self) -> bool:
        """Whether restores are drilled here."""
        drill = self.node.attributes.pitr.drill
        has_any = any(schedule.enabled for schedule in drill.schedules)
        return self._has("drill") and drill.enabled and has_any

    @property
    def gate(self) -> str:
        """Of which servers base backups are taken: "t" in recovery, "f" not, "" any."""
        return GATES[self.node.attributes.pitr.base_backup.run_on]

    @property
    def repository(self) -> str:
        """Where its backups are; "" for nowhere."""
        return self.node.attributes.pitr.repository or ""

    @property
    def called(self) -> str:
        """The host with its roles, for messages."""
        return f"{self.host} ({', '.join(self.roles)})" if self.roles else self.host

    def control(self, action: str) -> tuple[str, ...]:
        """The words that start, stop or restart its server; Debian's."""
        server = self.node.attributes.postgresql
        words = ("pg_ctlcluster", str(server.version), server.cluster, action)
        return (*words, "-m", "fast") if action in ("stop", "restart") else words

    def _has(self, recipe: str) -> bool:
        return recipe in self.node.recipes


def place_of(node: Node, roles: tuple[str, ...] = ()) -> Place:
    """Return the place that a node is."""
    return Place(node=node, layout=layout_of(node), roles=roles)
