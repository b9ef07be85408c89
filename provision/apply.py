"""Carry out a plan on hosts: a canary first, replicas before primaries, and stop when one fails.

Each host is looked at again before it is touched: if what would change is not what was shown, the
host is left alone. Afterwards it is looked at a third time, and nothing may be left to change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import uuid4

from provision.application import Application, apply_script, parse_outcome, recovery_script
from provision.errors import (
    ApplyError,
    ProvisionError,
    RefusedError,
    UnreachableError,
)
from provision.job import HostJob
from provision.observe import Eyes, Observed, look
from provision.plan.model import HostPlan, Plan
from provision.transport import ConnectionLostError, Session, run_on

SECONDS = 900.0

Status = Literal[
    "applied", "unchanged", "failed", "rolled_back", "refused", "unreachable", "held", "not_started"
]
_CODES: Mapping[Status, int] = {
    "applied": 0,
    "unchanged": 0,
    "failed": 5,
    "rolled_back": 5,
    "refused": 3,
    "unreachable": 4,
    "held": 3,
    "not_started": 5,
}


@dataclass(frozen=True, kw_only=True)
class HostResult:
    """How applying ended on one host; `message` and `hint` say why if it did not go well."""

    host: str
    status: Status
    message: str = ""
    hint: str = ""
    changes: int = 0

    @property
    def exit_code(self) -> int:
        """What this host has to say about the exit code."""
        return _CODES[self.status]

    @property
    def stops(self) -> bool:
        """Whether the hosts that have not been started are better left alone."""
        return self.status in ("failed", "rolled_back")


@dataclass(frozen=True, kw_only=True)
class Order:
    """How to go over the fleet: who applies what, when and where PostgreSQL may be restarted.

    `canary` hosts are done one at a time, before all others of their rank. `doing` is told what
    happens to a host while it is worked on, `changed` how it ended; both in its own thread.
    """

    by: str
    revision: str
    at: datetime
    canary: int = 1
    allow_restart: frozenset[str] = frozenset()
    doing: Callable[[str, str], None] = field(default=lambda _host, _what: None)
    changed: Callable[[HostResult], None] = field(default=lambda _: None)


def apply_plan(
    jobs: Sequence[HostJob], shown: Plan, eyes: Eyes, order: Order
) -> tuple[HostResult, ...]:
    """Apply the plan that was shown; results are in its order."""
    plans = {plan.host: plan for plan in shown.hosts}
    results: dict[str, HostResult] = {}
    for job in jobs:
        early = _without_touching(plans[job.host])
        if early is not None:
            results[job.host] = early
            order.changed(early)
    waiting = [job for job in jobs if job.host not in results]
    for batch in batches(waiting, plans, order.canary):
        stopped = any(result.stops for result in results.values())
        for result in (
            [HostResult(host=job.host, status="not_started") for job in batch]
            if stopped
            else _apply_batch(batch, plans, eyes, order)
        ):
            results[result.host] = result
    return tuple(results[job.host] for job in jobs)


def batches(
    jobs: Sequence[HostJob], plans: Mapping[str, HostPlan], canary: int
) -> Iterator[list[HostJob]]:
    """Replicas before primaries; of each the canaries alone, and then the rest together."""
    for primaries in (False, True):
        rank = [job for job in jobs if plans[job.host].primary == primaries]
        first = 0 if len(rank) <= 1 else min(canary, len(rank))
        for job in rank[:first]:
            yield [job]
        if rank[first:]:
            yield rank[first:]


def recover_hosts(jobs: Sequence[HostJob], plan: Plan, eyes: Eyes) -> bool:
    """Take back interrupted applies; return whether there were any, so that it is planned anew.

    Raises the first error of a host where that fails.
    """
    interrupted = {host.host for host in plan.hosts if host.interrupted and host.status == "ok"}
    targets = [job.target for job in jobs if job.host in interrupted]
    for outcome in run_on(targets, recover, parallel=eyes.parallel, password=eyes.password):
        if outcome.error is not None:
            raise outcome.error
    return bool(targets)


def recover(session: Session) -> None:
    """Take back what an interrupted apply had done; raises ApplyError if that fails."""
    outcome = parse_outcome(session.run_as_root(recovery_script(), timeout=SECONDS).stdout)
    if outcome.ending != "applied":
        raise ApplyError(
            f"{session.target.name}: the interrupted apply could not be taken back: "
            f"{outcome.message}",
            hint="Look at /var/lib/provision on the host: pending says what belongs where.",
        )


def _without_touching(plan: HostPlan) -> HostResult | None:
    """The result of a host on which nothing is to be done, or may be."""
    if plan.status == "held":
        return HostResult(host=plan.host, status="held", message=plan.problem)
    if plan.status == "unreachable":
        return HostResult(
            host=plan.host, status="unreachable", message=plan.problem, hint=plan.hint
        )
    if plan.status != "ok":
        return HostResult(host=plan.host, status="refused", message=plan.problem, hint=plan.hint)
    unknown = [change for change in plan.changes if change.action == "unknown"]
    if unknown:
        return HostResult(
            host=plan.host,
            status="refused",
            message=f"{unknown[0].id}: {', '.join(unknown[0].notes)}",
            hint="A host is changed as a whole or not at all; make everything available first.",
        )
    return None if plan.pending else HostResult(host=plan.host, status="unchanged")


def _apply_batch(
    batch: Sequence[HostJob], plans: Mapping[str, HostPlan], eyes: Eyes, order: Order
) -> list[HostResult]:
    by_target = {job.target: job for job in batch}

    def work(session: Session) -> HostResult:
        job = by_target[session.target]
        result = _apply_host(session, job, plans[job.host], eyes, order)
        order.changed(result)
        return result

    outcomes = run_on(
        [job.target for job in batch],
        work,
        parallel=eyes.parallel,
        password=eyes.password,
        started=lambda target: order.doing(by_target[target].host, "connecting"),
    )
    return [
        outcome.value or _failure(job.host, outcome.error)
        for job, outcome in zip(batch, outcomes, strict=True)
    ]


def _apply_host(
    session: Session, job: HostJob, shown: HostPlan, eyes: Eyes, order: Order
) -> HostResult:
    order.doing(job.host, "looking")
    observed = look(session, job, eyes)
    if observed.plan != shown:
        raise RefusedError(
            f"{job.host} has changed since the plan was made",
            hint="Make the plan again and look at it.",
        )
    script = apply_script(observed.plan, _application(job, observed, eyes, order))
    order.doing(job.host, "applying")
    try:
        answer = session.run_as_root(script, timeout=SECONDS).stdout
    except ConnectionLostError:
        answer = b""
    outcome = parse_outcome(answer)
    if outcome.ending in ("failed", "rolled_back"):
        what = "nothing was changed" if outcome.ending == "failed" else "everything was taken back"
        return HostResult(
            host=job.host,
            status=outcome.ending,
            message=f"at {outcome.step}: {outcome.message}; {what}",
        )
    if outcome.ending == "lost":
        raise ApplyError(
            f"{job.host}: the connection ended during the apply, after {outcome.step or 'begin'}",
            hint="What was begun goes on there to its end, or is taken back by the next apply; "
            "make the plan again.",
        )
    order.doing(job.host, "verifying")
    return _verified(session, job, observed.plan, eyes)


def _verified(session: Session, job: HostJob, plan: HostPlan, eyes: Eyes) -> HostResult:
    """Look again: what was applied has to be there."""
    left = look(session, job, eyes).plan.pending
    if left:
        return HostResult(
            host=job.host,
            status="failed",
            message=f"applied, and still {len(left)} changes are pending: {left[0].id}",
            hint="Something else on the host changes what provision writes.",
        )
    return HostResult(host=job.host, status="applied", changes=len(plan.pending))


def _application(job: HostJob, observed: Observed, eyes: Eyes, order: Order) -> Application:
    return Application(
        id=uuid4().hex[:12],
        at=order.at,
        by=order.by,
        revision=order.revision,
        catalog=job.catalog,
        state=observed.state,
        server=job.server,
        resolve=eyes.resolve,
        restart=job.restart if job.host in order.allow_restart else (),
    )


def _failure(host: str, error: ProvisionError | None) -> HostResult:
    assert error is not None
    status: Status = "failed"
    if isinstance(error, RefusedError):
        status = "refused"
    elif isinstance(error, UnreachableError):
        status = "unreachable"
    return HostResult(host=host, status=status, message=error.message, hint=error.hint or "")
