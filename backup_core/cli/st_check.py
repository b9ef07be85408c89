"""`pitr st check`: every verb of the store tried by itself, so that what is refused is known.

Credentials that may read but not write, or write but not delete, show only when it is too late;
and a store that ignores conditional creation would let two writers overwrite each other.
"""

from __future__ import annotations

import argparse
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

from backup_core.cli.output import size, table
from backup_core.cli.st_list import shown
from backup_core.config import Settings
from backup_core.errors import AlreadyExistsError, PitrError, StorageError
from backup_core.repository import layout
from backup_core.storage.base import ObjectInfo, Storage

_CONTENT = secrets.token_bytes(64 << 10)
_SAMPLE = 1 << 20


def check(storage: Storage, settings: Settings, args: argparse.Namespace) -> int:
    """Try the verbs and print a row for each; raises what the store says where it refuses."""
    del settings
    trial = _Trial()
    try:
        if args.what == "read":
            _read(storage, trial)
        else:
            _write(storage, trial)
    finally:
        for line in table(["verb", "time", "result"], trial.rows, right=[1]):
            print(line)
    print(f"{storage.url}: {args.what} works")
    return 0


class _Trial:
    """The rows so far; a step that raises is in them too."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []

    def step(self, verb: str, work: Callable[[], str]) -> None:
        began = time.monotonic()
        result = "FAILED"
        try:
            result = work()
        finally:
            self.rows.append([verb, f"{(time.monotonic() - began) * 1000:.1f} ms", result])


def _read(storage: Storage, trial: _Trial) -> None:
    found: list[ObjectInfo] = []

    def list_one() -> str:
        found.extend(islice(storage.list(), 1))
        return f"first key {shown(found[0].key)}" if found else "empty: nothing to read"

    trial.step("list", list_one)
    if found:
        trial.step("stat", lambda: size(storage.stat(found[0].key).size))
        trial.step("get", lambda: size(_length(storage, found[0].key)))


def _length(storage: Storage, key: str) -> int:
    return sum(map(len, storage.get(key, stop=_SAMPLE)))


def _write(storage: Storage, trial: _Trial) -> None:
    key = f"{layout.CHECKS}{secrets.token_hex(8)}"
    try:
        trial.step("put", lambda: size(storage.put(key, [_CONTENT], if_absent=True).size))
        trial.step("stat", lambda: _same_size(storage, key))
        trial.step("get", lambda: _same_bytes(storage, key))
        trial.step("put again", lambda: _second_refused(storage, key))
        trial.step("list", lambda: _listed(storage, key))
    except BaseException:
        with suppress(PitrError):
            storage.delete([key])
        raise
    trial.step("delete", lambda: _deleted(storage, key))


def _same_size(storage: Storage, key: str) -> str:
    found = storage.stat(key).size
    if found != len(_CONTENT):
        raise StorageError(f"{key} has {found} bytes, {len(_CONTENT)} were written")
    return size(found)


def _same_bytes(storage: Storage, key: str) -> str:
    if b"".join(storage.get(key)) != _CONTENT:
        raise StorageError(f"{key} reads back with other content than was written")
    return "same content"


def _second_refused(storage: Storage, key: str) -> str:
    try:
        storage.put(key, [b"second"], if_absent=True)
    except AlreadyExistsError:
        return "refused, as it should be"
    raise StorageError(
        f"{storage.url} created {key} twice: it ignores conditional creation",
        hint="Two writers could overwrite each other here; use a store that supports it.",
    )


def _listed(storage: Storage, key: str) -> str:
    if key not in {info.key for info in storage.list(layout.CHECKS)}:
        raise StorageError(f"{key} was written but is not listed")
    return "listed"


def _deleted(storage: Storage, key: str) -> str:
    why = storage.delete([key])[key]
    if why is not None:
        raise StorageError(
            f"cannot delete {key}: {why}",
            hint="Archiving works without deleting; backup locks and retention need it.",
        )
    return "gone"
