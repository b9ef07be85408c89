"""From settings to the keys that sign the records of drills and check them.

A host that drills has the secret key; whoever reads the records needs the public one alone, and
cannot forge. Both are PEM, as `openssl genpkey -algorithm ed25519` writes them.
"""

from __future__ import annotations

from collections.abc import Callable

from backup_core.config.settings import Settings
from backup_core.errors import ConfigError

_HINT = "Make one with: openssl genpkey -algorithm ed25519 -out FILE"


def signer(settings: Settings) -> Callable[[bytes], bytes] | None:
    """What signs a record; None without a key. Raises ConfigError for a key that is none."""
    from backup_core.stream.encrypt.primitives import sign

    pem = _secret(settings)
    if pem is None:
        return None
    if sign(pem, b"") is None:
        raise ConfigError(
            f"drill_signing_key_file: {settings.drill_signing_key_file} holds no Ed25519 key "
            "without a passphrase in PEM",
            hint=_HINT,
        )
    return lambda data: sign(pem, data) or b""


def checker(settings: Settings) -> Callable[[bytes, bytes], bool] | None:
    """What checks a signature, by the public key or that of the secret one; None without either.

    Raises ConfigError for a key that is none.
    """
    from backup_core.stream.encrypt.primitives import is_signed, public_pem

    path = settings.drill_public_key_file
    if path is not None:
        from backup_core.stream.encrypt.keys import KeySource, read_key

        pem = read_key(KeySource(setting="drill_public_key_file", path=path), secret=False)
    else:
        pem = public_pem(_secret(settings) or "") or ""
        if not pem:
            return None
    if is_signed(pem, b"", bytes(64)) is None:
        raise ConfigError(
            f"drill_public_key_file: {path} holds no public Ed25519 key in PEM",
            hint="Write it with: openssl pkey -in SIGNING_KEY -pubout -out FILE",
        )
    return lambda data, signature: is_signed(pem, data, signature) is True


def _secret(settings: Settings) -> str | None:
    if settings.drill_signing_key_file is None:
        return None
    from backup_core.stream.encrypt.keys import KeySource, read_key

    source = KeySource(setting="drill_signing_key_file", path=settings.drill_signing_key_file)
    return read_key(source)
