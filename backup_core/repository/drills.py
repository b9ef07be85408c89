"""The records of restore drills: what was proved, when, and who vouches for it.

They are in the repository and not on the host that drilled, because the host of a drill is thrown
away, and because whoever restores wants to know it where the backups are. A record exists if and
only if its JSON exists; its signature, an object of its own that openssl can check, is written
first. Of the cluster's data nothing is in a record: not what a check asked, nor what it was told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Literal

from backup_core.errors import CorruptError, NotFoundError
from backup_core.repository import layout
from backup_core.storage.base import Storage

VERSION = 1

PhaseState = Literal["passed", "failed", "skipped"]
Signature = Literal["good", "wrong", "unsigned", "unchecked"]
"""What is known of a record's signature; unchecked: there is one, and no key to check it by."""

Sign = Callable[[bytes], bytes]
Check = Callable[[bytes, bytes], bool]


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One phase of a drill and how long it took; `note` says why it was skipped."""

    name: str
    state: PhaseState
    seconds: float
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """Whether a check of the restored data held."""

    name: str
    passed: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class DrillRecord:
    """What a drill did and found; times are timezone-aware, lengths in seconds, sizes in bytes.

    `until` is how far it was to replay: "start" past its own start, "end" what was archived, or a
    target in words. `recovery_seconds` is what a recovery would have taken: the phases without the
    proofs and the waiting. `data_lost_seconds` is how old the newest archived WAL was when the
    drill began, at most what a disaster then would have cost. None is for what was not reached.
    """

    drill: str
    host: str
    pitr_version: str
    started: datetime
    finished: datetime
    until: str
    succeeded: bool
    failed_phase: str | None = None
    error: str | None = None
    system_identifier: int | None = None
    pg_version: int | None = None
    backup: str | None = None
    backup_finished: datetime | None = None
    timeline: int | None = None
    stored_size: int | None = None
    restored_size: int | None = None
    wal_segments: int | None = None
    recovery_seconds: float | None = None
    data_lost_seconds: float | None = None
    replayed_lsn: str | None = None
    last_transaction: datetime | None = None
    phases: tuple[Phase, ...] = ()
    checks: tuple[CheckOutcome, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StoredDrill:
    """A record as the repository has it."""

    name: str
    record: DrillRecord
    signature: Signature


def render(record: DrillRecord) -> bytes:
    """The record as it is stored: one JSON object (docs/repository-format.md)."""
    document: dict[str, object] = {"version": VERSION, **asdict(record)}
    if record.system_identifier is not None:
        document["system_identifier"] = str(record.system_identifier)
    return json.dumps(document, indent=1, default=datetime.isoformat).encode() + b"\n"


def parse(name: str, data: bytes) -> DrillRecord:
    """Read a stored record, passing over keys that are not known; raises CorruptError."""
    try:
        found = json.loads(data)
        times = ("started", "finished", "backup_finished", "last_transaction")
        known = {key: found[key] for key in DrillRecord.__dataclass_fields__ if key in found}
        known |= {key: _time(found.get(key)) for key in times}
        system = found.get("system_identifier")
        known["system_identifier"] = None if system is None else int(system)
        known["phases"] = tuple(Phase(**_of(Phase, each)) for each in found["phases"])
        outcomes = (_of(CheckOutcome, each) for each in found["checks"])
        known["checks"] = tuple(CheckOutcome(**each) for each in outcomes)
        record = DrillRecord(**known)
        return replace(record, started=record.started.astimezone(UTC))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CorruptError(
            f"{layout.drill_record(name)} is not the record of a drill",
            hint="Nothing else depends on it; move it away.",
        ) from None


def _of(kind: type[Phase | CheckOutcome], values: dict[str, Any]) -> dict[str, Any]:
    return {key: values[key] for key in kind.__dataclass_fields__ if key in values}


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def store(storage: Storage, record: DrillRecord, sign: Sign | None) -> str:
    """Put the record, signed if there is a key; return its name. Raises StorageError."""
    name = f"{record.started.astimezone(UTC):%Y%m%dt%H%M%Sz}-{record.drill}-{token_hex(4)}"
    data = render(record)
    if sign is not None:
        storage.put(layout.drill_signature(name), [sign(data)], if_absent=True)
    storage.put(layout.drill_record(name), [data], if_absent=True, size_hint=len(data))
    return name


def names(storage: Storage) -> Sequence[str]:
    """The names of all records, oldest first."""
    keys = (info.key for info in storage.list(layout.DRILLS))
    found = (key.removeprefix(layout.DRILLS) for key in keys if key.endswith(".json"))
    return [each.removesuffix(".json") for each in found]


def load(storage: Storage, name: str, check: Check | None) -> StoredDrill:
    """Read one record; `check(data, signature)` tells whether the signature is good.

    Raises NotFoundError if there is none of this name, CorruptError if it is not readable.
    """
    try:
        data = b"".join(storage.get(layout.drill_record(name)))
    except NotFoundError:
        raise NotFoundError(
            f"there is no record of a drill named {name}",
            hint="pitr drill list shows the records there are.",
        ) from None
    return StoredDrill(
        name=name, record=parse(name, data), signature=_signature(storage, name, data, check)
    )


def load_newest(storage: Storage, count: int, check: Check | None = None) -> Iterator[StoredDrill]:
    """Yield the newest records, oldest first, passing over what cannot be read."""
    for name in names(storage)[-count:]:
        try:
            yield load(storage, name, check)
        except (CorruptError, NotFoundError):
            continue


def _signature(storage: Storage, name: str, data: bytes, check: Check | None) -> Signature:
    try:
        signature = b"".join(storage.get(layout.drill_signature(name)))
    except NotFoundError:
        return "unsigned"
    if check is None:
        return "unchecked"
    return "good" if check(data, signature) else "wrong"
