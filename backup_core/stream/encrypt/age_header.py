"""The text that opens an age file (age-encryption.org/v1, "Header"): pure, and without any key.

A header is lines: the version, stanzas, and a MAC over all of it up to the last line's dashes. It
is parsed as strictly as the format demands, so that there is one spelling of each header.

Two kinds of stanza are pitr's own; programs that do not know them pass over them:

    -> pitr-key <first 8 bytes of the SHA-256 of a recipient's public key>      no body
    -> pitr-sha256 <salt> <SHA-256 of all that follows the header>      body: the salted digest

The latter is a Mark (marks.py) of the file that was archived.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from backup_core.errors import CorruptError, EncryptionError
from backup_core.stream.encrypt.blocks import take_head
from backup_core.stream.encrypt.marks import Mark

VERSION = b"age-encryption.org/v1\n"
LONGEST_HEADER = 64 << 10
X25519 = "X25519"
KEY_MARK = "pitr-key"
DIGEST_MARK = "pitr-sha256"
_OURS = "pitr-"
_SCRYPT = "scrypt"  # a passphrase, which the format demands to be alone
_COLUMNS = 64
_MAC_SIZE = 32
_KEY_ID_SIZE = 8
_ARGUMENTS = re.compile(rb"->((?: [!-~]+)+)")


@dataclass(frozen=True, kw_only=True)
class Stanza:
    """One way to the file key, or a mark; `kind` is the first argument."""

    kind: str
    arguments: tuple[str, ...] = ()
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Header:
    """A parsed header: `signed` are the bytes under the MAC, `size` is that of all of it."""

    stanzas: tuple[Stanza, ...]
    signed: bytes
    mac: bytes
    size: int

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The recipients' key ids, as `key_id` makes them; empty in files of other programs."""
        return tuple(
            stanza.arguments[0]
            for stanza in self.stanzas
            if stanza.kind == KEY_MARK and len(stanza.arguments) == 1
        )

    @property
    def mark(self) -> Mark | None:
        """What is marked of the original file and of the payload; None without a mark."""
        marks = [stanza for stanza in self.stanzas if stanza.kind == DIGEST_MARK]
        if len(marks) != 1 or len(marks[0].arguments) != 2:
            return None
        salt, stored = map(from_base64, marks[0].arguments)
        if salt is None or stored is None:
            return None
        return Mark(salt=salt, salted=marks[0].body, stored=stored)

    def has_digest(self, digest: bytes) -> bool | None:
        """Tell whether this SHA-256 is marked as that of the original file; None without a mark."""
        return None if self.mark is None else self.mark.is_of(digest)


def key_id(public: bytes) -> str:
    """Eight bytes in base64 that stand for a public key."""
    return to_base64(hashlib.sha256(public).digest()[:_KEY_ID_SIZE])


def key_mark(public: bytes) -> Stanza:
    """The stanza that tells for whom an object is encrypted."""
    return Stanza(kind=KEY_MARK, arguments=(key_id(public),))


def digest_mark(mark: Mark) -> Stanza:
    """The stanza that lets whoever has the original file recognise it, and see it whole."""
    arguments = (to_base64(mark.salt), to_base64(mark.stored))
    return Stanza(kind=DIGEST_MARK, arguments=arguments, body=mark.salted)


def lasting_marks(header: Header) -> tuple[Stanza, ...]:
    """The marks that stay with an object when its recipients change."""
    return tuple(
        stanza
        for stanza in header.stanzas
        if stanza.kind.startswith(_OURS) and stanza.kind != KEY_MARK
    )


def to_base64(data: bytes) -> str:
    """Base64 without padding."""
    return b64encode(data).rstrip(b"=").decode()


def from_base64(text: str) -> bytes | None:
    """Read what `to_base64` writes; None for any other spelling."""
    try:
        data = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (Error, ValueError):
        return None
    return data if to_base64(data) == text else None


def render(stanzas: Iterable[Stanza]) -> bytes:
    """Write a header up to where the MAC belongs, which is of these bytes."""
    lines = [VERSION.decode().rstrip("\n")]
    for stanza in stanzas:
        lines.append(" ".join(("->", stanza.kind, *stanza.arguments)))
        body = to_base64(stanza.body)
        lines += [body[at : at + _COLUMNS] for at in range(0, len(body) + 1, _COLUMNS)]
    return "\n".join([*lines, "---"]).encode()


def finish(signed: bytes, mac: bytes) -> bytes:
    """Append the MAC to what `render` wrote."""
    return signed + f" {to_base64(mac)}\n".encode()


def take_header(chunks: Iterable[bytes], *, name: str) -> tuple[Header, Iterator[bytes]]:
    """Read a header, at most 64 KiB of it; return it and what follows it.

    Raises CorruptError naming `name`, and EncryptionError for a later version of the format.
    """
    data, payload = take_head(chunks, b"\n---", longest=LONGEST_HEADER, name=name)
    return parse(data, name=name), payload


def parse(data: bytes, *, name: str) -> Header:
    """Parse a whole header; raises as `take_header` does."""
    if not data.startswith(VERSION):
        raise EncryptionError(f"{name} is not an age file of version 1")
    lines = data[len(VERSION) :].split(b"\n")
    if len(lines) < 2 or lines[-1]:
        raise _damaged(name)
    end, rest = lines[-2], lines[:-2]
    mac = from_base64(_text(end[4:], name)) if end.startswith(b"--- ") else None
    if mac is None or len(mac) != _MAC_SIZE:
        raise _damaged(name)
    stanzas = tuple(_stanzas(iter(rest), name))
    has_passphrase = any(stanza.kind == _SCRYPT for stanza in stanzas)
    if not stanzas or (has_passphrase and len(stanzas) > 1):
        raise _damaged(name)
    return Header(stanzas=stanzas, signed=data[: len(data) - len(end) + 2], mac=mac, size=len(data))


def _stanzas(lines: Iterator[bytes], name: str) -> Iterator[Stanza]:
    for line in lines:
        match = _ARGUMENTS.fullmatch(line)
        if match is None:
            raise _damaged(name)
        kind, *arguments = _text(match[1], name).split(" ")[1:]
        yield Stanza(kind=kind, arguments=tuple(arguments), body=_body(lines, name))


def _body(lines: Iterator[bytes], name: str) -> bytes:
    """Read full lines up to a shorter one, which ends a body and may be empty."""
    text = b""
    for line in lines:
        text += line
        if len(line) < _COLUMNS:
            body = from_base64(_text(text, name))
            if body is None:
                break
            return body
        if len(line) > _COLUMNS:
            break
    raise _damaged(name)


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise _damaged(name) from None


def _damaged(name: str) -> CorruptError:
    return CorruptError(f"{name} is damaged: its encryption header is not an age header")
