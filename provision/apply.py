"""Carry out a plan on hosts: a canary first, replicas before primaries, and stop when one fails.

Each host is looked at again before it is touched: if what would change is not what was shown, the
host is left alone. Afterwards it is looked at a third time, and nothing may be left to change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
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
from provision.transport import (
    CommandTimeoutError,
    ConnectionLostError,
    Outcome,
    Session,
    run_on,
)

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
        early = _without_touching(plans[job.host], restart=job.host in order.allow_restart)
        if early is not None:
            results[job.host] = early
            order.changed(early)
    waiting = [job for job in jobs if job.host not in results]
    run = _Run(plans, eyes, order)
    for batch in batches(waiting, plans, order.canary):
        for result in run.batch(batch):
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
    if outcome.ending == "refused":
        raise RefusedError(f"{session.target.name}: {outcome.message}")
    if outcome.ending != "applied":
        raise ApplyError(
            f"{session.target.name}: the interrupted apply could not be taken back: "
            f"{outcome.message}",
            hint="Look at /var/lib/provision on the host: pending says what belongs where.",
        )


def _without_touching(plan: HostPlan, *, restart: bool) -> HostResult | None:
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
    if plan.pending or (restart and plan.awaiting_restart):
        return None
    return HostResult(host=plan.host, status="unchanged")


class _Run:
    """One apply over a fleet; once a host fails, no other is begun, also of those that wait."""

    def __init__(self, plans: Mapping[str, HostPlan], eyes: Eyes, order: Order) -> None:
        self._plans = plans
        self._eyes = eyes
        self._order = order
        self._stopped = Event()

    def batch(self, jobs: Sequence[HostJob]) -> list[HostResult]:
        """Apply to these hosts, some at a time."""
        by_target = {job.target: job for job in jobs}
        results: dict[str, HostResult] = {}

        def work(session: Session) -> HostResult:
            return self._noted(self._result(session, by_target[session.target]))

        def finished(outcome: Outcome[HostResult]) -> None:
            host = by_target[outcome.target].host
            result = outcome.value or self._noted(_failure(host, outcome.error))
            results[host] = result
            self._order.changed(result)

        if self._stopped.is_set():
            return [HostResult(host=job.host, status="not_started") for job in jobs]
        run_on(
            list(by_target),
            work,
            parallel=self._eyes.parallel,
            password=self._eyes.password,
            started=lambda target: self._order.doing(by_target[target].host, "connecting"),
            finished=finished,
        )
        return [results[job.host] for job in jobs]

    def _result(self, session: Session, job: HostJob) -> HostResult:
        if self._stopped.is_set():
            return HostResult(host=job.host, status="not_started")
        try:
            return _apply_host(session, job, self._plans[job.host], self._eyes, self._order)
        except ProvisionError as error:
            return _failure(job.host, error)

    def _noted(self, result: HostResult) -> HostResult:
        if result.stops:
            self._stopped.set()
        return result


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
    except (ConnectionLostError, CommandTimeoutError):
        answer = b""
    outcome = parse_outcome(answer)
    if outcome.ending == "refused":
        raise RefusedError(
            f"{job.host}: {outcome.message}; nothing was changed",
            hint="Make the plan again and look at it.",
        )
    if outcome.ending in ("failed", "rolled_back"):
        what = "nothing was changed" if outcome.ending == "failed" else "everything was taken back"
        return HostResult(
            host=job.host,
            status=outcome.ending,
            message=f"at {outcome.step}: {outcome.message}; {what}",
        )
    if outcome.ending == "lost":
        raise ApplyError(
            f"{job.host}: the connection ended during the apply",
            hint="What was begun goes on there to its end, or is taken back by the next apply; "
            "make the plan again.",
        )
    order.doing(job.host, "verifying")
    return _verified(session, job, observed.plan, eyes)


def _verified(session: Session, job: HostJob, plan: HostPlan, eyes: Eyes) -> HostResult:
    """Look again: what was applied has to be there."""
    try:
        left = look(session, job, eyes).plan.pending
    except UnreachableError as error:
        return HostResult(
            host=job.host,
            status="failed",
            message=f"applied, and then not seen again: {error.message}",
            hint="Make the plan again.",
        )
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
