"""Changes that are the same on several hosts, put together: a diff is read once.

A fleet's change is mostly one change many times. What differs between hosts stands alone and so is
seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from provision.plan.model import Change, HostPlan, Plan
from provision.values import counted


@dataclass(frozen=True, kw_only=True)
class Group:
    """One change and the hosts on which it is the same, in the plan's order."""

    hosts: tuple[str, ...]
    change: Change


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How many hosts and changes of each kind there are."""

    hosts: int
    changed: int
    unchanged: int
    failed: int
    create: int
    update: int
    delete: int


def groups(plan: Plan) -> tuple[Group, ...]:
    """Return each distinct change with its hosts, in the order of first appearance."""
    hosts: dict[tuple[object, ...], list[str]] = {}
    first: dict[tuple[object, ...], Change] = {}
    for host in plan.hosts:
        for change in host.changes:
            key = (change.id, change.path, change.action, change.notes, change.diff)
            hosts.setdefault(key, []).append(host.host)
            first.setdefault(key, change)
    return tuple(Group(hosts=tuple(names), change=first[key]) for key, names in hosts.items())


def summary(plan: Plan) -> Summary:
    """Count hosts and changes."""
    actions = [change.action for host in plan.hosts for change in host.pending]
    failed = sum(host.status not in ("ok", "held") for host in plan.hosts)
    changed = sum(bool(host.pending) for host in plan.hosts)
    return Summary(
        hosts=len(plan.hosts),
        changed=changed,
        unchanged=len(plan.hosts) - changed - failed,
        failed=failed,
        create=actions.count("create"),
        update=actions.count("update"),
        delete=actions.count("delete"),
    )


def effect_lines(hosts: Iterable[HostPlan]) -> tuple[str, ...]:
    """Say which hosts will be reloaded, and which would need a restart and for what."""
    hosts = tuple(hosts)
    lines: list[str] = []
    reloaded = [host.host for host in hosts if "postgresql_reload" in host.effects]
    if reloaded:
        lines.append(f"reload PostgreSQL on {', '.join(reloaded)}")
    for host in hosts:
        if host.restart_settings:
            names = ", ".join(host.restart_settings)
            lines.append(f"restart of PostgreSQL required on {host.host} for {names}")
    if any("daemon_reload" in host.effects for host in hosts):
        names = ", ".join(host.host for host in hosts if "daemon_reload" in host.effects)
        lines.append(f"reload systemd on {names}")
    return tuple(lines)


def sentence(plan: Plan) -> str:
    """The summary as one line."""
    counts = summary(plan)
    if not counts.changed and not counts.failed:
        return f"no changes on {counted(counts.hosts, 'host')}"
    parts = [f"{counts.create} to create, {counts.update} to update, {counts.delete} to delete"]
    parts.append(
        f"{counted(counts.changed, 'host')} to change, {counts.unchanged} as they should be"
    )
    if counts.failed:
        parts.append(f"{counted(counts.failed, 'host')} not compared")
    return "; ".join(parts)
