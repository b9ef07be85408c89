"""What a report takes from other verbs: the drills on record, and what retention would remove.

The verbs do not know each other, so their values become the report's here.
"""

from __future__ import annotations

import shlex
from datetime import datetime, timedelta

from backup_core.cli import delete
from backup_core.cli.options import Parser
from backup_core.config import Settings
from backup_core.config.signing import checker
from backup_core.errors import UsageError
from backup_core.report.model import Drill, Phase, Retention, Verdict
from backup_core.repository import drills
from backup_core.repository.drills import StoredDrill
from backup_core.retention.policy import RetentionPlan, plan_retention
from backup_core.retention.request import Request
from backup_core.retention.survey import read_holdings
from backup_core.storage.base import Storage

_NEWEST = 60


def drills_on_record(storage: Storage, settings: Settings) -> tuple[Drill, ...]:
    """The newest drills, oldest first, their signatures checked if there is a key."""
    return tuple(map(_drill, drills.load_newest(storage, _NEWEST, checker(settings))))


def _drill(stored: StoredDrill) -> Drill:
    record = stored.record
    return Drill(
        name=stored.name,
        drill=record.drill,
        host=record.host,
        started=record.started,
        finished=record.finished,
        succeeded=record.succeeded,
        failed_phase=record.failed_phase,
        error=record.error,
        backup=record.backup,
        timeline=record.timeline,
        recovery_seconds=record.recovery_seconds,
        data_lost_seconds=record.data_lost_seconds,
        signature=stored.signature,
        phases=tuple(
            Phase(name=each.name, state=each.state, seconds=each.seconds) for each in record.phases
        ),
    )


def request_in(words: str) -> Request:
    """What `pitr delete retain` would be asked with these words; raises UsageError."""
    parser = Parser(prog="pitr delete")
    delete.configure(parser)
    try:
        found = shlex.split(words)
    except ValueError:
        raise UsageError(f"the quotes in --retain {words} do not end") from None
    args = parser.parse(["retain", *found])
    if args.confirm or args.json or args.repository or args.config or args.envdir:
        raise UsageError(
            f"--retain takes only what is to be kept, not all of {words}",
            hint="As in: --retain 'FULL 7' or --retain '--window 14d --weekly 8'.",
        )
    return delete.request_of(args)


def outlook(
    storage: Storage, request: Request, settings: Settings, *, words: str, now: datetime
) -> Retention:
    """What retention would remove now."""
    promised = settings.recovery_window
    held = read_holdings(
        storage, now=now, promised=None if promised is None else timedelta(seconds=promised)
    )
    return _retention(plan_retention(request, held), words)


def _retention(plan: RetentionPlan, words: str) -> Retention:
    return Retention(
        policy=f"retain {words}",
        verdicts=tuple(
            Verdict(name=each.name, keep=each.keep, reason=each.reason, size=each.size)
            for each in plan.verdicts
        ),
        wal_segments=sum(run.count for run in plan.wal_ranges),
        freed=plan.size,
    )
