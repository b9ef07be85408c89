"""OpenPGP messages, as WAL-E and WAL-G store them: the packets here, the cryptography by gpg.

The program is asked for the decrypted packets as they are (`--unwrap`) and not for their content:
WAL-G calls its content text (literal format `u`), and of text `gpg --decrypt` drops every carriage
return, which ruins an archive without an error. So the literal packet is parsed here, and the one
layer of compression that gpg puts around it unless told otherwise.

Source: RFC 4880, sections 5.6 (compressed data), 5.9 (literal data).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from backup_core.errors import CorruptError, EncryptionError
from backup_core.stream.chunks import CHUNK_SIZE, ChunkReader
from backup_core.stream.encrypt.blocks import Chunk
from backup_core.stream.encrypt.gpg import Gpg
from backup_core.stream.encrypt.openpgp_packets import SESSION_KEY, read_packet

_COMPRESSED, _MARKER, _LITERAL, _PROTECTED = 8, 10, 11, 18
_RAW_DEFLATE, _ZLIB_FORMAT = -15, 15
_WINDOWS = {1: _RAW_DEFLATE, 2: _ZLIB_FORMAT}
_HEAD = 64 << 10


@dataclass(frozen=True, kw_only=True)
class OpenPgpSealer:
    """Encrypts for the keys of a keyring: AES in CFB with a modification check, not compressed."""

    gpg: Gpg
    scheme: str = field(default="openpgp", init=False)

    def seal(
        self, chunks: Iterable[Chunk], *, name: str, digest: bytes | None = None
    ) -> Iterator[bytes]:
        """Encrypt a stream; there is no place for a digest. Raises EncryptionError."""
        del digest
        return _as_wal_g_reads(self.gpg.encrypt(chunks, name=name), name)


def unseal(chunks: Iterable[bytes], gpg: Gpg, *, name: str) -> Iterator[bytes]:
    """Decrypt a message; the last piece comes once gpg has found all of it authentic.

    Raises EncryptionError without its key, CorruptError for damage.
    """
    held = None
    for piece in literal(gpg.decrypt(chunks, name=name), name=name):
        if held:
            yield held
        held = piece
    if held:
        yield held


def literal(chunks: Iterable[bytes], *, name: str, compressed: bool = False) -> Iterator[bytes]:
    """Yield the content of the one literal packet that the packets hold; raises CorruptError.

    Within a `compressed` packet there is no other.
    """
    reader = ChunkReader(chunks, name=name)
    tag, body = read_packet(reader, name)
    while tag == _MARKER:
        for _ in body:
            pass
        tag, body = read_packet(reader, name)
    if tag == _COMPRESSED and not compressed:
        yield from literal(_inflated(body, name), name=name, compressed=True)
    elif tag == _LITERAL:
        yield from _content(body, name)
    else:
        raise CorruptError(f"{name} is an OpenPGP message of a kind that is never written here")
    if next(reader.remainder(), None) is not None:
        raise CorruptError(f"{name} is damaged: there are bytes after its encrypted content")


def _content(body: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Pass over the format, the file name and the date."""
    reader = ChunkReader(body, name=name)
    _, length = reader.exactly(2)
    reader.exactly(length + 4)
    for piece in reader.remainder():
        yield bytes(piece)


def _inflated(body: Iterator[bytes], name: str) -> Iterator[bytes]:
    reader = ChunkReader(body, name=name)
    algorithm = reader.exactly(1)[0]
    if algorithm not in _WINDOWS:
        raise CorruptError(f"{name} is compressed within OpenPGP by method {algorithm}")
    inflater = zlib.decompressobj(_WINDOWS[algorithm])
    try:
        for piece in reader.remainder():
            pending: bytes | memoryview = piece
            while pending and not inflater.eof:
                yield inflater.decompress(pending, CHUNK_SIZE)
                pending = inflater.unconsumed_tail
        yield inflater.flush()
    except zlib.error:
        raise CorruptError(f"{name} is damaged: its OpenPGP compression cannot be undone") from None
    if not inflater.eof:
        raise CorruptError(f"{name} is cut off within its OpenPGP compression")


def _as_wal_g_reads(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Pass a message on, unless gpg chose an encryption for it that WAL-G's library cannot read.

    Later versions of gpg have one (OCB) and take it where the key's preferences allow.
    """
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= _HEAD:
            break
    tag = 0
    reader = ChunkReader([head], name=name)
    while not tag or tag == SESSION_KEY:
        tag, body = read_packet(reader, name)
        if tag == SESSION_KEY:
            for _ in body:
                pass
    if tag != _PROTECTED:
        raise EncryptionError(
            f"gpg encrypts for this key in a way that wal-g cannot read (packet {tag})",
            hint="Take OCB out of the key's preferences: gpg --edit-key, setpref.",
        )
    yield head
    yield from chunks
