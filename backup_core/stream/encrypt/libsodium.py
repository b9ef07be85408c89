"""libsodium's secretstream as WAL-G stores it: one secret key for everybody who writes or reads.

An object is a header of 24 bytes and then messages: 8192 bytes of content each, in 8209, and last
a shorter one with the tag FINAL, which is empty where nothing is left. WAL-G's reader refuses FINAL
on a full message, and is content without any: cut off between two messages, an object passes. Here
the reader insists on it, and refuses whatever follows.

PyNaCl binds the library (why: docs/decisions/encryption.md). Nothing in an object names the scheme,
so the first message's tag has to tell whether it is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nacl import bindings
from nacl.exceptions import CryptoError

from backup_core.errors import CorruptError, EncryptionError
from backup_core.stream.encrypt.blocks import Chunk, cut, rejoined, take_some

BLOCK = 8192
SEALED_BLOCK = BLOCK + bindings.crypto_secretstream_xchacha20poly1305_ABYTES
HEADER = bindings.crypto_secretstream_xchacha20poly1305_HEADERBYTES
_MESSAGE = bindings.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_FINAL = bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL
_TOGETHER = 64
_State = bindings.crypto_secretstream_xchacha20poly1305_state


@dataclass(frozen=True, kw_only=True)
class LibsodiumSealer:
    """Encrypts under one key of 32 bytes."""

    key: bytes = field(repr=False)
    scheme: str = field(default="libsodium", init=False)

    def seal(
        self, chunks: Iterable[Chunk], *, name: str, digest: bytes | None = None
    ) -> Iterator[bytes]:
        """Encrypt a stream, in pieces of up to 512 KiB; there is no place for a digest."""
        del name, digest
        state = _State()
        ready = [bindings.crypto_secretstream_xchacha20poly1305_init_push(state, self.key)]
        push = bindings.crypto_secretstream_xchacha20poly1305_push
        for block in cut(chunks, BLOCK):
            ready.append(push(state, block, tag=_MESSAGE if len(block) == BLOCK else _FINAL))
            if len(ready) == _TOGETHER:
                yield b"".join(ready)
                ready.clear()
        if ready:
            yield b"".join(ready)


def unseal(
    chunks: Iterable[bytes], key: bytes, *, name: str, most: int | None = None
) -> Iterator[bytes]:
    """Decrypt an object, or its first `most` messages, which may end without FINAL.

    Raises EncryptionError if the first message is not authentic, CorruptError for other damage.
    """
    state = _State()
    number, ended = -1, False
    ready = []
    for number, block in enumerate(_messages(chunks, state, key, name)):
        if ended:
            raise CorruptError(f"{name} is damaged: there are bytes after its encrypted content")
        content, ended = _pull(state, block, number, name)
        ready.append(content)
        if len(ready) == _TOGETHER:
            yield b"".join(ready)
            ready.clear()
    if not ended and number + 1 != most:
        raise CorruptError(f"{name} is cut off: the end of its encrypted content is missing")
    yield b"".join(ready)


def opens(head: bytes, key: bytes) -> bool:
    """Tell whether an object that begins so was encrypted under this key.

    `head` is the whole object, or at least its first 24 + 8209 bytes.
    """
    state = _State()
    first = head[HEADER : HEADER + SEALED_BLOCK]
    try:
        bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, head[:HEADER], key)
        bindings.crypto_secretstream_xchacha20poly1305_pull(state, first)
    except (CryptoError, ValueError):
        return False
    return True


def _messages(chunks: Iterable[bytes], state: _State, key: bytes, name: str) -> Iterator[bytes]:
    """Begin with the header, then yield the messages as they are stored."""
    source = iter(chunks)
    head, _ = take_some(source, HEADER)
    if len(head) < HEADER:
        raise CorruptError(f"{name} is cut off: its encryption header is not complete")
    bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, head[:HEADER], key)
    for block in cut(rejoined(head[HEADER:], source), SEALED_BLOCK):
        if block:
            yield block


def _pull(state: _State, block: bytes, number: int, name: str) -> tuple[bytes, bool]:
    try:
        content, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(state, block)
    except (CryptoError, ValueError):
        if number == 0:
            raise EncryptionError(
                f"{name} cannot be decrypted with this libsodium key",
                hint="Check the key and WALG_LIBSODIUM_KEY_TRANSFORM; with the right ones, the "
                "object is damaged at its beginning.",
            ) from None
        raise CorruptError(
            f"{name} is damaged: its encrypted block {number} is not authentic"
        ) from None
    if tag not in (_MESSAGE, _FINAL):
        raise CorruptError(f"{name} is damaged: its encrypted block {number} has an unknown tag")
    return content, tag == _FINAL
