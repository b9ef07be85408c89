"""Compare a catalogue's tree with another one: of a git revision, or rendered earlier; pure.

No host is asked, so this is what a merge request shows: which hosts does it change, and how.
Secrets are compared by their references, and by what `label` says of them where both sides have
their values.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import replace

from provision.catalog import Catalog
from provision.content import Label
from provision.plan.model import Action, Change, HostPlan
from provision.plan.server import NeedsRestart, effects_of, touched_settings
from provision.resources.base import Resource
from provision.resources.server import PgSettings
from provision.tree import Leaf, Tree, bare, tree_of

_CONTEXT = 3


def compare_trees(
    catalog: Catalog, old: Tree, needs_restart: NeedsRestart, label: Label = bare
) -> HostPlan:
    """Return what the catalogue changes against an older tree of the same host."""
    new = tree_of(catalog, label)
    resources = {resource.id: resource for resource in catalog.resources}
    keys = [*new, *(key for key in old if key not in new)]
    changes = (
        _with_effects(
            _change(key, old.get(key), new.get(key), resources), old.get(key), needs_restart
        )
        for key in keys
        if old.get(key) != new.get(key)
    )
    return HostPlan(host=catalog.host, changes=tuple(changes))


def removed_host(host: str, old: Tree) -> HostPlan:
    """Return the plan of a host that is in the older tree only."""
    return HostPlan(
        host=host,
        changes=tuple(_change(key, node, None, {}) for key, node in old.items()),
        warnings=("the host is no longer in the inventory; nothing on it will be touched",),
    )


def unified(before: str | None, after: str | None) -> tuple[str, ...]:
    """Return a unified diff without its header lines; None is a file that is not there."""
    lines = difflib.unified_diff(
        (before or "").splitlines(), (after or "").splitlines(), lineterm="", n=_CONTEXT
    )
    return tuple(lines)[2:]


def _change(key: str, old: Leaf | None, new: Leaf | None, resources: dict[str, Resource]) -> Change:
    node = new or old
    assert node is not None
    resource = resources.get(node.resource)
    action: Action = "create" if old is None else "delete" if new is None else "update"
    return Change(
        id=node.resource,
        action=action,
        resource=resource,
        origin=resource.origin if resource is not None else None,
        path=key,
        notes=tuple(_notes(old, new)),
        diff=unified(old.text if old else None, new.text if new else None),
        sensitive=node.sensitive,
        effects=resource.notifies if resource is not None else (),
    )


def _with_effects(change: Change, old: Leaf | None, needs_restart: NeedsRestart) -> Change:
    """What a change of settings wants from the server, which is not asked."""
    if not isinstance(change.resource, PgSettings):
        return change
    names = touched_settings("" if old is None else old.text, change.resource)
    restart = tuple(filter(needs_restart, names))
    return replace(change, effects=effects_of(restart), restart_settings=restart)


def _notes(old: Leaf | None, new: Leaf | None) -> Iterator[str]:
    if old is None or new is None:
        node = new or old
        if node is not None and node.mode:
            yield f"{node.kind}, {node.owner}:{node.group} {node.mode}"
        return
    for what in ("kind", "owner", "group", "mode", "target"):
        before, after = getattr(old, what), getattr(new, what)
        if before != after:
            yield f"{what} {before} -> {after}"
