"""What proves that a restored cluster is whole: PostgreSQL's own programs, and questions to it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from backup_core.drill import isolation
from backup_core.drill.checks import SqlCheck, complaint
from backup_core.drill.ledger import Ledger
from backup_core.drill.programs import Programs
from backup_core.drill.request import DrillRequest
from backup_core.drill.scratch import Scratch
from backup_core.drill.server import DrillServer
from backup_core.errors import PitrError
from backup_core.repository.drills import CheckOutcome


def verify_backup(
    ledger: Ledger, request: DrillRequest, programs: Programs, place: Scratch, *, manifest: bool
) -> None:
    """Hold the restored directory against its manifest with pg_verifybackup, before it is used."""
    program = programs.find("pg_verifybackup")
    why = _why_not(
        (not request.verify, "not asked for"),
        (not manifest, "the backup has no manifest"),
        (program is None, "this version has no pg_verifybackup"),
    )
    if why or program is None:
        ledger.skip("verify", why)
        return
    with ledger.phase("verify"):
        programs.run([str(program), "--no-parse-wal", str(place.data)])


def check_relations(
    ledger: Ledger, request: DrillRequest, programs: Programs, place: Scratch
) -> None:
    """Check tables and B-tree indexes of all databases with pg_amcheck."""
    program = programs.find("pg_amcheck")
    why = _why_not(
        (not request.amcheck, "not asked for"),
        (program is None, "this version has no pg_amcheck"),
    )
    if why or program is None:
        ledger.skip("amcheck", why)
        return
    with ledger.phase("amcheck"):
        words = [str(program), "--all", "--install-missing", "--no-password"]
        words += ["--host", str(place.sockets), "--port", str(isolation.PORT)]
        words += ["--username", request.user]
        programs.run([*words, *(["--heapallindexed"] if request.heapallindexed else [])])


def ask(ledger: Ledger, server: DrillServer, checks: Sequence[SqlCheck], moment: datetime) -> None:
    """Ask the restored server every question; PitrError names each answer that is not good."""
    if not checks:
        ledger.skip("checks", "none are given")
        return
    complaints = []
    with ledger.phase("checks"):
        for check in checks:
            began = time.monotonic()
            trouble = _ask(server, check, moment)
            seconds = round(time.monotonic() - began, 3)
            ledger.checked(CheckOutcome(name=check.name, passed=trouble is None, seconds=seconds))
            if trouble is not None:
                complaints.append(f"{check.name}: {trouble}")
        if complaints:
            raise PitrError(
                f"{len(complaints)} of {len(checks)} checks do not hold: {'; '.join(complaints)}",
                hint="With --keep the restored server can be looked at.",
            )


def _ask(server: DrillServer, check: SqlCheck, moment: datetime) -> str | None:
    try:
        with server.connect(check.database) as session:
            return complaint(check, session.ask(check.query, check.timeout), moment)
    except PitrError as error:
        return error.message


def _why_not(*reasons: tuple[bool, str]) -> str:
    return next((why for holds, why in reasons if holds), "")
