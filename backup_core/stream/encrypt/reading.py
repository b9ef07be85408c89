"""Decrypting an object, or the part of it that is asked for, from a store that serves ranges.

age can be entered at any block. libsodium's streams and OpenPGP's messages have to be decrypted
from the beginning; that stops where enough is decrypted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backup_core.errors import CorruptError, MissingKeyError
from backup_core.stream.encrypt.blocks import rejoined, slice_of, take_some
from backup_core.stream.encrypt.scheme import AGE, HEAD, LIBSODIUM, OPENPGP, Keyring

if TYPE_CHECKING:
    from backup_core.stream.encrypt.age_header import Header

_HINTS = {
    AGE: "Set PITR_AGE_IDENTITY or PITR_AGE_IDENTITY_FILE; database hosts need not have it.",
    LIBSODIUM: "Set WALG_LIBSODIUM_KEY_PATH.",
    OPENPGP: "Set WALG_PGP_KEY_PATH to the secret key, or WALE_GPG_KEY_ID.",
}


@dataclass(frozen=True, kw_only=True)
class SealedObject:
    """An encrypted object: its first bytes, and how to fetch it from an offset to another.

    `whole` is all of it, if that was fetched already.
    """

    name: str
    head: bytes
    fetch: Callable[[int, int | None], Iterator[bytes]]
    whole: Iterator[bytes] | None = None

    def stored(self) -> Iterator[bytes]:
        """All of it."""
        return self.fetch(0, None) if self.whole is None else self.whole

    def read_anew(self) -> SealedObject:
        """The object as it begins now."""
        return replace(self, head=b"".join(self.fetch(0, HEAD)), whole=None)

    def age_header(self) -> Header:
        """The header of an age file; raises CorruptError."""
        from backup_core.stream.encrypt.age_header import LONGEST_HEADER, take_header

        head = self.head
        if len(head) == HEAD and b"\n---" not in head[:-64]:
            head = b"".join(self.fetch(0, LONGEST_HEADER))
        return take_header([head], name=self.name)[0]


def unsealed(
    found: SealedObject, scheme: str, keys: Keyring, *, start: int = 0, stop: int | None = None
) -> Iterator[bytes]:
    """Yield the decrypted content from `start` to before `stop`.

    Without the right key, MissingKeyError or EncryptionError is raised before the first byte; any
    damage to what is read raises CorruptError.
    """
    if stop is not None and stop <= start:
        return iter(())
    if scheme == AGE:
        return _from_age(found, keys.age_identities(), start, stop)
    if scheme == LIBSODIUM:
        return _from_libsodium(found, keys.libsodium_key(), start, stop)
    return _from_openpgp(found, keys, start, stop)


def _from_age(
    found: SealedObject, identities: tuple[bytes, ...], start: int, stop: int | None
) -> Iterator[bytes]:
    from backup_core.stream.encrypt import age

    if not identities:
        raise _without_key(found.name, AGE)
    if start == 0 and stop is None:
        return age.unseal(found.stored(), identities, name=found.name)
    try:
        beginning, content = _begun(_age_range(found, identities, start, stop))
    except CorruptError:
        now = found.read_anew()
        if now.head == found.head:
            raise
        beginning, content = _begun(_age_range(now, identities, start, stop))
    if not beginning:  # behind the end, or cut off: that takes all of it to tell
        return slice_of(age.unseal(found.fetch(0, None), identities, name=found.name), start, stop)
    return rejoined(beginning, content)


def _begun(content: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Draw the first piece, so that the first block is proven."""
    return next(content, b""), content


def _age_range(
    found: SealedObject, identities: tuple[bytes, ...], start: int, stop: int | None
) -> Iterator[bytes]:
    """Fetch only the blocks that hold the range; without `stop`, so that the end is proven.

    Header and blocks come by two requests; between them a rewrapping may have moved the blocks.
    """
    from backup_core.stream.encrypt import age

    header = found.age_header()
    file_key = age.unwrap(header, identities, name=found.name)
    first = start // age.BLOCK if stop is not None else max(0, start - 1) // age.BLOCK
    after = None if stop is None else -(-stop // age.BLOCK)
    begin = header.size + age.PAYLOAD_NONCE
    nonce = found.head[header.size : begin]
    if len(nonce) < age.PAYLOAD_NONCE:
        nonce = b"".join(found.fetch(header.size, begin))
    payload = found.fetch(
        begin + first * age.SEALED_BLOCK,
        None if after is None else begin + after * age.SEALED_BLOCK,
    )
    some, payload = take_some(payload, 1)
    if not some:
        return
    most = None if after is None else after - first
    content = age.unseal_blocks(payload, file_key, nonce, first=first, most=most, name=found.name)
    offset = first * age.BLOCK
    yield from slice_of(content, start - offset, None if stop is None else stop - offset)


def _from_libsodium(
    found: SealedObject, key: bytes | None, start: int, stop: int | None
) -> Iterator[bytes]:
    from backup_core.stream.encrypt import libsodium

    if key is None:
        raise _without_key(found.name, LIBSODIUM)
    if stop is None:
        return slice_of(libsodium.unseal(found.stored(), key, name=found.name), start, None)
    most = stop // libsodium.BLOCK + 1
    stored = found.fetch(0, libsodium.HEADER + most * libsodium.SEALED_BLOCK)
    return slice_of(libsodium.unseal(stored, key, name=found.name, most=most), start, stop)


def _from_openpgp(
    found: SealedObject, keys: Keyring, start: int, stop: int | None
) -> Iterator[bytes]:
    from backup_core.stream.encrypt import openpgp

    gpg = keys.gpg()
    if gpg is None:
        raise _without_key(found.name, OPENPGP)
    return slice_of(openpgp.unseal(found.stored(), gpg, name=found.name), start, stop)


def _without_key(name: str, scheme: str) -> MissingKeyError:
    return MissingKeyError(
        f"{name} is encrypted by {scheme}, and no key for that is configured", hint=_HINTS[scheme]
    )
