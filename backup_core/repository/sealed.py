"""A storage that encrypts what is confidential and decrypts what it finds encrypted.

A decorator, so that the verbs know nothing of encryption: they see keys, names and compressed bytes
as without it, ranges included. What is confidential is the cluster's content: WAL, tar partitions,
and the lists of its files. Sentinels, metadata and `pitr/` stay plain: stock wal-g, and operators,
must be able to see what there is.

Sizes are those of the stored objects, as in every listing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from backup_core.errors import (
    CorruptError,
    EncryptionError,
    MissingKeyError,
    NotFoundError,
    PitrError,
)
from backup_core.repository import layout
from backup_core.storage.base import Chunk, ObjectInfo, Storage
from backup_core.stream.encrypt.blocks import slice_of, take_some
from backup_core.stream.encrypt.scheme import (
    AGE,
    HEAD,
    LIBSODIUM,
    OPENPGP,
    Keyring,
    Sealer,
    is_plain,
    may_be_libsodium,
    recognise,
)

if TYPE_CHECKING:
    from backup_core.stream.encrypt.reading import SealedObject

_PARTITIONS = "/tar_partitions/"
_LISTS = ("/index.json.zst", "/backup_manifest")
_FILES_METADATA = "/files_metadata.json"
_WAL_PAGE = (b"\xd0", b"\xd1")
_TAR_BLOCK, _TAR_MAGIC_AT = 512, 257
_NO_KEY_HINT = (
    "libsodium's objects begin anyhow, so only their key can tell. Set WALG_LIBSODIUM_KEY_PATH; if "
    "nothing was ever encrypted here by libsodium, the object is damaged."
)
_WRONG_KEY_HINT = (
    "Check the key and WALG_LIBSODIUM_KEY_TRANSFORM; with the right ones, the object is damaged at "
    "its beginning."
)
_DAMAGED_HINT = (
    "It begins neither as files of its codec do nor as encrypted ones. pitr st cat gives it as it "
    "is stored."
)
_PLAIN_HINT = (
    "It was stored before encryption was configured, or by somebody else; to read it all the same, "
    "unset PITR_REQUIRE_ENCRYPTION."
)
_PLAIN_LIST_HINT = (
    "Set PITR_COMPAT=wal-g if the backup was taken so: then this list is in plain, and the files' "
    "content is not."
)


class UnknownContentError(MissingKeyError):
    """An object is libsodium's, of which no key is at hand, or damaged: nothing tells which."""


def is_confidential(key: str, *, plain_files_metadata: bool = False) -> bool:
    """Tell whether an object of this key is encrypted where encryption is configured."""
    if key.startswith(layout.WAL):
        return not key.endswith(".json")
    if not key.startswith(layout.BACKUPS):
        return False
    if key.endswith(_FILES_METADATA):
        return not plain_files_metadata
    return _PARTITIONS in key or key.endswith(_LISTS)


def sealed_object(
    inner: Storage, key: str, head: bytes, whole: Iterator[bytes] | None = None
) -> SealedObject:
    """The stored object of this key, which begins with `head`; `whole` if it was fetched."""
    from backup_core.stream.encrypt.reading import SealedObject

    return SealedObject(
        name=key,
        head=head,
        fetch=lambda start, stop: inner.get(key, start=start, stop=stop),
        whole=whole,
    )


class SealedStorage:
    """Implements Storage around `inner`: writes by `write`, if any, and reads every known scheme.

    With `require`, a plain object that should be encrypted is not read, and none is written.
    `plain_files_metadata` leaves WAL-G's list of files as stock wal-g needs it.
    """

    def __init__(
        self,
        inner: Storage,
        *,
        write: Sealer | None,
        keys: Keyring,
        require: bool = False,
        plain_files_metadata: bool = False,
    ) -> None:
        self.url = inner.url
        self.inner = inner
        self._write = write
        self._keys = keys
        self._require = require
        self._plain_files_metadata = plain_files_metadata

    @property
    def writes_blindly(self) -> bool:
        """Whether what is written may be unreadable to hosts that write: then files are marked.

        True even where the secret key is at hand: a standby that archives too may lack it.
        """
        return self._write is not None and self._write.scheme in (AGE, OPENPGP)

    def put(
        self,
        key: str,
        chunks: Iterable[Chunk],
        *,
        if_absent: bool = False,
        size_hint: int | None = None,
    ) -> ObjectInfo:
        """Store the chunks, encrypted if the key is confidential; raises EncryptionError."""
        return self._put(key, chunks, None, if_absent=if_absent, size_hint=size_hint)

    def put_marked(
        self, key: str, chunks: Iterable[Chunk], *, digest: bytes, if_absent: bool = False
    ) -> ObjectInfo:
        """Store the chunks as `put` does, marked with the SHA-256 of the file that they encode.

        age has a place for the mark. For an OpenPGP message it is a small object of its own. What
        is encrypted is held in memory meanwhile, for the mark has its digest too.
        """
        if self._write is not None and self._write.scheme == OPENPGP:
            from backup_core.repository.marked import put_message

            message = self._write.seal(chunks, name=key)
            return put_message(self.inner, key, message, digest=digest, if_absent=if_absent)
        return self._put(key, chunks, digest, if_absent=if_absent, size_hint=None)

    def same_content(self, key: str, digest: bytes) -> bool | None:
        """Tell by its mark whether an object encodes the file of this SHA-256, without any key.

        None if it has no mark: then its content has to be read. Raises NotFoundError, and
        CorruptError for an object that is not whole.
        """
        from backup_core.repository.marked import same_content

        return same_content(self.inner, key, digest)

    def get(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the decrypted content from `start` to before `stop`.

        Raises NotFoundError at the call; EncryptionError where the key is missing or wrong, or the
        object is plain but must not be; CorruptError. A range does not prove what is outside of it.
        """
        if not is_confidential(key):
            return self.inner.get(key, start=start, stop=stop)
        if start:
            head, chunks = b"".join(self.inner.get(key, stop=HEAD)), None
        else:
            enough = None if stop is None else max(stop, HEAD)
            head, chunks = take_some(self.inner.get(key, stop=enough), HEAD)
        scheme = self._scheme(key, head)
        if scheme is None:
            if chunks is None:
                return self.inner.get(key, start=start, stop=stop)
            return slice_of(chunks, 0, stop)
        from backup_core.stream.encrypt.reading import unsealed

        found = self._object(key, head[:HEAD], whole=chunks if stop is None else None)
        return unsealed(found, scheme, self._keys, start=start, stop=stop)

    def is_sequential(self, key: str) -> bool:
        """Whether an object has to be decrypted from its beginning; raises as `get` does."""
        if not is_confidential(key):
            return False
        head = b"".join(self.inner.get(key, stop=HEAD))
        return self._scheme(key, head) in (LIBSODIUM, OPENPGP)

    def unseal(self, key: str, stored: Iterator[bytes]) -> Iterator[bytes]:
        """The content of an object whose stored bytes flow by; raises as `get` does."""
        if not is_confidential(key):
            return stored
        head, stored = take_some(stored, HEAD)
        scheme = self._scheme(key, head[:HEAD])
        if scheme is None:
            return stored
        from backup_core.stream.encrypt.reading import unsealed

        return unsealed(self._object(key, head[:HEAD], whole=stored), scheme, self._keys)

    def stat(self, key: str) -> ObjectInfo:
        """Describe the object as it is stored; raises NotFoundError."""
        return self.inner.stat(key)

    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> Iterator[ObjectInfo]:
        """List the objects as they are stored."""
        return self.inner.list(prefix, delimiter=delimiter, start_after=start_after)

    def delete(self, keys: Iterable[str]) -> dict[str, str | None]:
        """Delete objects."""
        return self.inner.delete(keys)

    def _is_confidential(self, key: str) -> bool:
        return is_confidential(key, plain_files_metadata=self._plain_files_metadata)

    def _put(
        self,
        key: str,
        chunks: Iterable[Chunk],
        digest: bytes | None,
        *,
        if_absent: bool,
        size_hint: int | None,
    ) -> ObjectInfo:
        if self._is_confidential(key):
            if self._write is not None:
                chunks = self._write.seal(chunks, name=key, digest=digest)
                size_hint = None if size_hint is None else _grown(size_hint)
            elif self._require:
                raise EncryptionError(
                    f"{key} is not written: encryption is required, and none is configured",
                    hint="Set PITR_ENCRYPTION and its key, see docs/settings.md.",
                )
        return self.inner.put(key, chunks, if_absent=if_absent, size_hint=size_hint)

    def _object(self, key: str, head: bytes, whole: Iterator[bytes] | None = None) -> SealedObject:
        return sealed_object(self.inner, key, head, whole)

    def _scheme(self, key: str, head: bytes) -> str | None:
        """Which scheme an object that begins with `head` is in; None for an admissible plain one.

        libsodium's is tried before the codec's magic is asked: its header is random.
        """
        scheme = recognise(head, name=key) or self._libsodium(head)
        if scheme is not None:
            return scheme
        if _begins_plain(key, head) is False:
            raise self._unknown(key, head)
        if self._require and self._is_confidential(key) and not self._is_list_of_wal_g(key):
            raise EncryptionError(
                f"{key} is not encrypted, and encryption is required",
                hint=_PLAIN_LIST_HINT if key.endswith(_FILES_METADATA) else _PLAIN_HINT,
            )
        return None

    def _is_list_of_wal_g(self, key: str) -> bool:
        """Tell whether it is the list of a backup that has no index, so is not of pitr's making.

        wal-g leaves it plain always. It names files and holds none of their content.
        """
        if not key.endswith(_FILES_METADATA):
            return False
        name = key.removeprefix(layout.BACKUPS).removesuffix(_FILES_METADATA)
        try:
            self.inner.stat(layout.index(name))
        except NotFoundError:
            return True
        return False

    def _libsodium(self, head: bytes) -> str | None:
        secret = self._keys.libsodium_key()
        if secret is None or not head:
            return None
        from backup_core.stream.encrypt.libsodium import opens

        return LIBSODIUM if opens(head, secret) else None

    def _unknown(self, key: str, head: bytes) -> PitrError:
        if not may_be_libsodium(head, layout.extension_of(key)):
            return CorruptError(f"{key} is damaged at its beginning", hint=_DAMAGED_HINT)
        if self._keys.libsodium_key() is None:
            return UnknownContentError(
                f"{key} is encrypted or damaged: it may be libsodium's, of which no key is "
                "configured",
                hint=_NO_KEY_HINT,
            )
        return EncryptionError(
            f"{key} is encrypted or damaged: the libsodium key is not its", hint=_WRONG_KEY_HINT
        )


def _begins_plain(key: str, head: bytes) -> bool | None:
    """Tell whether an object begins as a plain one of its key does; None if those begin anyhow."""
    extension = layout.extension_of(key)
    if extension or not head:
        return is_plain(head, extension)
    if key.startswith(layout.WAL):  # a page's magic number, or a history file
        return head[1:2] in _WAL_PAGE or head.isascii()
    if key.rstrip(".").endswith(".tar"):
        return head[_TAR_MAGIC_AT:].startswith(b"ustar") or not any(head[:_TAR_BLOCK])
    return head.startswith(b"{")


def _grown(size: int) -> int:
    """A bound for the size of encrypted content: libsodium adds most, 17 bytes in 8192."""
    return size + size // 400 + (64 << 10)
