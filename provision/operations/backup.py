"""A base backup now, by the script that the schedule runs: the same lock, log and metrics."""

from __future__ import annotations

from provision.agent import call
from provision.errors import ProvisionError, RefusedError
from provision.operations.place import Place
from provision.operations.plan import Plan
from provision.operations.sight import Sight, run_program, running
from provision.transport import Session

_LISTING_SECONDS = 600.0
_WRONG_LISTING = 6


def plan_backup(place: Place, sight: Sight) -> Plan:
    """Take a base backup; raises RefusedError on a host whose roles take none there."""
    if not place.backs_up:
        raise RefusedError(
            f"{place.called} takes no base backups",
            hint="Name a host whose run list has recipe[pitr::base_backup].",
        )
    server = running(place, sight)
    if place.gate and server.in_recovery != (place.gate == "t"):
        found = "in recovery" if server.in_recovery else "a primary"
        run_on = place.node.attributes.pitr.base_backup.run_on
        raise RefusedError(
            f"{place.called} is {found}, and base backups are taken on a {run_on}",
            hint=f"Name the {run_on} of the cluster {place.node.cluster}.",
        )
    layout = place.layout
    script = f"{layout.jobs}/base-backup"
    log = f"{layout.log_directory}/base-backup.log"
    seconds = float(place.node.attributes.pitr.base_backup.timeout.seconds + 120)
    return Plan(
        host=place.host,
        title="base backup",
        facts=(("repository", place.repository), ("log", log)),
        steps=(f"run {script} as {layout.user}",),
        calls=(call("job", "a base backup", layout.user, script, log),),
        seconds=seconds,
    )


def backup_list(session: Session, place: Place) -> str:
    """Return the list of base backups as the engine prints it; raises ProvisionError."""
    words = place.layout.engine("backup-list")
    status, output = run_program(session, place, words, seconds=_LISTING_SECONDS)
    if status not in (0, _WRONG_LISTING):
        said = (output.strip().splitlines() or [f"exit code {status}"])[-1]
        raise ProvisionError(
            f"{place.host}: the backups cannot be listed: {said}",
            hint=f"Try 'provision apply --host {place.host}' if nothing was applied there yet.",
        )
    return output
