"""Hold what a host should be against what it is; pure.

A resource whose guards do not hold is skipped and said to be. A file with a secret that is not at
hand cannot be compared and says so, and everything else is compared all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from provision.catalog import Catalog, paths_of
from provision.plan.envdir import compare_envdir
from provision.plan.model import Change, HostPlan
from provision.plan.paths import Comparison, Difference, compare_entry
from provision.plan.server import (
    NeedsRestart,
    Same,
    compare_block,
    compare_settings,
    edited,
    edited_text,
    running_warnings,
)
from provision.resources.account import Package, User, Venv
from provision.resources.base import Entry, Resource
from provision.resources.envdir import Envdir
from provision.resources.schedule import Timer
from provision.resources.server import Block, PgSettings, block_path, without_block
from provision.state import ABSENT, Hold, HostState


@dataclass(frozen=True, kw_only=True)
class ServerRules:
    """What the settings of this host's version of PostgreSQL mean."""

    same: Same
    needs_restart: NeedsRestart


def compare_host(
    catalog: Catalog, comparison: Comparison, rules: ServerRules, *, prune: bool = False
) -> HostPlan:
    """Return what would change on one host; with `prune`, resources that left the model go."""
    state = comparison.state
    changes = [
        change
        for resource in catalog.resources
        if (change := _compare(resource, comparison, rules)) is not None
    ]
    orphans = (*_orphans(catalog, state), *_left_blocks(catalog, state))
    if prune:
        changes += [_deletion(path, resource_id, comparison) for path, resource_id in orphans]
    return HostPlan(
        host=catalog.host,
        status="ok" if state.hold is None else "held",
        problem="" if state.hold is None else _held(state.hold),
        hold=state.hold,
        changes=tuple(changes),
        warnings=tuple(_warnings(catalog, comparison, rules)),
        orphans=() if prune else tuple(path for path, _ in orphans),
        awaiting_restart=_awaiting_restart(catalog, state),
        interrupted=state.interrupted,
        primary=state.server.answers and not state.server.in_recovery,
    )


def _compare(resource: Resource, comparison: Comparison, rules: ServerRules) -> Change | None:
    failed = [
        guard
        for guard in resource.guards
        if comparison.state.guards.get(guard.argv, False) != guard.expect
    ]
    if failed:
        return _skipped(resource, failed[0].reason) if _differs(resource, comparison) else None
    match resource:
        case Envdir():
            return compare_envdir(resource, comparison)
        case PgSettings():
            return compare_settings(
                resource, comparison, same=rules.same, needs_restart=rules.needs_restart
            )
        case Block():
            return compare_block(resource, comparison)
        case User() | Package() | Venv():
            return _compare_installed(resource, comparison.state)
        case _:
            return _compare_entries(resource, comparison)


def _compare_entries(resource: Resource, comparison: Comparison) -> Change | None:
    """Compare a resource that is nothing but objects of the file system."""
    found: list[tuple[Entry, Difference]] = []
    for entry in resource.entries():
        difference = compare_entry(entry, comparison)
        if difference is not None:
            found.append((entry, difference))
    stopped = isinstance(resource, Timer) and not comparison.state.timers.get(resource.name, False)
    if not found and not stopped:
        return None
    actions = {difference.action for _, difference in found}
    notes = tuple(note for _, difference in found for note in difference.notes)
    return Change(
        id=resource.id,
        action=actions.pop() if len(actions) == 1 else "update",
        resource=resource,
        origin=resource.origin,
        path=found[0][0].path if found else "",
        notes=(*notes, "not enabled and running") if stopped else notes,
        diff=tuple(line for _, difference in found for line in difference.diff),
        sensitive=any(entry.content is not None and entry.content.sensitive for entry, _ in found),
        entries=tuple(entry for entry, _ in found),
        effects=resource.notifies,
    )


def _compare_installed(resource: User | Package | Venv, state: HostState) -> Change | None:
    change = Change(
        id=resource.id,
        action="create",
        resource=resource,
        origin=resource.origin,
        effects=resource.notifies,
    )
    if isinstance(resource, Venv):
        version = state.venvs.get(resource.name, "")
        if version and resource.version in ("", version):
            return None
        note = f"install {resource.requirement}"
        if not version:
            return replace(change, notes=(note,))
        return replace(change, action="update", notes=(f"{note} in place of {version}",))
    there = state.users if isinstance(resource, User) else state.packages
    return None if there.get(resource.name, False) else change


def _differs(resource: Resource, comparison: Comparison) -> bool:
    """Whether a resource that a guard holds back would change anything."""
    return any(compare_entry(entry, comparison) for entry in resource.entries())


def _skipped(resource: Resource, reason: str) -> Change:
    return Change(
        id=resource.id,
        action="skip",
        resource=resource,
        origin=resource.origin,
        notes=(reason,),
    )


def _orphans(catalog: Catalog, state: HostState) -> Iterator[tuple[str, str]]:
    """Paths that an earlier apply made and no resource describes any more, deepest first."""
    if state.journal is None:
        return
    wanted = {path for resource in catalog.resources for path in paths_of(resource)}
    stores = tuple(f"{r.store}/" for r in catalog.resources if isinstance(r, Envdir))
    left = {
        each.path: entry.id
        for entry in state.journal.resources
        for each in entry.objects
        if each.path not in wanted
        and not each.path.startswith(stores)
        and state.paths.get(each.path, ABSENT).kind != "absent"
    }
    for path in sorted(left, reverse=True):
        yield path, left[path]


def _left_blocks(catalog: Catalog, state: HostState) -> Iterator[tuple[str, str]]:
    """Files of others in which an earlier apply put lines that no resource describes any more."""
    wanted = {resource.id for resource in catalog.resources}
    for entry in () if state.journal is None else state.journal.resources:
        path = block_path(entry.id)
        if path is not None and entry.id not in wanted:
            text = edited_text(state.paths.get(path, ABSENT)) or ""
            if without_block(text) != text:
                yield path, entry.id


def _deletion(path: str, resource_id: str, comparison: Comparison) -> Change:
    is_settings = resource_id.startswith("pg_settings[")
    change = Change(
        id=resource_id,
        action="delete",
        path=path,
        notes=("no longer in the roles",),
        entries=(Entry(path=path, kind="absent"),),
        effects=("postgresql_reload",) if is_settings else (),
    )
    if block_path(resource_id) is None:
        return change
    current = comparison.path(path)
    change = replace(change, action="update", effects=("postgresql_reload",))
    return edited(change, current, without_block(edited_text(current) or ""), comparison)


def _awaiting_restart(catalog: Catalog, state: HostState) -> tuple[str, ...]:
    ours = (s.name for r in catalog.resources if isinstance(r, PgSettings) for s in r.settings)
    known = state.server.settings
    return tuple(name for name in ours if name in known and known[name].pending_restart)


def _warnings(catalog: Catalog, comparison: Comparison, rules: ServerRules) -> Iterable[str]:
    if comparison.state.interrupted:
        yield "an apply was interrupted here; the next one first takes back what it had done"
    if comparison.state.busy:
        yield "an apply is running here at this moment"
    yield from comparison.state.server.errors
    for resource in catalog.resources:
        if isinstance(resource, PgSettings):
            yield from running_warnings(resource, comparison, same=rules.same)


def _held(hold: Hold) -> str:
    until = f" until {hold.until}" if hold.until else ""
    return f"held by {hold.who}{until}: {hold.why}"
