"""Checks on objects in passing: what is read is proved while it flows into the put.

A source that raises leaves nothing visible at the target, so a damaged object is found before its
copy exists, and no byte is read twice for it.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator

from backup_core.copy.items import CopyItem
from backup_core.errors import ClusterMismatchError, CorruptError, MissingKeyError, WalHeaderError
from backup_core.postgres.timeline import parse_history
from backup_core.postgres.wal import (
    LONG_HEADER_SIZE,
    WalKind,
    WalName,
    check_segment_header,
    parse_segment_header,
)
from backup_core.repository import layout
from backup_core.repository.sealed import SealedStorage, UnknownContentError
from backup_core.storage.base import Storage
from backup_core.stream.compress import decode
from backup_core.stream.encrypt.blocks import rejoined, take_some
from backup_core.stream.encrypt.scheme import AGE, HEAD, recognise

SMALL = 1 << 20
TAIL = 64 << 10


class Seen:
    """Yields an object's bytes unchanged and raises at their end if they are not as planned.

    What is encrypted is looked into if its key is at hand; else only its size is known. What may
    just as well be damaged is an error.
    """

    def __init__(
        self, storage: Storage, item: CopyItem, chunks: Iterator[bytes], system_identifier: int
    ) -> None:
        self._storage = storage
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
        counted = self._counted()
        if self._item.wal is None and self._item.sha256 is None:
            yield from counted
        else:
            yield from self._looked_into(counted)
        if self._size != self._item.size:
            read = f"{self._size} bytes were read, it should have {self._item.size}"
            raise _damaged(self._item.key, read)

    def _counted(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._digest.update(chunk)
            self._size += len(chunk)
            yield chunk

    def _looked_into(self, counted: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the stored bytes while their content is held against the plan."""
        waiting: deque[bytes] = deque()

        def tapped() -> Iterator[bytes]:
            for chunk in counted:
                waiting.append(chunk)
                yield chunk

        try:
            content = unsealed(self._storage, self._item.key, tapped())
            first = next(content, b"")  # where gpg has to be asked, only this tells
        except UnknownContentError:
            raise
        except MissingKeyError:
            content = iter(())
        else:
            content = _checked(self._item, rejoined(first, content), self._system_identifier)
        for _ in content:
            while waiting:
                yield waiting.popleft()
        yield from waiting
        yield from counted


def _damaged(key: str, why: str) -> CorruptError:
    return CorruptError(
        f"{key} is damaged: {why}",
        hint="It was not copied. Copy another backup; its WAL leads to the same moments.",
    )


def unsealed(storage: Storage, key: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The content of an object's stored bytes; raises MissingKeyError without its key."""
    return storage.unseal(key, chunks) if isinstance(storage, SealedStorage) else chunks


def bare(storage: Storage) -> Storage:
    """The storage in which objects are as they are stored."""
    return storage.inner if isinstance(storage, SealedStorage) else storage


def _checked(item: CopyItem, content: Iterator[bytes], system_identifier: int) -> Iterator[bytes]:
    if item.wal is not None:
        return _with_wal_checked(item.key, item.wal, content, system_identifier)
    return _with_digest_checked(item, content)


def _with_digest_checked(item: CopyItem, content: Iterator[bytes]) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for piece in content:
        digest.update(piece)
        yield piece
    if digest.hexdigest() != item.sha256:
        raise _damaged(item.key, "its SHA-256 is not the one in the backup's index")


def _with_wal_checked(
    key: str, wal: WalName, content: Iterator[bytes], system_identifier: int
) -> Iterator[bytes]:
    """Yield what the content decodes to; at its end it is held against the name."""
    head, size = b"", 0
    for piece in decode(content, extension=layout.extension_of(key), name=key):
        size += len(piece)
        if len(head) < LONG_HEADER_SIZE or wal.kind is WalKind.HISTORY:
            head += piece
        yield piece
    _check_wal(key, wal, head, size, system_identifier)


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

    What is encrypted may have the same content in other bytes. Without the key that counts as
    another content, but for age objects that differ in their headers only: those were rewrapped.
    """
    assert item.present is not None
    if item.present != item.key:
        return _equal(_decoded(source, item.key), _decoded(target, item.present))
    try:
        if thorough and item.sha256 is not None:
            return digest_of(target, item.key) == item.sha256
        if not item.resealed and _is_stored_alike(bare(source), bare(target), item, thorough):
            return True
        sealed = isinstance(source, SealedStorage) or isinstance(target, SealedStorage)
        return sealed and _equal(source.get(item.key), target.get(item.key))
    except MissingKeyError:
        one, other = bare(source), bare(target)
        if not item.resealed and _is_stored_alike(one, other, item, thorough):
            return True
        return _equal(_payload(one, item.key), _payload(other, item.key))


def _payload(storage: Storage, key: str) -> Iterator[bytes]:
    """What follows the header of an age object; any other object as it is."""
    head, chunks = take_some(storage.get(key), HEAD)
    if recognise(head[:HEAD], name=key) != AGE:
        return chunks
    from backup_core.stream.encrypt.age_header import take_header

    return take_header(chunks, name=key)[1]


def _is_stored_alike(source: Storage, target: Storage, item: CopyItem, thorough: bool) -> bool:
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
