"""Parsers of keys and names of keys: what can be seen to be wrong without opening a key file.

Shapes only; whether a checksum within a key holds, its library knows. Most are secret, so no hint
repeats what was given.
"""

from __future__ import annotations

import re

from backup_core.config import values
from backup_core.errors import ConfigError

_RECIPIENT = r"age1[02-9ac-hj-np-z]{58}"
_IDENTITY = r"AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}"
_ARMOUR = r"\s*-----BEGIN PGP (?:PUBLIC|PRIVATE) KEY BLOCK-----\s.*-----END PGP .*"


def recipients(text: str) -> tuple[str, ...]:
    """Read age's public keys (X25519), separated by commas or blanks."""
    found = tuple(re.split(r"[,\s]+", text.strip(", \t\r\n")))
    if not all(re.fullmatch(_RECIPIENT, item) for item in found):
        raise ConfigError(
            "this is not a list of age recipients",
            hint="A recipient is the public key that age-keygen prints, age1 and 58 characters.",
        )
    return found


def identities(text: str) -> str:
    """Return age's secret keys (X25519) as they are, a line each, comments allowed."""
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys or not all(re.fullmatch(_IDENTITY, key) for key in keys):
        raise ConfigError(
            "this is not an age identity",
            hint="Give the line of age-keygen's output that begins with AGE-SECRET-KEY-1.",
        )
    return text


def armoured_key(text: str) -> str:
    """Return an OpenPGP key in ASCII armour; `\\n` stands for a newline, as in WAL-G."""
    key = text.replace("\\n", "\n")
    if re.fullmatch(_ARMOUR, key, re.DOTALL) is None:
        raise ConfigError(
            "this is not an OpenPGP key in ASCII armour",
            hint="Give what gpg --armor --export prints, with newlines or with \\n in their place.",
        )
    return key


def key_name(text: str) -> str:
    """Read what names a key for gpg: an id, a fingerprint, an address."""
    return _no_option(values.line(text))


def program(text: str) -> str:
    """Read the name or the path of a program."""
    return _no_option(values.line(text))


def _no_option(text: str) -> str:
    if text.startswith("-"):
        raise ConfigError(f"{text!r} reads as an option", hint="Leave out the leading hyphen.")
    return text
