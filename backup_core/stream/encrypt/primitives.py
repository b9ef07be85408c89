"""The primitives that come from the `cryptography` library, which nothing else imports.

For age X25519 (RFC 7748), HKDF with SHA-256 (RFC 5869) and ChaCha20-Poly1305 (RFC 8439); they are
OpenSSL's there and leave the interpreter's lock while they work on a block. For the records of
drills Ed25519 (RFC 8032), with keys as openssl writes them.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_SIZE = 32
TAG_SIZE = 16


class Cipher:
    """ChaCha20-Poly1305 under one key, without associated data."""

    def __init__(self, key: bytes) -> None:
        self._aead = ChaCha20Poly1305(key)

    def encrypt(self, nonce: bytes, data: bytes) -> bytes:
        """Return the ciphertext and its 16 bytes of tag."""
        return self._aead.encrypt(nonce, data, None)

    def decrypt(self, nonce: bytes, data: bytes) -> bytes | None:
        """Return the plaintext, or None unless key, nonce and data belong together."""
        try:
            return self._aead.decrypt(nonce, data, None)
        except InvalidTag:
            return None


def derive(secret: bytes, *, salt: bytes, info: bytes) -> bytes:
    """Derive 32 bytes with HKDF-SHA-256."""
    return HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=salt, info=info).derive(secret)


def new_secret() -> bytes:
    """Make a secret X25519 key."""
    return X25519PrivateKey.generate().private_bytes_raw()


def public_key(secret: bytes) -> bytes:
    """The public X25519 key of a secret one."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def agree(secret: bytes, public: bytes) -> bytes | None:
    """The secret that both sides of X25519 share; None where it would be zero: a rogue point."""
    try:
        peer = X25519PublicKey.from_public_bytes(public)
        return X25519PrivateKey.from_private_bytes(secret).exchange(peer)
    except ValueError:
        return None


def sign(private_pem: str, data: bytes) -> bytes | None:
    """The Ed25519 signature of the data, 64 bytes; None unless the text is such a key in PEM."""
    key = _private_key(private_pem)
    return None if key is None else key.sign(data)


def public_pem(private_pem: str) -> str | None:
    """The public key of a secret Ed25519 key, both in PEM; None unless the text is such a key."""
    key = _private_key(private_pem)
    if key is None:
        return None
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def is_signed(pem: str, data: bytes, signature: bytes) -> bool | None:
    """Tell whether the key signed the data; None unless the text is a public Ed25519 key in PEM."""
    try:
        key = serialization.load_pem_public_key(pem.encode("utf-8", "surrogateescape"))
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, Ed25519PublicKey):
        return None
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _private_key(pem: str) -> Ed25519PrivateKey | None:
    try:
        key = serialization.load_pem_private_key(pem.encode("utf-8", "surrogateescape"), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a passphrase
        return None
    return key if isinstance(key, Ed25519PrivateKey) else None
