"""The seam to every store: five verbs that all stores keep alike.

Contract, tested by tests/contract for each store: `put` is durable and all or nothing, and a source
that raises leaves nothing visible; of two writers with `if_absent` exactly one wins; a missing key
raises before the first byte; a listing is sorted by key, complete, and shows every put before it;
a failed delete is reported for its key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

Chunk = bytes | bytearray | memoryview


@dataclass(frozen=True, kw_only=True)
class ObjectInfo:
    """One stored object; with a delimiter, a key that ends in it stands for everything below.

    `size` in bytes; `modified` is timezone-aware and None for such a common prefix.
    """

    key: str
    size: int
    modified: datetime | None


class Storage(Protocol):
    """Keys are relative, `/`-separated and never empty; errors are StorageError and its kin."""

    url: str

    def put(
        self,
        key: str,
        chunks: Iterable[Chunk],
        *,
        if_absent: bool = False,
        size_hint: int | None = None,
    ) -> ObjectInfo:
        """Store the chunks durably; raises AlreadyExistsError if `if_absent` and the key exists."""

    def get(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `stop`; raises NotFoundError at the call."""

    def stat(self, key: str) -> ObjectInfo:
        """Describe one object; raises NotFoundError."""

    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with `prefix`, in the order of UTF-8 bytes."""

    def delete(self, keys: Iterable[str]) -> dict[str, str | None]:
        """Delete objects; each key maps to None, or to why it could not be deleted."""


@runtime_checkable
class Splicer(Protocol):
    """What a store may have beside the five verbs: changing an object without moving it."""

    def replace_head(self, key: str, head: bytes, start: int) -> bool:
        """Let an object become `head` and its own bytes from `start` on, all or nothing.

        False, with nothing done, where reading and putting it anew would not be more work.
        """


@runtime_checkable
class Sequential(Protocol):
    """What a store may have beside the five verbs: telling that ranges of it are not cheap."""

    def is_sequential(self, key: str) -> bool:
        """Whether the end of an object costs as much as all that is before it."""
