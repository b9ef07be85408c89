"""Keys of people: an identity is secret and opens data bags, a recipient is its public half.

Both are spelled as a prefix and base32 (RFC 4648, no padding) of the key and four bytes of a
checksum, so that a mistyped letter is refused and not a bag sealed for nobody. The prefixes differ,
and so do their cases: no one pastes one for the other unseen.
"""

from __future__ import annotations

import base64
import hashlib
from binascii import Error as BinasciiError
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provision.errors import InputError, SecretError
from provision.secrets import crypto
from provision.secrets.private_file import read_private

RECIPIENT_PREFIX = "pitrpub1"
IDENTITY_PREFIX = "PITR-SECRET-KEY-1"
IDENTITY = "PROVISION_IDENTITY"
IDENTITY_FILE = "PROVISION_IDENTITY_FILE"
_CHECKSUM = 4


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A secret key; neither its repr nor its str shows it."""

    secret: bytes = field(repr=False)

    @property
    def recipient(self) -> str:
        """The public half, as text."""
        return _spell(RECIPIENT_PREFIX, crypto.public_key(self.secret))

    def reveal(self) -> str:
        """The secret key as text, for the file in which its owner keeps it."""
        return _spell(IDENTITY_PREFIX, self.secret).upper()


def generate_identity() -> Identity:
    """Make a new identity."""
    return Identity(secret=crypto.new_secret())


def parse_recipient(text: str) -> bytes:
    """Read a recipient's public key; raises InputError for a typo or anything else."""
    key = _read(RECIPIENT_PREFIX, text.strip())
    if key is not None:
        return key
    if text.strip().startswith(IDENTITY_PREFIX):
        raise InputError(
            "a secret key stands where a recipient is asked for",
            hint=f"A recipient begins with {RECIPIENT_PREFIX}; it is in the key's file.",
        )
    raise InputError(
        f'"{text.strip()[:80]}" is not a recipient, or a letter of it is mistyped',
        hint=f"A recipient is what `provision secrets keygen` prints: {RECIPIENT_PREFIX}...",
    )


def parse_identity(text: str, where: str) -> Identity:
    """Read an identity; raises SecretError, which names `where` and never repeats the text."""
    key = _read(IDENTITY_PREFIX, text.strip())
    if key is None:
        raise SecretError(
            f"{where} does not hold an identity, or a letter of it is mistyped",
            hint=f"It begins with {IDENTITY_PREFIX}; `provision secrets keygen` makes one.",
        )
    return Identity(secret=key)


def identities_from(environ: Mapping[str, str]) -> tuple[Identity, ...]:
    """Read the identities that PROVISION_IDENTITY or PROVISION_IDENTITY_FILE names; maybe none.

    A file holds one a line; lines that begin with # and blank ones mean nothing. Raises SecretError
    for a file that others may read.
    """
    found = _identities(environ.get(IDENTITY, ""), IDENTITY)
    if path := environ.get(IDENTITY_FILE, ""):
        in_file = _identities(read_private(Path(path), f"the identity file {path}"), path)
        if not in_file:
            raise SecretError(f"there is no identity in {path}")
        found += in_file
    return found


def _identities(text: str, where: str) -> tuple[Identity, ...]:
    lines = (line.strip() for line in text.splitlines())
    return tuple(parse_identity(line, where) for line in lines if line and line[0] != "#")


def _spell(prefix: str, key: bytes) -> str:
    letters = base64.b32encode(key + _checksum(prefix, key)).decode().rstrip("=")
    return prefix + letters.lower()


def _read(prefix: str, text: str) -> bytes | None:
    """The key that `_spell` spells, None for every other text: another case, stray bits."""
    body = text.removeprefix(prefix)
    letters = body.upper()
    if body == text or (letters if prefix.isupper() else letters.lower()) != body:
        return None
    try:
        data = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except BinasciiError:
        return None
    key = data[:-_CHECKSUM]
    spelled = _spell(prefix, key).removeprefix(prefix)
    return key if len(key) == crypto.KEY_SIZE and spelled == body.lower() else None


def _checksum(prefix: str, key: bytes) -> bytes:
    return hashlib.sha256(prefix.encode() + key).digest()[:_CHECKSUM]
