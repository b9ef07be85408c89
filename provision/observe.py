"""Look at hosts: one round trip each, and what it means for the plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from provision.content import Resolve
from provision.errors import ProvisionError, UnreachableError
from provision.job import HostJob
from provision.journal import in_force
from provision.observation import observation_script, parse_observation
from provision.plan.compare import compare_host
from provision.plan.model import HostPlan, Plan, Status
from provision.plan.paths import Comparison, Diff
from provision.state import HostState
from provision.transport import AskPassword, Outcome, Session, run_on

SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Eyes:
    """How hosts are looked at: secrets, redacted diffs, the time, and how many at once."""

    resolve: Resolve = field(repr=False)
    diff: Diff
    now: datetime
    prune: bool = False
    parallel: int = 10
    password: AskPassword | None = None


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a host was, and what would change on it."""

    plan: HostPlan
    state: HostState


def look(session: Session, job: HostJob, eyes: Eyes) -> Observed:
    """Observe one host and compare; raises UnreachableError if it does not answer in full."""
    script = observation_script(job.catalog, job.server)
    result = session.run_as_root(script.encode(), timeout=SECONDS)
    if result.exit_status != 0:
        said = result.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UnreachableError(
            f"{job.host} cannot be looked at: {said[-1] if said else 'no reason given'}",
            hint="The host needs a POSIX shell, coreutils, findutils and tar.",
        )
    state = parse_observation(result.stdout, job.catalog, job.server)
    if not in_force(state.hold, eyes.now):
        state = replace(state, hold=None)
    comparison = Comparison(state=state, resolve=eyes.resolve, diff=eyes.diff)
    plan = compare_host(job.catalog, comparison, job.rules, prune=eyes.prune)
    return Observed(plan=plan, state=state)


def plan_hosts(
    jobs: Sequence[HostJob],
    eyes: Eyes,
    *,
    revision: str = "",
    started: Callable[[str], None] | None = None,
    finished: Callable[[str, str], None] | None = None,
) -> Plan:
    """Look at every host and return the plan; a host that fails is in it with its reason.

    `started` is told the host, in a thread of its own, `finished` also how it ended.
    """
    by_target = {job.target: job for job in jobs}

    def done(outcome: Outcome[HostPlan]) -> None:
        if finished is not None:
            status = "looked at" if outcome.error is None else "unreachable"
            finished(by_target[outcome.target].host, status)

    outcomes = run_on(
        [job.target for job in jobs],
        lambda session: look(session, by_target[session.target], eyes).plan,
        parallel=eyes.parallel,
        password=eyes.password,
        started=lambda target: started(by_target[target].host) if started else None,
        finished=done,
    )
    plans = (_plan(job, outcome) for job, outcome in zip(jobs, outcomes, strict=True))
    return Plan(hosts=tuple(plans), revision=revision)


def _plan(job: HostJob, outcome: Outcome[HostPlan]) -> HostPlan:
    if outcome.value is not None:
        return outcome.value
    assert outcome.error is not None
    return failed_plan(job.host, outcome.error)


def failed_plan(host: str, error: ProvisionError) -> HostPlan:
    """The plan of a host that could not be looked at."""
    status: Status = "unreachable" if isinstance(error, UnreachableError) else "error"
    problem = error.message.removeprefix(f"{host}: ")
    return HostPlan(host=host, status=status, problem=problem, hint=error.hint or "")
