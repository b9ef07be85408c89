"""From a host's plan to the one script that carries it out, and from its answer to what happened.

Everything that can fail without consequences comes first: room, the files being what the plan saw,
every new file on disk with its owner and mode, checkers, a probe as the user that will run it. Then
the switch, the server's own opinion of its files, the reload, and last what runs by itself at its
time. The script removes what it did if anything after the switch fails.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from provision.agent import call, functions
from provision.catalog import Catalog
from provision.content import Content, Resolve
from provision.journal import (
    HOLD,
    JOURNAL,
    PATHS,
    RECOVER,
    applied,
    dump_journal,
    dump_paths,
    journal_of,
)
from provision.observation import ServerAddress
from provision.plan.model import Change, HostPlan
from provision.resources.account import Package, User, Venv
from provision.resources.base import Entry, Phase, Resource
from provision.resources.envdir import Envdir
from provision.resources.file import File
from provision.resources.schedule import CRON_DIRECTORY, Timer
from provision.resources.server import PgSettings, block_path
from provision.state import ABSENT, HostState, Journal, JournalEntry

Ending = Literal["applied", "refused", "failed", "rolled_back", "lost"]
_ENDINGS: Mapping[str, Ending] = {
    "refused": "refused",
    "failed": "failed",
    "rolled_back": "rolled_back",
}
GENERATIONS_KEPT = 3
_FOLD = 3072  # bytes a line of base64; a multiple of 3

# After a reload, and after a restart as well.
_RUNNING = (
    "select f.name || ' of ' || f.sourcefile from pg_file_settings f"
    " join pg_settings s on s.name = lower(f.name)"
    " where f.applied and s.context <> 'postmaster' and f.sourcefile in ({files})"
    " and (s.sourcefile, s.sourceline) is distinct from (f.sourcefile, f.sourceline)"
)
_WAITING = "select name from pg_settings where pending_restart and sourcefile in ({files})"
# cron starts it once, when the host comes up; its name has no dot, or cron would pass it over.
_HOOK = f"{CRON_DIRECTORY}/provision-recover"
_HOOK_LINES = f"""\
# An apply has not ended yet. If it never does, the host goes back to what it was.
@reboot root /bin/sh {RECOVER} boot 2>&1 | logger -t provision
"""


@dataclass(frozen=True, kw_only=True)
class Application:
    """What applying one host's plan takes besides the plan.

    `state` is what was observed last; `id` is unique; `restart` is the command that restarts the
    server where that was allowed, else empty.
    """

    id: str
    at: datetime
    by: str
    revision: str
    catalog: Catalog
    state: HostState
    server: ServerAddress
    resolve: Resolve = field(repr=False)
    restart: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an apply on one host ended, at which step, and why."""

    ending: Ending
    step: str = ""
    message: str = ""


def apply_script(plan: HostPlan, application: Application) -> bytes:
    """Return the script; it holds the secrets in clear and goes to the host's shell only.

    Raises SecretError if a secret is not at hand.
    """
    entries = [(change, entry) for change in plan.pending for entry in change.entries]
    journal = _journal_files(journal_after(plan, application))
    lines = [
        *("at preflight", call("begin", application.id), *_hold(application.state)),
        *_unchanged(entries, application.state),
        *("at tooling", *_tooling(plan.pending)),
        *("at stage", *_recovery(), *_stage(entries, application)),
        *(_stage_file(entry, application.resolve) for entry in journal),
        "hand_over",
        *("at verify", *_verify(plan.pending)),
        *("at probe", *_probe(plan.pending)),
        *_server_way_back(plan, application),
        *_way_back(entries, application.state),
        *(call("will_replace", entry.path) for entry in journal),
        *("at switch", "commence", *_switch(entries, application.state, before="schedule")),
        *_server(plan, application),
        *("at schedule", *_switch(entries, application.state, only="schedule")),
        *_timers(plan.pending),
        *("at journal", *(call("switch", entry.path) for entry in journal)),
        *("commit", *_old_generations(plan.pending), *_tidy(entries, application.state)),
    ]
    body = "\n".join(["main() {", *lines, "}", "main", ""])
    return (functions("apply") + body).encode()


def recovery_script() -> bytes:
    """Return the script that takes back what an interrupted apply had done."""
    return (functions("apply") + 'recover "$@"\n').encode()


def parse_outcome(answer: bytes) -> Outcome:
    """Return how the script ended; "lost" if it does not say, so that the host must be asked."""
    step = ""
    for line in answer.decode("utf-8", "replace").splitlines():
        kind, _, text = line.partition("\t")
        if kind == "step":
            step = text
        elif kind == "ok":
            return Outcome(ending="applied")
        elif kind in _ENDINGS:
            where, _, message = text.partition(": ")
            return Outcome(ending=_ENDINGS[kind], step=where, message=message)
    return Outcome(ending="lost", step=step, message="the connection ended before the apply did")


_Entries = Sequence[tuple[Change, Entry]]


def _hold(state: HostState) -> Iterator[str]:
    """One that has run out goes; another may have come since."""
    there = state.paths.get(HOLD, ABSENT)
    if state.hold is None and there.digest:
        yield call("forget_hold", there.digest)
    yield "not_held"


def _recovery() -> Iterator[str]:
    """What takes an apply back that a power cut ends: it stands on the host only that long."""
    yield _with_data(call("hook", RECOVER, "0700"), recovery_script())
    yield f"if [ -w {CRON_DIRECTORY} ]; then"
    yield _with_data(call("hook", _HOOK, "0600"), _HOOK_LINES.encode())
    yield "fi"


def _unchanged(entries: _Entries, state: HostState) -> Iterator[str]:
    """Nothing that will be replaced has changed since it was looked at."""
    sums = []
    for change, entry in entries:
        current = state.paths.get(entry.path, ABSENT)
        if current.digest:
            sums.append(f"{current.digest}  {entry.path}")
        elif current.kind == "absent" and not isinstance(change.resource, Envdir):
            yield call("still_absent", entry.path)
    if sums:
        yield from ("unchanged <<'END_OF_SUMS'", *sums, "END_OF_SUMS")


def _tooling(changes: Iterable[Change]) -> Iterator[str]:
    packages = [c.resource.name for c in changes if isinstance(c.resource, Package)]
    if packages:
        yield call("package", *packages)
    for change in changes:
        match change.resource:
            case User() as user:
                yield call("user", user.name, user.group, user.home, user.shell)
            case Venv() as venv:
                yield call("install_venv", venv.name, venv.requirement, venv.find_links)


def _stage(entries: _Entries, application: Application) -> Iterator[str]:
    for change, entry in entries:
        if entry.kind == "directory":
            yield call("directory", entry.path, entry.owner, entry.group, entry.mode)
        elif entry.kind == "link":
            yield call("stage_link", entry.path, entry.target)
        elif entry.kind == "file" and entry.content is not None:
            verb = "place" if _in_place(change, entry, application.state) else "stage"
            yield _stage_file(entry, application.resolve, verb=verb)


def _stage_file(entry: Entry, resolve: Resolve, *, verb: str = "stage") -> str:
    assert entry.content is not None, entry.path
    head = call(verb, entry.path, entry.owner, entry.group, entry.mode)
    return _with_data(head, entry.content.reveal(resolve))


def _with_data(head: str, data: bytes) -> str:
    lines = [b64encode(data[at : at + _FOLD]).decode() for at in range(0, len(data), _FOLD)]
    return "\n".join([f"{head} <<'END_OF_FILE'", *lines, "END_OF_FILE"])


def _verify(changes: Iterable[Change]) -> Iterator[str]:
    for change in changes:
        if isinstance(change.resource, File) and change.resource.verify and change.entries:
            yield call("verify", change.resource.name, *change.resource.verify)


def _probe(changes: Iterable[Change]) -> Iterator[str]:
    for change in changes:
        match change.resource:
            case Envdir(probe=probe) if probe is not None:
                generation = change.entries[1].path
                words = [generation if word == "{}" else word for word in probe.argv]
                yield call("probe", probe.user, str(probe.timeout), *words)


def _way_back(entries: _Entries, state: HostState) -> Iterator[str]:
    for change, entry in entries:
        if _metadata_only(entry):
            yield call("will_set_metadata", entry.path)
        elif _switched(change, entry, state) and not _goes_if_empty(entry, state):
            yield call("will_replace", entry.path)


def _switch(
    entries: _Entries, state: HostState, *, before: Phase | None = None, only: Phase | None = None
) -> Iterator[str]:
    for change, entry in entries:
        phase = "tooling" if change.resource is None else change.resource.phase
        if phase == before or (only is not None and phase != only):
            continue
        if _goes_if_empty(entry, state):
            continue
        if entry.kind == "absent":
            yield call("remove", entry.path)
        elif _metadata_only(entry):
            yield call("metadata", entry.path, entry.owner, entry.group, entry.mode)
        elif _switched(change, entry, state):
            yield call("switch", entry.path)


def _metadata_only(entry: Entry) -> bool:
    """A file whose bytes are not ours."""
    return entry.kind == "file" and entry.content is None


def _switched(change: Change, entry: Entry, state: HostState) -> bool:
    """Whether it waits beside its place."""
    return entry.kind != "directory" and not _in_place(change, entry, state)


def _in_place(change: Change, entry: Entry, state: HostState) -> bool:
    """Whether a file is written where it stays before anything is switched, and then swept or kept.

    That goes for a generation, and for a new file of the environment such as a key: nothing reads
    it yet but the probe.
    """
    if entry.kind != "file":
        return False
    if isinstance(change.resource, Envdir):
        return True
    new = state.paths.get(entry.path, ABSENT).kind == "absent"
    return new and isinstance(change.resource, File) and change.resource.phase == "environment"


def _concerns_server(plan: HostPlan, application: Application) -> bool:
    effects = ("postgresql_reload", "postgresql_restart")
    waits = application.restart and plan.awaiting_restart
    return bool(waits) or any(effect in effects for effect in plan.effects)


def _server_way_back(plan: HostPlan, application: Application) -> Iterator[str]:
    """Which server it is, for all that follows, and what is done with it on the way back."""
    if not _concerns_server(plan, application):
        return
    server = application.server
    words = (server.user, server.psql, server.sockets, str(server.port), server.data_directory)
    yield call("serve", *words)
    yield "will_reread"
    if any(change.reset for change in plan.pending):
        yield call("will_replace", server.auto_conf)


def _server(plan: HostPlan, application: Application) -> Iterator[str]:
    """Ask, reload, verify: only where the server's files changed and it runs."""
    if not _concerns_server(plan, application):
        return
    settings = [r for r in application.catalog.resources if isinstance(r, PgSettings)]
    files = ", ".join("'" + each.name.replace("'", "''") + "'" for each in settings) or "''"
    resets = [name for change in plan.pending for name in change.reset]
    yield "if answers; then"
    if resets:
        yield call("reset_settings", *resets)
    yield from ("at check", "check_files", "at reload")
    yield 'reload_server || fail "the server does not read its files"'
    yield "at running"
    yield call("verify_running", _RUNNING.format(files=files))
    if application.restart and (plan.restart_settings or plan.awaiting_restart):
        yield from ("at restart", call("restart_server", *application.restart))
        yield call("verify_running", _WAITING.format(files=files))
    yield "fi"


def _timers(changes: Iterable[Change]) -> Iterator[str]:
    for change in changes:
        if isinstance(change.resource, Timer):
            yield call("start_timer", change.resource.name)


def journal_after(plan: HostPlan, application: Application) -> Journal:
    """Return what the journal will be: the catalogue, and orphans that were not pruned.

    A resource that a guard holds back is not there, and so is not ours yet.
    """
    changes = {change.id: change for change in plan.changes}
    entries = []
    for resource in application.catalog.resources:
        change = changes.get(resource.id)
        if change is not None and change.action == "skip":
            continue
        found = _entries_of(resource, change, application.state)
        objects = tuple(
            applied(entry, application.resolve) for entry in found if entry.kind != "absent"
        )
        entries.append(JournalEntry(id=resource.id, objects=objects))
    return journal_of(
        [*entries, *_kept(plan, application.state)],
        at=application.at,
        by=application.by,
        revision=application.revision,
    )


def _entries_of(resource: Resource, change: Change | None, state: HostState) -> tuple[Entry, ...]:
    if change is not None and change.entries and isinstance(resource, Envdir):
        return change.entries
    if isinstance(resource, Envdir):
        number = int(state.paths[resource.name].target.rpartition("/")[2])
        return resource.generation(number)
    return resource.entries()


def _kept(plan: HostPlan, state: HostState) -> Iterator[JournalEntry]:
    """Entries of the journal before that stay ours although no role speaks of them."""
    for entry in state.journal.resources if state.journal is not None else ():
        objects = tuple(each for each in entry.objects if each.path in plan.orphans)
        if objects or block_path(entry.id) in plan.orphans:
            yield JournalEntry(id=entry.id, objects=objects)


def _journal_files(journal: Journal) -> tuple[Entry, ...]:
    texts = ((JOURNAL, dump_journal(journal)), (PATHS, dump_paths(journal)))
    return tuple(
        Entry(path=path, kind="file", mode="0600", content=Content.of(text)) for path, text in texts
    )


def _tidy(entries: _Entries, state: HostState) -> Iterator[str]:
    for _, entry in entries:
        if _goes_if_empty(entry, state):
            yield call("tidy", entry.path)


def _goes_if_empty(entry: Entry, state: HostState) -> bool:
    there = state.paths.get(entry.path, ABSENT)
    return entry.kind == "absent" and there.kind == "directory"


def _old_generations(changes: Iterable[Change]) -> Iterator[str]:
    for change in changes:
        if isinstance(change.resource, Envdir) and change.entries:
            current = change.entries[1].path.rpartition("/")[2]
            yield call("old_generations", change.resource.store, current, str(GENERATIONS_KEPT))
