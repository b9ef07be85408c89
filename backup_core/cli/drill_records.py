"""`pitr drill list` and `show`: the records of drills, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

from backup_core.cli.output import duration, moment, size, table
from backup_core.config import Settings
from backup_core.config.signing import checker
from backup_core.errors import NotFoundError
from backup_core.repository import drills
from backup_core.repository.drills import DrillRecord, Signature, StoredDrill
from backup_core.storage.base import Storage


def print_list(storage: Storage, settings: Settings, count: int, *, as_json: bool) -> int:
    """Print a row for each of the newest records, oldest first."""
    found = list(drills.load_newest(storage, count, checker(settings)))
    if as_json:
        records = [_facts(item.name, item.record, item.signature) for item in found]
        print(json.dumps({"version": drills.VERSION, "drills": records}, indent=2))
    elif not found:
        print("no drill is on record")
    else:
        heads = ["record", "drill", "started", "result", "recovery", "backup", "signature"]
        for line in table(heads, [_row(item) for item in found]):
            print(line)
    return 0


def print_record(storage: Storage, settings: Settings, name: str, *, as_json: bool) -> int:
    """Print one record, by its name or the newest."""
    if name.upper() == "LATEST":
        every = drills.names(storage)
        if not every:
            raise NotFoundError("no drill is on record", hint="pitr drill run makes one.")
        name = every[-1]
    found = drills.load(storage, name, checker(settings))
    if as_json:
        print(document(found.name, found.record, found.signature))
        return 0
    print(f"record     {found.name}, {found.signature}")
    for line in shown(found.record):
        print(line)
    return 0


def document(name: str | None, record: DrillRecord, signature: Signature) -> str:
    """A record as JSON."""
    facts = _facts(name, record, signature)
    return json.dumps({"version": drills.VERSION, **facts}, indent=2)


def _facts(name: str | None, record: DrillRecord, signature: Signature) -> dict[str, object]:
    facts: dict[str, object] = json.loads(drills.render(record))
    del facts["version"]
    return {"name": name, "signature": signature, **facts}


def shown(record: DrillRecord) -> Iterator[str]:
    """A record in lines: what was drilled, how long each phase took, what came of it."""
    yield f"drill      {record.drill} on {record.host}, {moment(record.started)}"
    if record.backup is not None and record.restored_size is not None:
        yield f"backup     {record.backup}: {size(record.restored_size)} restored"
        yield f"WAL        {record.wal_segments} segments, timeline {record.timeline}"
    yield f"until      {record.until}{_reached(record)}"
    for phase in record.phases:
        took = f"{phase.seconds:.1f} s"
        said = f"skipped: {phase.note}" if phase.state == "skipped" else phase.state
        yield f"  {phase.name:10} {took if phase.state != 'skipped' else '':>9}  {said}"
    for check in record.checks:
        yield f"  check      {check.seconds:7.1f} s  {_passed(check.passed)}: {check.name}"
    if record.recovery_seconds is not None:
        took = duration(timedelta(seconds=record.recovery_seconds))
        yield f"recovery   {took}"
    if record.data_lost_seconds is not None:
        lost = duration(timedelta(seconds=record.data_lost_seconds))
        yield f"data lost  {lost} at most, had the primary died when the drill began"
    yield f"result     {_result(record)}"


def _reached(record: DrillRecord) -> str:
    if record.replayed_lsn is None:
        return ""
    last = record.last_transaction
    return f": replayed to {record.replayed_lsn}" + (
        f", last transaction {moment(last)}" if last else ""
    )


def _result(record: DrillRecord) -> str:
    if record.succeeded:
        return "proved"
    return f"FAILED in the phase {record.failed_phase}: {record.error}"


def _passed(passed: bool) -> str:
    return "passed" if passed else "FAILED"


def _row(item: StoredDrill) -> list[str]:
    record = item.record
    took = record.recovery_seconds
    return [
        item.name,
        record.drill,
        moment(record.started),
        "proved" if record.succeeded else f"FAILED: {record.failed_phase}",
        "-" if took is None else duration(timedelta(seconds=took)),
        record.backup or "-",
        item.signature,
    ]
