"""Objects that their writer may be unable to read, and still has to know again.

An archiver must tell whether a file that comes again is archived already and whole: the server has
no other copy. Asking for a key instead would stop it, when one is locked or out of reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backup_core.errors import CorruptError, NotFoundError
from backup_core.repository import layout
from backup_core.storage.base import ObjectInfo, Storage
from backup_core.stream.encrypt.age_header import take_header
from backup_core.stream.encrypt.blocks import take_some
from backup_core.stream.encrypt.marks import Mark, make_mark, unpack
from backup_core.stream.encrypt.scheme import AGE, HEAD, OPENPGP, recognise

_MESSAGE_HEAD = 256


def put_message(
    inner: Storage, key: str, chunks: Iterable[bytes], *, digest: bytes, if_absent: bool
) -> ObjectInfo:
    """Store an OpenPGP message, and before it the mark of the file with this SHA-256.

    The mark is named after the message's first bytes: so it is that of no other writer's object.
    """
    message = list(chunks)
    head, _ = take_some(iter(message), _MESSAGE_HEAD)
    inner.put(_mark_key(key, head), [make_mark(digest, message).pack()])
    return inner.put(key, message, if_absent=if_absent)


def same_content(inner: Storage, key: str, digest: bytes) -> bool | None:
    """Tell by its mark whether an object encodes the file of this SHA-256, without any key.

    None if it has no mark: then its content has to be read. Otherwise all of it is fetched and held
    against the mark. Raises NotFoundError, and CorruptError for an object that is not whole.
    """
    mark, stored = _find_mark(inner, key)
    if mark is None:
        return None
    if not mark.is_of(digest):
        return False
    if not mark.has_all(stored):
        raise CorruptError(
            f"{key} is damaged or cut off: its encrypted bytes are not those that were written"
        )
    return True


def _find_mark(inner: Storage, key: str) -> tuple[Mark | None, Iterator[bytes]]:
    """An object's mark, and the stored bytes that it is of."""
    head, stored = take_some(inner.get(key), HEAD)
    scheme = recognise(head[:HEAD], name=key)
    if scheme == AGE:
        header, payload = take_header(stored, name=key)
        return header.mark, payload
    return _mark_beside(inner, key, head) if scheme == OPENPGP else None, stored


def _mark_beside(inner: Storage, key: str, head: bytes) -> Mark | None:
    try:
        return unpack(b"".join(inner.get(_mark_key(key, head))))
    except NotFoundError:
        return None


def _mark_key(key: str, head: bytes) -> str:
    return layout.digest_mark(key, head[:_MESSAGE_HEAD])
