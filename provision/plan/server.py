"""Compare PostgreSQL's settings: what stands in our file, and what the server runs with.

A file that is right is not enough: postgresql.auto.conf beats it, and a setting that wants a
restart waits in it. So where the server answers, each setting is held against pg_settings too, and
what ALTER SYSTEM has set otherwise is reset, also if it would come into force only later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from provision.content import Content
from provision.plan.model import Change
from provision.plan.paths import Comparison, compare_entry
from provision.resources.base import Effect, Entry
from provision.resources.server import Block, PgSettings, ServerSetting
from provision.state import PathState, ServerState

# Whether two texts mean the same value of a setting, given the unit in which the server shows it.
Same = Callable[[str, str, str], bool]
# Whether a setting of this server's version comes into force only with a restart.
NeedsRestart = Callable[[str], bool]


def compare_settings(
    resource: PgSettings, comparison: Comparison, *, same: Same, needs_restart: NeedsRestart
) -> Change | None:
    """Return the change of a settings file, with what it means for the running server.

    A setting that needs a restart and already has its value in the running server needs none.
    """
    (entry,) = resource.entries()
    difference = compare_entry(entry, comparison)
    server = comparison.state.server
    reset = tuple(_overridden(resource, server, same))
    if difference is None and not reset:
        return None
    before = (comparison.path(entry.path).content or b"").decode("utf-8", "surrogateescape")
    running = set(server.settings) - set(_not_running(resource, server, same))
    restart = tuple(
        name
        for name in dict.fromkeys((*touched_settings(before, resource), *reset))
        if needs_restart(name) and not (server.answers and name in running)
    )
    return Change(
        id=resource.id,
        action="update" if difference is None else difference.action,
        resource=resource,
        origin=resource.origin,
        path=entry.path,
        notes=(
            *(() if difference is None else difference.notes),
            *(f"{name}: ALTER SYSTEM has set it otherwise; it is reset" for name in reset),
        ),
        diff=() if difference is None else difference.diff,
        sensitive=resource.content.sensitive,
        entries=() if difference is None else (entry,),
        effects=effects_of(restart),
        restart_settings=restart,
        reset=reset,
    )


def touched_settings(before: str, resource: PgSettings) -> tuple[str, ...]:
    """Return the settings whose line is new, differs or goes, by the text that is there."""
    old, new = _lines(before), _lines(str(resource.content))
    return tuple(name for name in {**new, **old} if old.get(name) != new.get(name))


def effects_of(restart: tuple[str, ...]) -> tuple[Effect, ...]:
    """What a change of settings wants from the server."""
    return ("postgresql_reload", "postgresql_restart") if restart else ("postgresql_reload",)


def running_warnings(resource: PgSettings, comparison: Comparison, *, same: Same) -> Iterator[str]:
    """Say which settings stand in our file and are not in force, and why."""
    (entry,) = resource.entries()
    server = comparison.state.server
    if compare_entry(entry, comparison) is not None:
        return
    overridden = tuple(_overridden(resource, server, same))
    for name in overridden:
        yield f"{name} is overridden by postgresql.auto.conf: somebody used ALTER SYSTEM"
    for name in _not_running(resource, server, same):
        if name in overridden:
            continue
        state = server.settings[name]
        if state.pending_restart:
            yield f"{name} waits for a restart of PostgreSQL"
        elif state.source_file not in ("", entry.path):
            yield f"{name} is overridden by {state.source_file}"
        else:
            yield f'{name} is "{state.value}" in the running server: reload it'


def compare_block(resource: Block, comparison: Comparison) -> Change | None:
    """Return the change of a file in which our block is missing or differs."""
    current = comparison.path(resource.name)
    change = Change(
        id=resource.id,
        action="update",
        resource=resource,
        origin=resource.origin,
        path=resource.name,
        effects=resource.notifies,
    )
    before = edited_text(current)
    if before is None:
        return replace(
            change, action="unknown", notes=(f"{resource.name} is {current.kind}: no file to edit",)
        )
    after = resource.placed_in(before)
    if after == before:
        return None
    return edited(change, current, after, comparison)


def edited_text(current: PathState) -> str | None:
    """The text of a file in which lines are edited; None for what is no file, or is no text."""
    if current.kind != "file" or current.content is None:
        return None
    try:
        return current.content.decode()
    except UnicodeDecodeError:
        return None


def edited(change: Change, current: PathState, after: str, comparison: Comparison) -> Change:
    """The change that gives a file of somebody else's another text; owner and mode stay."""
    entry = Entry(
        path=change.path,
        kind="file",
        owner=current.owner,
        group=current.group,
        mode=current.mode,
        content=Content.of(after),
    )
    before = edited_text(current)
    return replace(change, diff=comparison.diff(before, Content.of(after), False), entries=(entry,))


def _not_running(resource: PgSettings, server: ServerState, same: Same) -> Iterator[str]:
    for setting in resource.settings:
        state = server.settings.get(setting.name)
        if state is not None and not _equal(setting, state.value, state.unit, same):
            yield setting.name


def _overridden(resource: PgSettings, server: ServerState, same: Same) -> Iterator[str]:
    """The settings to which ALTER SYSTEM has given another value, whether it is in force or not."""
    for setting in resource.settings:
        state = server.settings.get(setting.name)
        if state is None or state.automatic is None or setting.value.sensitive:
            continue
        if not same(setting.name, str(setting.value), state.automatic):
            yield setting.name


def _equal(setting: ServerSetting, value: str, unit: str, same: Same) -> bool:
    """A value that holds a secret is never compared with the running one."""
    return setting.value.sensitive or same(setting.name, str(setting.value), value + unit)


def _lines(text: str) -> dict[str, str]:
    """The settings that a file of ours sets, each with its line."""
    found = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name.strip(): value.strip() for name, equals, value in found if equals}
