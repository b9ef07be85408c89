"""A restore drill, from the plan to the record: the narrative.

It goes the way of a real recovery, with nothing made easier: the server replays without a target
or to one that it must reach, and stops where wal-fetch cannot prove that the archive has ended. A
standby, which would wait and ask again, would prove less. Each phase either passes or ends the
drill; what is left behind is removed in every case, and what was found is recorded in every case.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass

from backup_core.drill import isolation, proofs, scratch
from backup_core.drill.checks import read_checks
from backup_core.drill.goal import Goal, check_reached, choose_goal, newest_stored, wait_for_wal
from backup_core.drill.ledger import Ledger, failure
from backup_core.drill.programs import Programs, find_programs
from backup_core.drill.request import DrillRequest
from backup_core.drill.scratch import Scratch
from backup_core.drill.server import DrillServer
from backup_core.drill.tools import Planned, Tools
from backup_core.errors import PitrError
from backup_core.postgres.control import read_control
from backup_core.postgres.limits import limits
from backup_core.repository import drills
from backup_core.repository.catalog import read_catalog
from backup_core.repository.drills import DrillRecord
from backup_core.storage.base import Storage


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a drill: the record, its name where it was stored, and what ended the drill."""

    record: DrillRecord
    name: str | None
    error: BaseException | None


def run_drill(storage: Storage, request: DrillRequest, tools: Tools) -> Outcome:
    """Drill, tear down, and store the record; nothing is raised, `error` tells how it ended."""
    ledger = Ledger(request, tools.reporting)
    error: BaseException | None = None
    try:
        _drill(storage, request, tools, ledger)
    except BaseException as caught:  # handed on, after the record was stored
        error = caught
        ledger.interrupt()
    record = ledger.close()
    if not tools.record:
        return Outcome(record=record, name=None, error=error)
    try:
        name = drills.store(storage, record, tools.sign)
    except PitrError as trouble:
        tools.reporting.warn(f"the record of the drill could not be stored: {trouble.message}")
        return Outcome(record=record, name=None, error=error or failure("record", trouble))
    return Outcome(record=record, name=name, error=error)


def _drill(storage: Storage, request: DrillRequest, tools: Tools, ledger: Ledger) -> None:
    with ExitStack() as stack:
        with ledger.phase("prepare"):
            isolation.check_extra(request.settings)
            checks = read_checks(request.checks) if request.checks is not None else ()
            place = stack.enter_context(scratch.hold(request.scratch))
            if scratch.leftovers(place):
                tools.reporting.warn("an earlier drill left its files here: they are removed")
            scratch.clear(place)
        if not request.keep:
            stack.callback(_clean_up, tools, ledger, place)
        with ledger.phase("plan"):
            goal = choose_goal(storage, read_catalog(storage), request, ledger.started)
            planned = tools.plan(goal.backup, goal.target, place)
            programs = find_programs(planned.backup.major, request.bin_directory, tools.environment)
            _learn(storage, ledger, planned, goal)
        with ledger.phase("restore"):
            planned.restore()
        has_manifest = planned.has_manifest
        proofs.verify_backup(ledger, request, programs, place, manifest=has_manifest)
        if goal.until == "start":
            with ledger.phase("archive"):
                wait_for_wal(storage, planned, request.wait, tools.reporting.step)
        else:
            ledger.skip("archive", "WAL from after the drill's start is not asked for")
        with ledger.phase("start"):
            server = _isolated_server(request, place, planned, programs)
            stack.callback(server.stop, clean=request.keep)
            server.start()
            deadline = time.monotonic() + request.timeout
            server.wait_until(server.is_consistent, deadline, "was consistent")
        with ledger.phase("replay"):
            _replay(ledger, request, server, planned, goal)
        proofs.check_relations(ledger, request, programs, place)
        proofs.ask(ledger, server, checks, goal.moment)
        if request.keep:
            tools.reporting.warn(f"kept in {place.root}; {server.how_to_start()}")


def _clean_up(tools: Tools, ledger: Ledger, place: Scratch) -> None:
    """Remove everything; trouble with that does not hide why the drill failed."""
    if not ledger.failed:
        with ledger.phase("cleanup"):
            scratch.clear(place)
        return
    try:
        scratch.clear(place)
    except PitrError as error:
        tools.reporting.warn(error.message)


def _learn(storage: Storage, ledger: Ledger, planned: Planned, goal: Goal) -> None:
    """Take down what is known once the restore is planned."""
    backup, stored = planned.backup, None
    if not goal.target.is_set:
        stored = newest_stored(storage, planned)
    ledger.learn(
        backup=backup.name,
        backup_finished=backup.finish_time,
        pg_version=backup.pg_version,
        system_identifier=backup.system_identifier,
        timeline=planned.timeline,
        stored_size=planned.stored_size,
        restored_size=planned.restored_size,
        wal_segments=planned.wal_segments,
        data_lost_seconds=None if stored is None else ledger.age(stored),
    )


def _isolated_server(
    request: DrillRequest, place: Scratch, planned: Planned, programs: Programs
) -> DrillServer:
    """Replace the cluster's configuration by one that keeps the server to itself."""
    major, needed = planned.backup.major, limits(*read_control(place.data))
    sockets = scratch.make_sockets(place)
    fixed = isolation.fixed_settings(major, sockets=sockets, config=place.config, hba=place.hba)
    contents = (isolation.config_file(needed, request.settings), isolation.HBA, "")
    for path, content in zip(place.configuration, contents, strict=True):
        scratch.write(path, content)
    scratch.write(place.data / "postgresql.auto.conf", isolation.auto_conf(planned.recovery))
    return DrillServer(programs, place, fixed, request.user)


def _replay(
    ledger: Ledger, request: DrillRequest, server: DrillServer, planned: Planned, goal: Goal
) -> None:
    """Wait until the server has replayed what the goal asks for, and promoted."""
    deadline = time.monotonic() + request.timeout
    server.wait_until(server.is_promoted, deadline, "had replayed the archive")
    with server.connect() as session:
        replayed, last = session.replay_lsn(), session.replayed()
    ledger.learn(replayed_lsn=str(replayed), last_transaction=last)
    check_reached(planned, goal, replayed)
