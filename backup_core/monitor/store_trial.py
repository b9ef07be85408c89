"""Each verb of the store that archiving needs, tried, so that what is refused is known by name.

What is written is an object below `pitr/check/` and removed again. Where this host must not delete,
one object with a fixed name is written once and stays: it is then read, and its second creation has
to be refused, which shows the right to write and conditional creation at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from backup_core.errors import AlreadyExistsError, PitrError, StorageError
from backup_core.monitor.facts import StoreTrial, Trouble
from backup_core.repository import layout
from backup_core.storage.base import ObjectInfo, Storage

_CONTENT = b"written by pitr check\n" * 100
_STAYS = f"{layout.CHECKS}stays"


def try_store(storage: Storage, *, may_delete: bool) -> StoreTrial:
    """Try put, get, list, conditional put and, if this host may, delete; nothing is raised."""
    trial = _Trial(storage, may_delete=may_delete)
    trial.run()
    return StoreTrial(tried=tuple(trial.tried), failed=trial.failed, clock=trial.clock)


class _Trial:
    def __init__(self, storage: Storage, *, may_delete: bool) -> None:
        self._storage = storage
        self._may_delete = may_delete
        self._key = f"{layout.CHECKS}{secrets.token_hex(8)}" if may_delete else _STAYS
        self.tried: list[str] = []
        self.failed: dict[str, Trouble] = {}
        self.clock: float | None = None

    def run(self) -> None:
        if self._step("put", self._put):
            self._step("get", self._get)
            self._step("conditional put", self._put_again)
            self._step("list", self._list)
            if self._may_delete:
                self._step("delete", self._delete)
        else:
            self._step("list", self._list_anything)

    def _step(self, verb: str, work: Callable[[], None]) -> bool:
        self.tried.append(verb)
        try:
            work()
        except PitrError as error:
            self.failed[verb] = Trouble(message=error.message, hint=error.hint)
            return False
        return True

    def _put(self) -> None:
        try:
            self._storage.put(self._key, [_CONTENT], if_absent=True, size_hint=len(_CONTENT))
        except AlreadyExistsError:
            if self._may_delete:
                raise
            return
        self._compare_clocks(self._storage.stat(self._key))

    def _compare_clocks(self, info: ObjectInfo) -> None:
        if info.modified is not None:
            self.clock = (info.modified - datetime.now(UTC)).total_seconds()

    def _get(self) -> None:
        if b"".join(self._storage.get(self._key)) != _CONTENT:
            raise StorageError(f"{self._key} reads back with other content than was written")

    def _put_again(self) -> None:
        try:
            self._storage.put(self._key, [b"second"], if_absent=True)
        except AlreadyExistsError:
            return
        raise StorageError(
            f"{self._storage.url} created {self._key} twice: it ignores conditional creation",
            hint="Two writers could overwrite each other here; use a store that supports it.",
        )

    def _list(self) -> None:
        if self._key not in {info.key for info in self._storage.list(layout.CHECKS)}:
            raise StorageError(f"{self._key} was written but is not listed")

    def _list_anything(self) -> None:
        next(iter(self._storage.list(layout.WAL)), None)

    def _delete(self) -> None:
        why = self._storage.delete([self._key])[self._key]
        if why is not None:
            raise StorageError(
                f"{self._key} cannot be deleted and stays: {why}",
                hint="If this host is not to delete, set PITR_MAY_DELETE=false; retention and the "
                "locks of backups need the right.",
            )
