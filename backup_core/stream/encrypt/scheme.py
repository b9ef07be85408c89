"""Which scheme an object is in, and what it takes to write and to read one.

age and OpenPGP say what they are. libsodium's stream does not, so whoever has its key tries. No
cryptographic library is imported before an object needs it: a push without encryption pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from operator import eq
from threading import RLock
from typing import TYPE_CHECKING, Protocol, TypeVar

from backup_core.errors import ConfigError, EncryptionError
from backup_core.stream.encrypt.blocks import Chunk

if TYPE_CHECKING:
    from backup_core.stream.encrypt.gpg import Gpg
    from backup_core.stream.encrypt.keys import KeySource

AGE, LIBSODIUM, OPENPGP = "age", "libsodium", "openpgp"
SCHEMES = (AGE, LIBSODIUM, OPENPGP)
HEAD = 24 + 8209
"""The bytes at an object's beginning by which every scheme is recognised: libsodium's first two."""

_AGE_MAGIC = b"age-encryption.org/"
_LEAST_LIBSODIUM = 24 + 17
_FOREIGN = {b"envelope-yc-kms": "envelope OpenPGP with Yandex KMS", b"yckms": "Yandex KMS"}
_SESSION_KEY_VERSION = 3
_PUBLIC_KEY_ALGORITHMS = (1, 2, 16, 18)
_MAGICS = {
    "zst": (b"\x28\xb5\x2f\xfd", *(bytes([0x50 + low]) + b"\x2a\x4d\x18" for low in range(16))),
    "lz4": (b"\x04\x22\x4d\x18", *(bytes([0x50 + low]) + b"\x2a\x4d\x18" for low in range(16))),
    "lzo": (b"\x89LZO\x00\r\n\x1a\n",),
    "gz": (b"\x1f\x8b\x08",),
    "lzma": (b"\x5d\x00\x00",),
}
"""How objects of a codec begin; brotli's, and those that are not compressed, begin anyhow."""

_lock = RLock()
_Key = TypeVar("_Key")


class Sealer(Protocol):
    """Encrypts objects by one scheme."""

    @property
    def scheme(self) -> str:
        """One of SCHEMES."""

    def seal(
        self, chunks: Iterable[Chunk], *, name: str, digest: bytes | None = None
    ) -> Iterator[bytes]:
        """Encrypt a stream; `digest` is the SHA-256 of the file within, marked where that goes."""


@dataclass(frozen=True, kw_only=True)
class Keyring:
    """The keys at hand, each read at its first use; raises ConfigError for one that is none."""

    age: KeySource | None = None
    libsodium: KeySource | None = None
    libsodium_transform: str = "none"
    openpgp: KeySource | None = None
    openpgp_key_id: str | None = None
    openpgp_passphrase: KeySource | None = None
    gpg_program: str = "gpg"

    def age_identities(self) -> tuple[bytes, ...]:
        """age's secret keys, none if none are configured."""
        with _lock:
            return self._age

    def libsodium_key(self) -> bytes | None:
        """libsodium's key of 32 bytes."""
        with _lock:
            return self._libsodium

    def gpg(self) -> Gpg | None:
        """gpg with its keyring."""
        with _lock:
            return self._gpg

    @cached_property
    def _age(self) -> tuple[bytes, ...]:
        from backup_core.stream.encrypt.age import parse_identities

        return () if self.age is None else _parsed(self.age, parse_identities)

    @cached_property
    def _libsodium(self) -> bytes | None:
        if self.libsodium is None:
            return None
        from backup_core.stream.encrypt.libsodium_key import make_key

        source, transform = self.libsodium, self.libsodium_transform
        if source.text is not None:
            return _parsed(source, lambda text: make_key(text, transform))
        exact = source.command is not None  # what it prints may be a complaint
        return _parsed(source, lambda text: make_key(text.strip(), transform, exact=exact))

    @cached_property
    def _gpg(self) -> Gpg | None:
        if self.openpgp is None and self.openpgp_key_id is None:
            return None
        from backup_core.stream.encrypt.gpg import Gpg
        from backup_core.stream.encrypt.keys import read_key, read_openpgp_key, unusable

        source, secret = self.openpgp, self.openpgp_passphrase
        return Gpg(
            program=self.gpg_program,
            key=None if source is None else read_openpgp_key(source),
            refuse=None if source is None else partial(unusable, source),
            key_id=self.openpgp_key_id,
            passphrase=None if secret is None else read_key(secret).rstrip("\r\n"),
        )


def _parsed(source: KeySource, parse: Callable[[str], _Key]) -> _Key:
    from backup_core.stream.encrypt.keys import read_key, unusable

    text = read_key(source)
    try:
        return parse(text)
    except ConfigError as error:
        raise unusable(source, f"{source.setting}: {error.message}", error.hint) from None


def make_sealer(scheme: str, keys: Keyring, *, recipients: Iterable[str] = ()) -> Sealer:
    """What encrypts by this scheme: for `recipients` (age), else for the keys of the keyring.

    Raises ConfigError if the scheme is unknown or its key is missing or wrong.
    """
    match scheme:
        case "age":
            return _age_sealer(keys, tuple(recipients))
        case "libsodium":
            from backup_core.stream.encrypt.libsodium import LibsodiumSealer

            key = keys.libsodium_key()
            if key is not None:
                return LibsodiumSealer(key=key)
        case "openpgp":
            from backup_core.stream.encrypt.openpgp import OpenPgpSealer

            gpg = keys.gpg()
            if gpg is not None:
                return OpenPgpSealer(gpg=gpg)
        case _:
            raise ConfigError(f'encryption "{scheme}" is not known')
    raise ConfigError(f"encryption by {scheme} is asked for, but no key of it is configured")


def _age_sealer(keys: Keyring, recipients: tuple[str, ...]) -> Sealer:
    from backup_core.stream.encrypt.age import AgeSealer, parse_recipients, recipient_of

    public = parse_recipients(recipients)
    public = public or tuple(dict.fromkeys(map(recipient_of, keys.age_identities())))
    if not public:
        raise ConfigError("encryption by age is asked for, but no recipient is configured")
    return AgeSealer(recipients=public)


def recognise(head: bytes, *, name: str) -> str | None:
    """The scheme that an object which begins so says it is in, or None.

    Raises EncryptionError for schemes that WAL-G has and this program has not.
    """
    if head.startswith(_AGE_MAGIC):
        return AGE
    for magic, scheme in _FOREIGN.items():
        if head.startswith(magic):
            raise EncryptionError(
                f"{name} is encrypted by {scheme}, which cannot be read",
                hint="Restore it with wal-g.",
            )
    return OPENPGP if _is_session_key(head) else None


def _is_session_key(head: bytes) -> bool:
    """Tell an OpenPGP message by its first packet (RFC 4880, 5.1): tag, length, version, key."""
    if len(head) < 16:
        return False
    tags = {0x84: 2, 0x85: 3}
    begin = tags.get(head[0]) or (0 if head[0] != 0xC1 else 2 if head[1] < 192 else 3)
    return (
        begin > 0
        and head[begin] == _SESSION_KEY_VERSION
        and head[begin + 9] in _PUBLIC_KEY_ALGORITHMS
    )


def is_plain(head: bytes, extension: str) -> bool | None:
    """Tell whether an object begins as its codec's do; None if those begin anyhow."""
    magics = _MAGICS.get(extension)
    if not head:
        return True
    return None if magics is None else head.startswith(magics)


def may_be_libsodium(head: bytes, extension: str) -> bool:
    """Tell whether an object that is nothing known may be libsodium's, for which there is no key.

    Its beginning is random. So it is neither text nor zeros, and hardly ever half of what age's
    files and those of the codec begin with; that is a damaged one of theirs.
    """
    begun = (_AGE_MAGIC, *_MAGICS.get(extension, ()))
    return (
        len(head) >= _LEAST_LIBSODIUM
        and not head[:_LEAST_LIBSODIUM].isascii()
        and not any(_is_half(head, magic) for magic in begun)
    )


def _is_half(head: bytes, magic: bytes) -> bool:
    same: int = sum(map(eq, head, magic))
    return 2 * same >= len(magic)
