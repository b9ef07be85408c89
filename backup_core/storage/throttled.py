"""A storage whose objects come and go at a bounded rate.

A decorator below encryption, so that what counts is what goes over the network. Only the commands
that move backups have it: archiving and recovery are never held up by a limit on backups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from backup_core.storage.base import Chunk, ObjectInfo, Storage

_Chunk = TypeVar("_Chunk", bytes, Chunk)


class ThrottledStorage:
    """Implements Storage around `inner`; `take` returns when so many bytes may pass."""

    def __init__(self, inner: Storage, take: Callable[[int], None]) -> None:
        self.url = inner.url
        self._inner = inner
        self._take = take

    def put(
        self,
        key: str,
        chunks: Iterable[Chunk],
        *,
        if_absent: bool = False,
        size_hint: int | None = None,
    ) -> ObjectInfo:
        """Store the chunks as they may pass."""
        paced = self._paced(chunks)
        return self._inner.put(key, paced, if_absent=if_absent, size_hint=size_hint)

    def get(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the bytes as they may pass; raises NotFoundError at the call."""
        return self._paced(self._inner.get(key, start=start, stop=stop))

    def _paced(self, chunks: Iterable[_Chunk]) -> Iterator[_Chunk]:
        for chunk in chunks:
            self._take(len(chunk))
            yield chunk

    def stat(self, key: str) -> ObjectInfo:
        """Describe one object."""
        return self._inner.stat(key)

    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> Iterator[ObjectInfo]:
        """List the objects."""
        return self._inner.list(prefix, delimiter=delimiter, start_after=start_after)

    def delete(self, keys: Iterable[str]) -> dict[str, str | None]:
        """Delete objects."""
        return self._inner.delete(keys)
