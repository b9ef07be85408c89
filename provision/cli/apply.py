"""Change hosts as the plan says: replicas before primaries, a canary first.

The plan is shown and has to be confirmed. Each host is looked at again before it is touched, and
left alone if it is not what the plan saw. A host on which anything fails is put back as it was, and
no other host is begun.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from provision.apply import HostResult, Order, apply_plan, recover_hosts
from provision.cli.fleet import chosen, engineer, eyes_of, jobs_of, revision_of
from provision.cli.options import add_connection, add_project, add_selectors
from provision.cli.progress import progress
from provision.cli.show import show
from provision.errors import RefusedError, UsageError, worst
from provision.job import HostJob
from provision.observe import Eyes, plan_hosts
from provision.plan.model import Plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--prune", action="store_true", help="also remove what earlier roles left behind"
    )
    parser.add_argument(
        "--canary", metavar="N", type=int, default=1, help="hosts that are done alone first (1)"
    )
    parser.add_argument(
        "--allow-restart",
        metavar="HOST",
        action="append",
        default=[],
        help="restart PostgreSQL on this host if its settings need that",
    )
    add_project(parser)
    add_selectors(parser)
    add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Plan, ask, apply."""
    members = chosen(arguments)
    jobs = jobs_of(members, arguments)
    _check_restarts(arguments.allow_restart, jobs)
    eyes = eyes_of(arguments, prune=arguments.prune)
    revision = revision_of(arguments.project)
    plan = _plan(jobs, eyes, revision)
    show(plan, "text")
    if not _something_to_do(plan, arguments.allow_restart):
        return worst(plan.exit_codes)
    _confirm(plan, yes=arguments.yes)
    with progress([job.host for job in jobs], verb="applying", lines=True) as shown:
        order = Order(
            by=engineer(),
            revision=revision,
            at=datetime.now(UTC),
            canary=arguments.canary,
            allow_restart=frozenset(arguments.allow_restart),
            doing=lambda host, what: shown.tell(host, what, done=False),
            changed=lambda result: shown.tell(result.host, _words(result)),
        )
        results = apply_plan(jobs, plan, eyes, order)
    _summary(results)
    return exit_code(results)


def exit_code(results: Sequence[HostResult]) -> int:
    """Return what all hosts together have to say: 5 where some were changed and others not."""
    code = worst(result.exit_code for result in results)
    changed = any(result.status == "applied" for result in results)
    return 5 if changed and code in (3, 4) else code


def _plan(jobs: tuple[HostJob, ...], eyes: Eyes, revision: str) -> Plan:
    with progress([job.host for job in jobs], verb="looking", lines=False) as shown:
        plan = plan_hosts(
            jobs,
            eyes,
            revision=revision,
            started=lambda host: shown.tell(host, "looking", done=False),
            finished=lambda host, status: shown.tell(host, status),
        )
    if recover_hosts(jobs, plan, eyes):
        print("took back an interrupted apply; looking again")
        return plan_hosts(jobs, eyes, revision=revision)
    return plan


def _something_to_do(plan: Plan, restarts: Sequence[str]) -> bool:
    return any(
        host.pending or (host.awaiting_restart and host.host in restarts)
        for host in plan.hosts
        if host.status == "ok"
    )


def _check_restarts(names: Sequence[str], jobs: Sequence[HostJob]) -> None:
    unknown = set(names) - {job.host for job in jobs}
    if unknown:
        raise UsageError(
            f"--allow-restart {min(unknown)}: that host is not among those that are applied",
            hint="Name hosts as the inventory does, without patterns.",
        )


def _confirm(plan: Plan, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise RefusedError(
            "nobody can be asked whether to apply this", hint="Give --yes where that is decided."
        )
    count = sum(bool(host.pending) for host in plan.hosts)
    print(f"Change {count} hosts? Only 'yes' does: ", end="", flush=True)
    if sys.stdin.readline().strip() != "yes":
        raise RefusedError("not confirmed; nothing was changed")


def _words(result: HostResult) -> str:
    """How a host ended, in a few words; the whole message is in the summary."""
    return {
        "applied": f"applied, {result.changes} changes",
        "unchanged": "nothing to do",
        "not_started": "not begun",
    }.get(result.status, result.status.replace("_", " "))


def _summary(results: Sequence[HostResult]) -> None:
    counts: dict[str, int] = {}
    for result in results:
        counts[result.status] = counts.get(result.status, 0) + 1
        if result.message:
            print(f"{result.host}: {_words(result)}: {result.message}")
        if result.hint:
            print(f"    hint: {result.hint}")
    print(", ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.items()))
