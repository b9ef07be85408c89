"""The digests by which a backup's index tells files and stored frames from others.

New backups have BLAKE3, which is as strong as SHA-256 and takes a quarter of its time. Earlier ones
have SHA-256, and their indexes do not say so. A whole object's digest is another matter: it is
SHA-256 in all of them, which any machine can check. Why: docs/decisions/digests.md.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

SIZE = 32
"""The bytes of a digest, by any of the algorithms."""


class Hasher(Protocol):
    """A digest in the making, as in the standard library's hashlib."""

    def update(self, data: bytes | memoryview, /) -> object:
        """Let more bytes count."""

    def digest(self) -> bytes:
        """The digest of all bytes so far."""

    def hexdigest(self) -> str:
        """The same in hexadecimal."""


class Algorithm(Enum):
    """How digests are made; the values are the names that stand in an index."""

    SHA256 = "sha256"
    BLAKE3 = "blake3"

    def new(self, data: bytes | memoryview = b"") -> Hasher:
        """Begin a digest, of `data` so far."""
        if self is Algorithm.SHA256:
            from hashlib import sha256

            return sha256(data)
        from blake3 import blake3

        return blake3(data)


WRITTEN = Algorithm.BLAKE3
"""What new backups have."""
