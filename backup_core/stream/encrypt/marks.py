"""Marks by which a host that cannot decrypt an object still knows it, and whether it is whole.

A digest of the file alone would tell anybody which objects have equal content, and let him test a
guess; the salt makes each mark one of its kind. The digest of the stored bytes needs none. It is
there because a store may tear an object in a crash, which is just when a file is archived again.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

_SALT, _DIGEST = 16, 32


@dataclass(frozen=True, kw_only=True)
class Mark:
    """`salted` is the SHA-256 of `salt` and a file's SHA-256, `stored` that of encrypted bytes."""

    salt: bytes
    salted: bytes
    stored: bytes

    def is_of(self, digest: bytes) -> bool:
        """Tell whether it was made of the file with this SHA-256."""
        return hmac.compare_digest(self.salted, _salted(self.salt, digest))

    def has_all(self, chunks: Iterable[bytes]) -> bool:
        """Tell whether these are the encrypted bytes it was made of, no more and no less."""
        return digest_of(chunks) == self.stored

    def pack(self) -> bytes:
        """The mark as an object of its own."""
        return self.salt + self.salted + self.stored


def make_mark(digest: bytes, stored: Iterable[bytes]) -> Mark:
    """Mark the file with this SHA-256, which was encrypted to the bytes `stored`."""
    salt = os.urandom(_SALT)
    return Mark(salt=salt, salted=_salted(salt, digest), stored=digest_of(stored))


def unpack(data: bytes) -> Mark | None:
    """Read what `pack` gives; None for anything else."""
    if len(data) != _SALT + 2 * _DIGEST:
        return None
    return Mark(salt=data[:_SALT], salted=data[_SALT:-_DIGEST], stored=data[-_DIGEST:])


def digest_of(chunks: Iterable[bytes]) -> bytes:
    """The SHA-256 of a stream."""
    digest = sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.digest()


def _salted(salt: bytes, digest: bytes) -> bytes:
    return sha256(salt + digest).digest()
