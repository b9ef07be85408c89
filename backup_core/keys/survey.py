"""Which key each object needs: told by the beginnings of the objects, without any key.

age's headers name their recipients by key ids of ours, OpenPGP's by those of the format. Streams
of libsodium name nobody, so they are known only to whoever has their key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from backup_core.errors import CorruptError, EncryptionError, NotFoundError
from backup_core.repository import layout
from backup_core.repository.sealed import is_confidential, sealed_object
from backup_core.storage.base import ObjectInfo, Storage
from backup_core.stream.encrypt.age_header import Header
from backup_core.stream.encrypt.openpgp_keys import key_ids
from backup_core.stream.encrypt.scheme import AGE, HEAD, LIBSODIUM, OPENPGP, is_plain, recognise
from backup_core.stream.parallel import in_order

PLAIN, UNKNOWN = "none", "unknown"


@dataclass(frozen=True, kw_only=True)
class ObjectKeys:
    """One object of `size` bytes, its scheme, and the ids of the keys it is encrypted for.

    `scheme` is one of the schemes' names, PLAIN or UNKNOWN; `header` is age's.
    """

    key: str
    size: int
    scheme: str
    key_ids: tuple[str, ...] = ()
    header: Header | None = None


def confidential(
    storage: Storage, *, backups: bool = True, wal: bool = True
) -> Iterator[ObjectInfo]:
    """Yield the objects that encryption is for, backups first."""
    for prefix, wanted in ((layout.BACKUPS, backups), (layout.WAL, wal)):
        if wanted:
            yield from (info for info in storage.list(prefix) if is_confidential(info.key))


def inspect(
    storage: Storage, infos: Iterable[ObjectInfo], *, libsodium_key: bytes | None, workers: int
) -> Iterator[ObjectKeys]:
    """Look at each object's beginning, several at once; objects deleted meanwhile are left out.

    `storage` is the bare one, which does not decrypt. An object with a damaged header is UNKNOWN.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="survey") as pool:
        found = in_order(pool, 2 * workers, lambda info: _look(storage, info, libsodium_key), infos)
        yield from (item for item in found if item is not None)


def _look(storage: Storage, info: ObjectInfo, libsodium_key: bytes | None) -> ObjectKeys | None:
    try:
        head = b"".join(storage.get(info.key, stop=HEAD))
        return _describe(storage, info.key, info.size, head, libsodium_key)
    except NotFoundError:
        return None
    except (EncryptionError, CorruptError):
        return ObjectKeys(key=info.key, size=info.size, scheme=UNKNOWN)


def _describe(
    storage: Storage, key: str, size: int, head: bytes, libsodium_key: bytes | None
) -> ObjectKeys:
    scheme = recognise(head, name=key)
    if scheme == AGE:
        header = sealed_object(storage, key, head).age_header()
        return ObjectKeys(
            key=key, size=size, scheme=AGE, key_ids=tuple(sorted(header.key_ids)), header=header
        )
    if scheme == OPENPGP:
        return ObjectKeys(key=key, size=size, scheme=OPENPGP, key_ids=key_ids(head))
    return ObjectKeys(key=key, size=size, scheme=_unmarked(key, head, libsodium_key))


def _unmarked(key: str, head: bytes, libsodium_key: bytes | None) -> str:
    from backup_core.stream.encrypt.libsodium import opens

    if libsodium_key is not None and opens(head, libsodium_key):
        return LIBSODIUM
    return UNKNOWN if is_plain(head, layout.extension_of(key)) is False else PLAIN
