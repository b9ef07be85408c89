"""For whom an OpenPGP message is encrypted, by its first packets and without any key."""

from __future__ import annotations

from collections.abc import Iterator

from backup_core.errors import CorruptError
from backup_core.stream.chunks import ChunkReader
from backup_core.stream.encrypt.openpgp_packets import SESSION_KEY, read_packet

_VERSION = 3
_VERSION_AND_ID = 9


def key_ids(head: bytes) -> tuple[str, ...]:
    """The ids of the keys that open the message, 16 hexadecimal digits each, as far as told.

    Source: RFC 4880, section 5.1; an id of zeros is one that the writer kept to himself.
    """
    return tuple(body[1:].hex().upper() for body in _session_keys(head) if body[0] == _VERSION)


def _session_keys(head: bytes) -> Iterator[bytes]:
    """Yield how each packet of the session key begins; those come first, and any other ends it."""
    name = "the message"
    reader = ChunkReader([head], name=name)
    try:
        while not reader.is_at_end():
            tag, body = read_packet(reader, name)
            if tag != SESSION_KEY:
                return
            rest = ChunkReader(body, name=name)
            yield rest.exactly(_VERSION_AND_ID)
            for _ in rest.remainder():
                pass
    except CorruptError:  # no more than the beginning of the message is here
        return
