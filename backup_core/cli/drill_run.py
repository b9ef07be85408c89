"""`pitr drill run`: the restore is put together with the drill, and the outcome is told."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Mapping

from backup_core import __version__, log
from backup_core.cli.backup_fetch import restore_command_for
from backup_core.cli.drill_records import document, shown
from backup_core.cli.options import environment, open_repository
from backup_core.cli.output import Reporter, reporter
from backup_core.config import Loaded
from backup_core.config.signing import signer
from backup_core.drill.ledger import Reporting
from backup_core.drill.request import DrillRequest
from backup_core.drill.run import Outcome, run_drill
from backup_core.drill.scratch import Scratch
from backup_core.drill.tools import Planned, Tools
from backup_core.postgres.recovery import RecoveryTarget, recovery_files
from backup_core.restore.fetch import carry_out
from backup_core.restore.prepare import RestoreRequest, plan_restore
from backup_core.storage.base import Storage


def drill(args: argparse.Namespace, loaded: Loaded, request: DrillRequest) -> int:
    """Run the drill and print what came of it; raises what ended it."""
    logger = log.get("drill")
    sign = signer(loaded.settings)
    storage = open_repository(loaded.settings)
    with reporter(logger) as report:
        reporting = Reporting(
            host=socket.gethostname(),
            version=__version__,
            step=report.step,
            warn=lambda text: log.event(logger, log.WARNING, text),
        )
        tools = Tools(
            plan=lambda backup, target, place: _plan(
                args, loaded, storage, report, backup, target, place
            ),
            reporting=reporting,
            environment=without_libpq(environment()),
            sign=sign,
            record=not args.no_record,
        )
        outcome = run_drill(storage, request, tools)
    _tell(args, outcome, signed=sign is not None)
    if outcome.error is not None:
        raise outcome.error
    return 0


def without_libpq(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would lead a client or the server elsewhere."""
    return {name: value for name, value in environ.items() if not name.startswith("PG")}


def _plan(
    args: argparse.Namespace,
    loaded: Loaded,
    storage: Storage,
    report: Reporter,
    backup: str | None,
    target: RecoveryTarget,
    place: Scratch,
) -> Planned:
    wanted = RestoreRequest(
        data_dir=place.data, backup=backup, target=target, tablespaces_below=place.tablespaces
    )
    planned = plan_restore(storage, wanted)
    report.total(planned.restored_size)
    recovery = recovery_files(
        planned.backup.major,
        target=target,
        restore_command=restore_command_for(args, loaded, planned, target),
        standby=False,
        archive_mode_off=True,
    )

    def restore() -> None:
        carry_out(
            storage,
            planned,
            recovery,
            workers=loaded.settings.download_concurrency,
            advance=report.advance,
            warn=lambda text: log.event(log.get("drill"), log.WARNING, text),
        )

    last = planned.wal[-1] if planned.wal else None
    return Planned(
        backup=planned.backup,
        timeline=last.timeline if last else planned.timeline,
        last_segment=last.last if last else None,
        wal_segments=sum(span.count for span in planned.wal),
        segment_size=planned.segment_size,
        stored_size=planned.stored_size,
        restored_size=planned.restored_size,
        has_manifest=planned.manifest is not None,
        recovery=recovery,
        restore=restore,
    )


def _tell(args: argparse.Namespace, outcome: Outcome, *, signed: bool) -> None:
    record = outcome.record
    if args.json:
        print(document(outcome.name, record, "good" if signed else "unsigned"))
    else:
        for line in shown(record):
            print(line)
    log.event(
        log.get("drill"),
        log.INFO if record.succeeded else log.ERROR,
        "the drill is done" if record.succeeded else "the drill failed",
        action="drill",
        name=record.drill,
        backup=record.backup,
        record=outcome.name,
        signed=signed if outcome.name else None,
        phase=record.failed_phase,
        state="complete" if record.succeeded else "failed",
    )
