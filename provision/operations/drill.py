"""A restore drill now, by the script that the schedule runs: the same lock, log and metrics."""

from __future__ import annotations

from dataclasses import dataclass

from provision.agent import call
from provision.errors import ProvisionError, RefusedError, UsageError
from provision.operations.place import Place
from provision.operations.plan import DAY, Plan, carry_out
from provision.operations.sight import Sight, see
from provision.recipes.drill import job_name, scheduled
from provision.schema.recovery import DrillSchedule
from provision.suggestion import did_you_mean
from provision.transport import Session

SECONDS = 2 * DAY


def plan_drill(place: Place, sight: Sight, name: str) -> Plan:
    """Run the drill of this name, or all of the host's where it is empty.

    Raises RefusedError on a host whose roles have no drills, UsageError for a name that none has.
    """
    if not place.drills:
        raise RefusedError(
            f"{place.called} has no drills",
            hint="Name a host whose run list has recipe[pitr::drill] and that has schedules.",
        )
    if not sight.tooled:
        raise RefusedError(
            f"{place.host} has no engine, or no environment for it",
            hint=f"Run 'provision apply --host {place.host}' first.",
        )
    chosen = _chosen(place, name)
    layout = place.layout
    jobs = [(f"{layout.jobs}/{job_name(each)}", job_name(each)) for each in chosen]
    logs = [f"{layout.log_directory}/{job}.log" for _, job in jobs]
    return Plan(
        host=place.host,
        title="restore drill",
        facts=(("repository", place.repository), ("log", "\n".join(logs))),
        steps=tuple(f"run {script} as {layout.user}" for script, _ in jobs),
        calls=tuple(
            call("job", f"the drill {each.name}", layout.user, script, log)
            for each, (script, _), log in zip(chosen, jobs, logs, strict=True)
        ),
        seconds=SECONDS,
    )


@dataclass(frozen=True, kw_only=True)
class DrillResult:
    """What came of one drill; `text` is its last words."""

    drill: str
    proved: bool
    text: str


def run_all(session: Session, place: Place) -> tuple[DrillResult, ...]:
    """Run each drill of a host, also after one that failed; raises RefusedError."""
    sight = see(session, place)
    return tuple(_run(session, place, sight, each.name) for each in scheduled(place.node))


def _run(session: Session, place: Place, sight: Sight, name: str) -> DrillResult:
    plan = plan_drill(place, sight, name)
    try:
        notes = carry_out(session, plan)
    except ProvisionError as error:
        return DrillResult(drill=name, proved=False, text=error.message)
    told = [note for note in notes if note.startswith("recovery ")]
    return DrillResult(drill=name, proved=True, text=" ".join((told or ["done"])[-1].split()))


def _chosen(place: Place, name: str) -> tuple[DrillSchedule, ...]:
    every = scheduled(place.node)
    if not name:
        return every
    found = tuple(each for each in every if each.name == name)
    if not found:
        known = [each.name for each in every]
        raise UsageError(
            f"{place.called} has no drill {name}",
            hint=did_you_mean(name, known),
        )
    return found
