"""The primitives of data bags, from the `cryptography` library, which nothing else here imports.

X25519 (RFC 7748), HKDF with SHA-256 (RFC 5869) and ChaCha20-Poly1305 (RFC 8439). Nothing here
raises for data that does not belong together: None says so, and the caller names the object.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_SIZE = 32
NONCE_SIZE = 12
_ONE_TIME_NONCE = bytes(NONCE_SIZE)


def new_key() -> bytes:
    """Make a random symmetric key."""
    return secrets.token_bytes(KEY_SIZE)


def new_secret() -> bytes:
    """Make a secret X25519 key."""
    return X25519PrivateKey.generate().private_bytes_raw()


def public_key(secret: bytes) -> bytes:
    """The public X25519 key of a secret one."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def derive(key: bytes, *, info: bytes, salt: bytes = b"") -> bytes:
    """Derive a key for one purpose, which `info` names."""
    return HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=salt, info=info).derive(key)


def seal(key: bytes, text: bytes, associated: bytes) -> bytes:
    """Encrypt under a random nonce, which stands first; `associated` is authenticated too."""
    nonce = secrets.token_bytes(NONCE_SIZE)
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, text, associated)


def unseal(key: bytes, sealed: bytes, associated: bytes) -> bytes | None:
    """Return what `seal` encrypted, or None unless all three belong together."""
    return _decrypt(key, sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], associated)


def wrap(key: bytes, recipient: bytes, info: bytes) -> bytes | None:
    """Encrypt `key` for the owner of the public key `recipient`; None for a rogue point.

    The wrapping key comes from a fresh X25519 key and is used once, hence the constant nonce. Both
    public keys are its salt, so that what was wrapped for one recipient is of no use for another.
    """
    fresh = new_secret()
    ephemeral = public_key(fresh)
    shared = _agree(fresh, recipient)
    if shared is None:
        return None
    wrapping = derive(shared, salt=ephemeral + recipient, info=info)
    return ephemeral + ChaCha20Poly1305(wrapping).encrypt(_ONE_TIME_NONCE, key, info)


def unwrap(wrapped: bytes, secret: bytes, info: bytes) -> bytes | None:
    """Return the key that `wrap` encrypted for the owner of `secret`, or None."""
    ephemeral, sealed = wrapped[:KEY_SIZE], wrapped[KEY_SIZE:]
    shared = _agree(secret, ephemeral)
    if shared is None:
        return None
    wrapping = derive(shared, salt=ephemeral + public_key(secret), info=info)
    return _decrypt(wrapping, _ONE_TIME_NONCE, sealed, info)


def _agree(secret: bytes, public: bytes) -> bytes | None:
    try:
        peer = X25519PublicKey.from_public_bytes(public)
        return X25519PrivateKey.from_private_bytes(secret).exchange(peer)
    except ValueError:  # a point of small order, or not 32 bytes
        return None


def _decrypt(key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes | None:
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, associated)
    except (InvalidTag, ValueError):  # ValueError: cut short
        return None
