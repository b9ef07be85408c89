"""Show what others changed on hosts since the last apply, by the journal that it left there.

The roles have no say: see plan for those. Exits with 2 if anything has drifted.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from provision.cli.fleet import chosen, eyes_of, jobs_of
from provision.cli.options import add_connection, add_project, add_selectors
from provision.errors import UnreachableError, worst
from provision.job import HostJob
from provision.observe import Eyes, look
from provision.plan.drift import Drift, drift_of
from provision.transport import Outcome, Session, run_on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_project(parser)
    add_selectors(parser)
    add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Look at the hosts and print what has drifted."""
    jobs = jobs_of(chosen(arguments), arguments)
    outcomes = _look(jobs, eyes_of(arguments))
    found = [drift for outcome in outcomes for drift in outcome.value or ()]
    if arguments.json:
        print(json.dumps([asdict(drift) for drift in found], indent=1))
    else:
        _show(found, len(jobs))
    codes = [2 * bool(found)]
    for outcome in outcomes:
        if outcome.error is not None:
            print(f"! {outcome.target.name}: {outcome.error.message}")
            codes.append(4 if isinstance(outcome.error, UnreachableError) else 1)
    return worst(codes)


def _look(jobs: tuple[HostJob, ...], eyes: Eyes) -> tuple[Outcome[tuple[Drift, ...]], ...]:
    by_target = {job.target: job for job in jobs}

    def work(session: Session) -> tuple[Drift, ...]:
        observed = look(session, by_target[session.target], eyes)
        return drift_of(observed.plan.host, observed.state, observed.plan.warnings)

    return run_on(list(by_target), work, parallel=eyes.parallel, password=eyes.password)


def _show(found: list[Drift], hosts: int) -> None:
    for drift in found:
        where = f" {drift.path}" if drift.path else ""
        notes = f": {', '.join(drift.notes)}" if drift.notes else ""
        print(f"{drift.host}: {drift.kind.replace('_', ' ')}{where}{notes}")
    drifted = len({drift.host for drift in found})
    print(f"{drifted} of {hosts} hosts have drifted")
