"""libsodium's key as WAL-G makes it of a text; apart from the cipher, so that a setting can be
checked without loading the library.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error, unhexlify

from backup_core.errors import ConfigError

KEY_SIZE = 32
_LEAST_TEXT = 25


def make_key(text: str, transform: str = "none", *, exact: bool = False) -> bytes:
    """Make WAL-G's key of 32 bytes of a text.

    `transform` is WALG_LIBSODIUM_KEY_TRANSFORM: `none` takes the text itself, at least 25 bytes,
    cut or filled up with zeros, unless `exact` forbids that; `base64` and `hex` must give 32 bytes.
    Raises ConfigError, which does not repeat the text.
    """
    data = text.encode("utf-8", "surrogateescape")
    if transform == "none":
        return _of_text(data, exact=exact)
    try:
        data = data.strip()
        key = unhexlify(data) if transform == "hex" else b64decode(data, validate=True)
    except (Error, ValueError):
        key = b""
    if len(key) != KEY_SIZE:
        raise ConfigError(
            f"the libsodium key is not {transform} of {KEY_SIZE} bytes",
            hint="Make a key with: openssl rand -hex 32, or openssl rand -base64 32",
        )
    return key


def _of_text(data: bytes, *, exact: bool) -> bytes:
    if exact and len(data) != KEY_SIZE:
        raise ConfigError(
            f"the libsodium key is not a text of {KEY_SIZE} bytes, and "
            "WALG_LIBSODIUM_KEY_TRANSFORM says neither hex nor base64",
            hint="Set the transform; any other text might be a message instead of a key.",
        )
    if len(data) < _LEAST_TEXT:
        raise ConfigError(
            f"the libsodium key is shorter than {_LEAST_TEXT} bytes",
            hint="Make a key with: openssl rand -hex 32",
        )
    return data[:KEY_SIZE].ljust(KEY_SIZE, b"\0")
