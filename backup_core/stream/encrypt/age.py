"""age files, version 1: for several public keys, readable with any one of the secret ones.

The scheme of choice, because a database host needs public keys only and cannot read what it wrote.
The stock `age` program decrypts these objects. Its format is written here on the primitives of the
`cryptography` library (why: docs/decisions/encryption.md); the format's source is
age-encryption.org/v1, whose sections are named below.

The payload is blocks of 64 KiB, each with a tag, numbered and the last one marked. So blocks cannot
be changed, swapped, dropped or cut off, and any of them can be decrypted without those before.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from backup_core.errors import ConfigError, CorruptError, MissingKeyError
from backup_core.stream.encrypt import bech32
from backup_core.stream.encrypt.age_header import (
    X25519,
    Header,
    Stanza,
    digest_mark,
    finish,
    from_base64,
    key_mark,
    lasting_marks,
    parse,
    render,
    take_header,
    to_base64,
)
from backup_core.stream.encrypt.blocks import Chunk, cut, rejoined, take_some
from backup_core.stream.encrypt.keys import key_lines
from backup_core.stream.encrypt.marks import make_mark
from backup_core.stream.encrypt.primitives import (
    KEY_SIZE,
    TAG_SIZE,
    Cipher,
    agree,
    derive,
    new_secret,
    public_key,
)

BLOCK = 64 << 10
SEALED_BLOCK = BLOCK + TAG_SIZE
PAYLOAD_NONCE = 16
_FILE_KEY = 16
_LABEL = b"age-encryption.org/v1/X25519"
_PUBLIC, _SECRET = "age", "AGE-SECRET-KEY-"
_MOST_RECIPIENTS = 100


@dataclass(frozen=True, kw_only=True)
class AgeSealer:
    """Encrypts for every one of the public keys `recipients`, 32 bytes each."""

    recipients: tuple[bytes, ...]
    scheme: str = field(default="age", init=False)

    def __post_init__(self) -> None:
        _check_number(self.recipients, least=1)

    def seal(
        self, chunks: Iterable[Chunk], *, name: str, digest: bytes | None = None
    ) -> Iterator[bytes]:
        """Encrypt a stream; `digest`, the SHA-256 of the file within, is marked in the header.

        So is then the SHA-256 of what follows the header, which is held in memory for that.
        """
        del name
        file_key, nonce = secrets.token_bytes(_FILE_KEY), secrets.token_bytes(PAYLOAD_NONCE)
        payload = chain([nonce], _sealed(chunks, _payload_cipher(file_key, nonce)))
        if digest is None:
            yield _header(file_key, self.recipients, ())
            yield from payload
        else:
            held = list(payload)
            yield _header(file_key, self.recipients, [digest_mark(make_mark(digest, held))])
            yield from held


def parse_recipient(text: str) -> bytes:
    """Read a public key `age1...`; raises ConfigError."""
    public = bech32.decode(_PUBLIC, text)
    if len(public) != KEY_SIZE or agree(new_secret(), public) is None:
        raise ConfigError(f"{text} is not an age recipient of the X25519 kind")
    return public


def parse_recipients(texts: Iterable[str]) -> tuple[bytes, ...]:
    """Read public keys, none of them twice; raises ConfigError, also for more than 100."""
    found = tuple(dict.fromkeys(map(parse_recipient, texts)))
    _check_number(found, least=0)
    return found


def _check_number(recipients: tuple[bytes, ...], *, least: int) -> None:
    if not least <= len(recipients) <= _MOST_RECIPIENTS:
        raise ConfigError(f"{len(recipients)} age recipients, 1 to 100 are possible")


def parse_identity(text: str) -> bytes:
    """Read a secret key `AGE-SECRET-KEY-1...`; raises ConfigError, which does not repeat it."""
    secret = bech32.decode(_SECRET, text)
    if len(secret) != KEY_SIZE:
        raise ConfigError("the key is not an age identity of the X25519 kind")
    return secret


def parse_identities(text: str) -> tuple[bytes, ...]:
    """Read secret keys, a line each, as `age-keygen` writes them; raises ConfigError for none."""
    found = tuple(parse_identity(line) for line in key_lines(text))
    if not found:
        raise ConfigError("there is no line AGE-SECRET-KEY-1... in the age identity")
    return found


def recipient_of(identity: bytes) -> bytes:
    """The public key that belongs to a secret one."""
    return public_key(identity)


def format_recipient(public: bytes) -> str:
    """Spell a public key."""
    return bech32.encode(_PUBLIC, public)


def format_identity(secret: bytes) -> str:
    """Spell a secret key."""
    return bech32.encode(_SECRET, secret)


def unseal(chunks: Iterable[bytes], identities: Sequence[bytes], *, name: str) -> Iterator[bytes]:
    """Decrypt a whole file; raises MissingKeyError without its key, CorruptError for any damage."""
    header, payload = take_header(chunks, name=name)
    file_key = unwrap(header, identities, name=name)
    nonce, payload = _take_nonce(payload, name)
    yield from _opened(payload, _payload_cipher(file_key, nonce), name)


def unseal_blocks(
    payload: Iterable[bytes],
    file_key: bytes,
    nonce: bytes,
    *,
    first: int,
    most: int | None,
    name: str,
) -> Iterator[bytes]:
    """Decrypt the payload from block number `first` on; of these, at most `most` were asked for.

    If fewer came, or all were asked for, the last must be the file's last. Otherwise it may be.
    """
    return _opened(payload, _payload_cipher(file_key, nonce), name, first=first, most=most)


def rewrap_header(
    header: bytes, identities: Sequence[bytes], recipients: Sequence[bytes], *, name: str
) -> bytes:
    """Write the header anew for other recipients; the payload after it stays byte for byte.

    Marks other than those of the recipients are kept. Raises MissingKeyError and CorruptError.
    """
    old = parse(header, name=name)
    return _header(unwrap(old, identities, name=name), recipients, lasting_marks(old))


def read_header(chunks: Iterable[bytes], *, name: str) -> Header:
    """Read a file's header without any key: its stanzas, key ids and size; raises CorruptError."""
    return take_header(chunks, name=name)[0]


def unwrap(header: Header, identities: Sequence[bytes], *, name: str) -> bytes:
    """Return the file key and check the header's MAC with it ("Header MAC").

    Raises MissingKeyError if no identity fits and CorruptError if the header was changed.
    """
    shares = [_share(stanza, name) for stanza in header.stanzas if stanza.kind == X25519]
    for identity in identities:
        public = public_key(identity)
        for share, body in shares:
            file_key = _unwrap_one(identity, public, share, body, name)
            if file_key is not None:
                _check_mac(header, file_key, name)
                return file_key
    raise MissingKeyError(
        f"{name} is encrypted for other age keys than those at hand",
        hint="pitr keys lists which objects need which key.",
    )


def _share(stanza: Stanza, name: str) -> tuple[bytes, bytes]:
    share = from_base64(stanza.arguments[0]) if len(stanza.arguments) == 1 else None
    if share is None or len(share) != KEY_SIZE or len(stanza.body) != _FILE_KEY + TAG_SIZE:
        raise CorruptError(f"{name} is damaged: a recipient in its encryption header is malformed")
    return share, stanza.body


def _unwrap_one(
    identity: bytes, public: bytes, share: bytes, body: bytes, name: str
) -> bytes | None:
    shared = agree(identity, share)
    if shared is None:
        raise CorruptError(f"{name} is damaged: a recipient in its encryption header is malformed")
    return Cipher(derive(shared, salt=share + public, info=_LABEL)).decrypt(bytes(12), body)


def _check_mac(header: Header, file_key: bytes, name: str) -> None:
    if not hmac.compare_digest(header.mac, _mac(header.signed, file_key)):
        raise CorruptError(f"{name} is damaged: its encryption header was changed")


def _mac(signed: bytes, file_key: bytes) -> bytes:
    return hmac.digest(derive(file_key, salt=b"", info=b"header"), signed, "sha256")


def _header(file_key: bytes, recipients: Sequence[bytes], marks: Iterable[Stanza]) -> bytes:
    wrapped = [_wrap(file_key, public) for public in recipients]
    signed = render([*wrapped, *map(key_mark, recipients), *marks])
    return finish(signed, _mac(signed, file_key))


def _wrap(file_key: bytes, public: bytes) -> Stanza:
    """Encrypt the file key for one recipient ("X25519 recipient stanza")."""
    secret = new_secret()
    share, shared = public_key(secret), agree(secret, public)
    if shared is None:
        raise ConfigError(f"{format_recipient(public)} is not a usable age recipient")
    body = Cipher(derive(shared, salt=share + public, info=_LABEL)).encrypt(bytes(12), file_key)
    return Stanza(kind=X25519, arguments=(to_base64(share),), body=body)


def _payload_cipher(file_key: bytes, nonce: bytes) -> Cipher:
    return Cipher(derive(file_key, salt=nonce, info=b"payload"))


def _take_nonce(payload: Iterator[bytes], name: str) -> tuple[bytes, Iterator[bytes]]:
    head, _ = take_some(payload, PAYLOAD_NONCE)
    if len(head) < PAYLOAD_NONCE:
        raise _cut_off(name)
    return head[:PAYLOAD_NONCE], rejoined(head[PAYLOAD_NONCE:], payload)


def _sealed(chunks: Iterable[Chunk], cipher: Cipher) -> Iterator[bytes]:
    """Encrypt block after block, each held back until it is known whether it is the last."""
    number, held = 0, b""
    for block in cut(chunks, BLOCK):
        if held:
            if not block:
                break
            yield cipher.encrypt(_nonce(number, final=False), held)
            number += 1
        held = block
    yield cipher.encrypt(_nonce(number, final=True), held)


def _opened(
    payload: Iterable[bytes],
    cipher: Cipher,
    name: str,
    *,
    first: int = 0,
    most: int | None = None,
) -> Iterator[bytes]:
    number, held = first, b""
    for block in cut(payload, SEALED_BLOCK):
        if held:
            if not block:
                break
            yield _decrypted(cipher, held, number, (False,), name)
            number += 1
        held = block
    is_cut = len(held) == SEALED_BLOCK and number - first + 1 == most
    last = _decrypted(cipher, held, number, (False, True) if is_cut else (True,), name)
    if not last and number:
        raise CorruptError(f"{name} is damaged: its last encrypted block is empty")
    yield last


def _decrypted(
    cipher: Cipher, block: bytes, number: int, finals: tuple[bool, ...], name: str
) -> bytes:
    for final in finals:
        content = cipher.decrypt(_nonce(number, final=final), block)
        if content is not None:
            return content
    if finals == (True,) and cipher.decrypt(_nonce(number, final=False), block) is not None:
        raise _cut_off(name)
    raise CorruptError(
        f"{name} is damaged: its encrypted block {number} is not authentic",
        hint="If pitr rewrap replaced the object meanwhile, begin again; else it is damaged.",
    )


def _nonce(number: int, *, final: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([final])


def _cut_off(name: str) -> CorruptError:
    return CorruptError(f"{name} is cut off: the end of its encrypted content is missing")
