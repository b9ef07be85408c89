"""Checks on objects in passing: what is read is proved while it flows into the put.

A source that raises leaves nothing visible at the target, so a damaged object is found before its
copy exists, and no byte is read twice for it.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator

from backup_core.copy.items import CopyItem
from backup_core.errors import ClusterMismatchError, CorruptError, WalHeaderError
from backup_core.postgres.timeline import parse_history
from backup_core.postgres.wal import (
    LONG_HEADER_SIZE,
    WalKind,
    WalName,
    check_segment_header,
    parse_segment_header,
)
from backup_core.repository import layout
from backup_core.storage.base import Storage
from backup_core.stream.compress import decode

SMALL = 1 << 20
TAIL = 64 << 10


class Seen:
    """Yields an object's bytes unchanged and raises at their end if they are not as planned."""

    def __init__(self, item: CopyItem, chunks: Iterable[bytes], system_identifier: int) -> None:
        self._item = item
        self._chunks = chunks
        self._system_identifier = system_identifier
        self._digest = hashlib.sha256()
        self._size = 0

    @property
    def sha256(self) -> str:
        """The digest of the bytes that have passed."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        wal = self._item.wal
        if wal is None:
            yield from self._counted()
        else:
            yield from _with_wal_checked(self._item, wal, self._counted(), self._system_identifier)
        self._check()

    def _counted(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._digest.update(chunk)
            self._size += len(chunk)
            yield chunk

    def _check(self) -> None:
        item = self._item
        if self._size != item.size:
            raise _damaged(item.key, f"{self._size} bytes were read, it should have {item.size}")
        if item.sha256 is not None and self.sha256 != item.sha256:
            raise _damaged(item.key, "its SHA-256 is not the one in the backup's index")


def _damaged(key: str, why: str) -> CorruptError:
    return CorruptError(
        f"{key} is damaged: {why}",
        hint="It was not copied. Copy another backup; its WAL leads to the same moments.",
    )


def _with_wal_checked(
    item: CopyItem, wal: WalName, chunks: Iterator[bytes], system_identifier: int
) -> Iterator[bytes]:
    """Yield the stored bytes while their decoded form is held against the name."""
    waiting: deque[bytes] = deque()

    def tapped() -> Iterator[bytes]:
        for chunk in chunks:
            waiting.append(chunk)
            yield chunk

    head, size = b"", 0
    for piece in decode(tapped(), extension=layout.extension_of(item.key), name=item.key):
        size += len(piece)
        if len(head) < LONG_HEADER_SIZE or wal.kind is WalKind.HISTORY:
            head += piece
        while waiting:
            yield waiting.popleft()
    yield from waiting
    _check_wal(item.key, wal, head, size, system_identifier)


def _check_wal(key: str, wal: WalName, head: bytes, size: int, system_identifier: int) -> None:
    if wal.kind is WalKind.HISTORY:
        parse_history(head.decode(errors="replace"), wal.timeline)
    elif wal.kind is WalKind.BACKUP:
        if not head.startswith(b"START WAL LOCATION: "):
            raise WalHeaderError(f"{key} is not a backup history file")
    else:
        header = parse_segment_header(head, name=key)
        check_segment_header(wal, header)
        if header.system_identifier != system_identifier:
            raise ClusterMismatchError(
                f"{key} is of the cluster with system identifier {header.system_identifier}, what "
                f"is copied is of {system_identifier}",
                hint="Two clusters archive to one prefix; give each a prefix of its own.",
            )
        if size != header.segment_size:
            raise WalHeaderError(f"{key} holds {size} bytes, a segment has {header.segment_size}")


def is_same(source: Storage, target: Storage, item: CopyItem, *, thorough: bool) -> bool:
    """Tell whether the target's object is the source's; not thorough, large ones by their ends.

    Sizes are equal by the plan, or the codecs are different and the contents are compared.
    """
    assert item.present is not None
    if item.present != item.key:
        return _equal(_decoded(source, item.key), _decoded(target, item.present))
    if thorough and item.sha256 is not None:
        return digest_of(target, item.key) == item.sha256
    start = 0 if thorough or item.size <= SMALL else item.size - TAIL
    return _equal(source.get(item.key, start=start), target.get(item.key, start=start))


def _decoded(storage: Storage, key: str) -> Iterator[bytes]:
    return decode(storage.get(key), extension=layout.extension_of(key), name=key)


def _equal(one: Iterable[bytes], other: Iterable[bytes]) -> bool:
    """Compare two streams whose chunks may end at different places."""
    digests = []
    for stream in (one, other):
        digest = hashlib.sha256()
        for chunk in stream:
            digest.update(chunk)
        digests.append(digest.digest())
    return digests[0] == digests[1]


def digest_of(storage: Storage, key: str) -> str:
    """Read an object and return its SHA-256."""
    digest = hashlib.sha256()
    for chunk in storage.get(key):
        digest.update(chunk)
    return digest.hexdigest()
