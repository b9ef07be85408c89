"""The plan: what would change on which host, and what that means for the server.

This value is what `plan` prints, what `apply` shows, compares with a second look at the host, and
carries out. Nothing in it is secret: diffs are redacted when they are made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from provision.resources.base import Effect, Entry, Origin, Resource
from provision.state import Hold

Action = Literal["create", "update", "delete", "skip", "unknown"]
Status = Literal["ok", "held", "refused", "unreachable", "error"]

CHANGING: tuple[Action, ...] = ("create", "update", "delete")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One resource of a host that is not as it should be, or whose state is not known.

    `notes` say in words what a diff does not: modes, owners, why it is skipped. `entries` are the
    objects that will be written, in order. `reset` are settings that ALTER SYSTEM has set.
    """

    id: str
    action: Action
    resource: Resource | None = field(default=None, repr=False)
    origin: Origin | None = None
    path: str = ""
    notes: tuple[str, ...] = ()
    diff: tuple[str, ...] = ()
    sensitive: bool = False
    entries: tuple[Entry, ...] = field(default=(), repr=False)
    effects: tuple[Effect, ...] = ()
    restart_settings: tuple[str, ...] = ()
    reset: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether the host would be touched."""
        return self.action in CHANGING


@dataclass(frozen=True, kw_only=True)
class HostPlan:
    """What would change on one host; `problem` says why nothing will, if its status is not ok.

    `awaiting_restart` are settings of earlier applies that are not in force yet.
    """

    host: str
    status: Status = "ok"
    changes: tuple[Change, ...] = ()
    problem: str = ""
    hint: str = ""
    hold: Hold | None = None
    warnings: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()
    awaiting_restart: tuple[str, ...] = ()
    primary: bool = False
    interrupted: bool = False

    @property
    def pending(self) -> tuple[Change, ...]:
        """The changes that touch the host."""
        return tuple(change for change in self.changes if change.changes)

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What has to be reloaded afterwards, each once."""
        return tuple(dict.fromkeys(e for change in self.pending for e in change.effects))

    @property
    def restart_settings(self) -> tuple[str, ...]:
        """The settings that come into force only when the server is restarted."""
        names = (name for change in self.pending for name in change.restart_settings)
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would change on all hosts, in the inventory's order; `against` says compared to what."""

    hosts: tuple[HostPlan, ...]
    against: str = "hosts"
    revision: str = ""

    @property
    def exit_codes(self) -> tuple[int, ...]:
        """What each host has to say; the worst of them is the exit code of `plan`."""
        codes = {"ok": 0, "held": 3, "refused": 3, "unreachable": 4, "error": 1}
        return tuple(codes[host.status] or 2 * bool(host.pending) for host in self.hosts)
