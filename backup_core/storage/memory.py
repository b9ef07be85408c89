"""A repository in memory, for tests: the contract without a disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

from backup_core.errors import AlreadyExistsError, NotFoundError, UsageError
from backup_core.storage.base import Chunk, ObjectInfo
from backup_core.storage.keys import check_key, check_listing

CHUNK_SIZE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class _Stored:
    info: ObjectInfo
    data: bytes


class MemoryStorage:
    """Implements Storage in a dictionary; safe for threads."""

    url = "memory://"

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._objects: dict[str, _Stored] = {}
        self._lock = Lock()

    def put(
        self,
        key: str,
        chunks: Iterable[Chunk],
        *,
        if_absent: bool = False,
        size_hint: int | None = None,  # noqa: ARG002 (part of the seam)
    ) -> ObjectInfo:
        """Store the joined chunks once the last has arrived."""
        check_key(key)
        if if_absent:
            self._check_free(key)
        data = b"".join(chunks)
        info = ObjectInfo(key=key, size=len(data), modified=self._clock())
        with self._lock:
            if if_absent:
                self._check_free(key)
            self._objects[key] = _Stored(info=info, data=data)
        return info

    def get(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield a range of the object as it is now, in chunks of 1 MiB."""
        data = self._find(key).data[start:stop]
        return (data[at : at + CHUNK_SIZE] for at in range(0, len(data), CHUNK_SIZE))

    def stat(self, key: str) -> ObjectInfo:
        """Describe one object; raises NotFoundError."""
        return self._find(key).info

    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> Iterator[ObjectInfo]:
        """Yield what is there at the first step; code points sort as their UTF-8 bytes do."""
        check_listing(prefix, delimiter)
        with self._lock:
            found = sorted(self._objects.items())
        last = start_after or ""
        for key, stored in found:
            if not key.startswith(prefix):
                continue
            info = stored.info if delimiter is None else _rolled_up(stored.info, prefix, delimiter)
            if info.key > last:
                yield info
                last = info.key

    def delete(self, keys: Iterable[str]) -> dict[str, str | None]:
        """Forget the objects; one that is not there counts as deleted."""
        return {key: self._delete_one(key) for key in keys}

    def _delete_one(self, key: str) -> str | None:
        try:
            check_key(key)
        except UsageError as error:
            return error.message
        with self._lock:
            self._objects.pop(key, None)
        return None

    def _find(self, key: str) -> _Stored:
        check_key(key)
        with self._lock:
            stored = self._objects.get(key)
        if stored is None:
            raise NotFoundError(f'"{key}" is not in {self.url}')
        return stored

    def _check_free(self, key: str) -> None:
        if key in self._objects:
            raise AlreadyExistsError(f'"{key}" exists already in {self.url}')


def _rolled_up(info: ObjectInfo, prefix: str, delimiter: str) -> ObjectInfo:
    end = info.key.find(delimiter, len(prefix))
    if end < 0:
        return info
    return ObjectInfo(key=info.key[: end + len(delimiter)], size=0, modified=None)
