"""The runbook as fabric tasks: `fab --list`. Thin: decisions are in provision.operations.

fab's own connections trust every host key, so none is ever opened: hosts are named after the task,
as the inventory calls them, and reached by our transport. fab's -i and --prompt-for-sudo-password
say what they usually say; without -i the ssh agent's keys are offered.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from provision.cli.fleet import engineer, target_of
from provision.cli.hosts import host_of, place_in
from provision.errors import ProvisionError, RefusedError, UsageError, worst
from provision.inventory import Host
from provision.operations import backup as backups
from provision.operations import check as checks
from provision.operations import drill as drills
from provision.operations import promote, replay, restore
from provision.operations.place import Place
from provision.operations.plan import Plan, carry_out, check_confirmation, patient
from provision.operations.sight import see
from provision.project import Project, choose, load
from provision.selection import Selectors
from provision.transport import AskPassword, Session, Target, run_on

T = TypeVar("T")
_Decide = Callable[[Session, Place], Plan]
_HOST = {"host": "the host, as the inventory calls it"}


@task(name="check", help={"host": "hosts by name, also with * and ? (all)"})
def check_hosts(context: Context, host: str = "*") -> None:
    """Is all well: archiving, replicas, backups, holds?"""
    with _errors():
        places = _places(context, host)
        codes = _on_each(context, places, checks.check, _found)
        _end(codes, "hosts", f"{sum(map(bool, codes))} with problems", "all well")


@task(name="backup", help=_HOST)
def take_backup(context: Context, host: str) -> None:
    """Take a base backup now, as the schedule would."""
    _run(context, host, lambda session, place: backups.plan_backup(place, see(session, place)))


@task(name="backup-list", help=_HOST)
def list_backups(context: Context, host: str) -> None:
    """List the base backups in a host's repository."""
    with _errors():
        place, target = _place(context, host)
        with Session(target, password=_password(context)) as session:
            print(f"{host}: {place.repository}")
            print(backups.backup_list(session, place), end="")


@task(name="drill", help={**_HOST, "name": "the drill, as the roles call it (all of the host's)"})
def drill_host(context: Context, host: str, name: str = "") -> None:
    """Prove now that a backup can be restored."""
    _run(
        context,
        host,
        lambda session, place: drills.plan_drill(place, see(session, place), name),
    )


@task(name="drill-all", help={"host": "hosts by name, also with * and ? (all)"})
def drill_all(context: Context, host: str = "*") -> None:
    """Run all drills of the fleet, each now."""
    with _errors():
        every = _places(context, host)
        places = {
            patient(target, drills.SECONDS): place
            for target, place in every.items()
            if place.drills
        }
        if not places:
            raise UsageError(
                "no host drills", hint="One needs recipe[pitr::drill], with schedules."
            )
        codes = _on_each(context, places, drills.run_all, _drilled)
        _end(codes, "drills", f"{sum(map(bool, codes))} failed", "all proved")


@task(
    name="restore",
    help={
        **_HOST,
        "backup": "a backup's name (the newest that serves the target)",
        "target_time": "restore to this moment; with its offset from UTC",
        "target_lsn": "restore to this WAL position",
        "target_name": "restore to this restore point",
        "target_action": "pause, promote or shutdown, at the target (pause)",
        "start": "start the server afterwards",
    },
)
def restore_host(
    context: Context,
    host: str,
    backup: str = "",
    target_time: str = "",
    target_lsn: str = "",
    target_name: str = "",
    target_action: str = "",
    start: bool = False,
) -> None:
    """Replace a host's data directory by a base backup."""
    wanted = restore.Wanted(
        backup=backup,
        target_time=target_time,
        target_lsn=target_lsn,
        target_name=target_name,
        target_action=target_action,
        start=start,
    )
    at = datetime.now(UTC)

    def decide(session: Session, place: Place) -> Plan:
        sight = see(session, place, measure=True)
        restore.check_place(place, sight, wanted, engineer())
        shown = restore.preview(session, place, wanted, at)
        return restore.plan_restore(place, sight, wanted, shown, at)

    _run(context, host, decide)


@task(name="pause-replay", help=_HOST)
def pause_replay(context: Context, host: str) -> None:
    """Stop a replica's replay, before a mistake arrives."""
    _run(
        context,
        host,
        lambda session, place: replay.plan_pause(place, see(session, place), engineer()),
    )


@task(name="resume-replay", help=_HOST)
def resume_replay(context: Context, host: str) -> None:
    """Let a replica go on where it was paused."""
    _run(
        context,
        host,
        lambda session, place: replay.plan_resume(place, see(session, place), engineer()),
    )


@task(
    name="promote-delayed",
    help={**_HOST, "until": "replay up to this moment first; with its offset from UTC (no more)"},
)
def promote_delayed(context: Context, host: str, until: str = "") -> None:
    """Make a delayed replica, paused in time, a primary."""
    with _errors():
        moment = _moment(until) if until else None
    _run(
        context,
        host,
        lambda session, place: promote.plan_promote(place, see(session, place), engineer(), moment),
    )


def _places(context: Context, host: str) -> dict[Target, Place]:
    project = _project(context)
    hosts = choose(project, Selectors(hosts=(host,)))
    return {_target(context, each): place_in(project, each) for each in hosts}


def _on_each(
    context: Context,
    places: Mapping[Target, Place],
    work: Callable[[Session, Place], T],
    show: Callable[[T], Iterable[int]],
) -> list[int]:
    """Do something on several hosts; `show` prints what came of it and returns exit codes."""
    outcomes = run_on(
        tuple(places),
        lambda session: work(session, places[session.target]),
        password=_password(context),
    )
    codes: list[int] = []
    for outcome in outcomes:
        print(places[outcome.target].called)
        if outcome.error is not None:
            print(f"  {'unreachable':11} {outcome.error.message}")
            codes.append(outcome.error.exit_code)
        elif outcome.value is not None:
            codes += show(outcome.value)
    return codes


def _found(findings: Sequence[checks.Finding]) -> list[int]:
    for each in findings:
        print(f"  {each.level:8} {each.text}")
    return [int(checks.has_problems(findings))]


def _drilled(results: Sequence[drills.DrillResult]) -> list[int]:
    for each in results:
        print(f"  {'proved' if each.proved else 'FAILED':11} {each.drill}: {each.text}")
    return [int(not each.proved) for each in results]


def _end(codes: Sequence[int], what: str, bad: str, good: str) -> None:
    print(f"{len(codes)} {what}, {bad if any(codes) else good}")
    if any(codes):
        raise Exit(code=worst(codes))


def _run(context: Context, name: str, decide: _Decide) -> None:
    """Decide, show, ask, look again, do."""
    with _errors():
        place, target = _place(context, name)
        with Session(target, password=_password(context)) as session:
            plan = decide(session, place)
            print(plan, flush=True)
            if plan.confirm:
                check_confirmation(plan, _typed(name))
                if decide(session, place).calls != plan.calls:
                    raise RefusedError(
                        f"{name} has changed since the plan was shown; nothing was done",
                        hint="Look at the plan again.",
                    )
            for line in carry_out(session, plan) if plan.calls else ("nothing to do",):
                print(f"  {line}", flush=True)


@contextmanager
def _errors() -> Iterator[None]:
    """End as the commands of provision do: the error, the hint, the exit code."""
    try:
        yield
    except ProvisionError as error:
        hint = f"\nhint: {error.hint}" if error.hint else ""
        raise Exit(f"error: {error.message}{hint}", code=error.exit_code) from None
    except KeyboardInterrupt:
        raise Exit("interrupted; what was begun on a host goes on there", code=130) from None


def _project(context: Context) -> Project:
    if hasattr(context, "host"):
        raise UsageError(
            "hosts are not named by -H here", hint="Name the host after the task: fab check db1"
        )
    return load(Path(context.config.provision.project))


def _place(context: Context, name: str) -> tuple[Place, Target]:
    project = _project(context)
    host = host_of(project, name)
    return place_in(project, host), patient(_target(context, host), restore.SECONDS)


def _target(context: Context, host: Host) -> Target:
    identities = context.config.connect_kwargs.get("key_filename") or []
    known_hosts = context.config.provision.known_hosts
    arguments = Namespace(
        identity=[Path(each) for each in identities],
        known_hosts=[Path(known_hosts)] if known_hosts else [],
        use_agent=not identities,
    )
    return target_of(host, arguments)


def _password(context: Context) -> AskPassword | None:
    password = context.config.sudo.password
    return (lambda _target: str(password)) if password else None


def _typed(name: str) -> str:
    print(f"Type the host's name, {name}, to do it: ", end="", flush=True)
    typed = sys.stdin.readline().strip()
    if not sys.stdin.isatty():
        print()
    return typed


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f'"{text}" is not a time', hint='Write "2026-11-24 08:00+00:00".'
        ) from None


namespace = Collection(
    check_hosts,
    take_backup,
    list_backups,
    drill_host,
    drill_all,
    restore_host,
    pause_replay,
    resume_replay,
    promote_delayed,
)
namespace.configure({"provision": {"project": ".", "known_hosts": ""}})
