"""Each parser of foreign bytes as a function of bytes that may raise nothing but our own errors.

The fuzzer's limits on memory and time are part of the promise: a hostile length must be refused
before anything of that size is allocated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from backup_core.errors import PitrError
from backup_core.postgres.timeline import parse_history
from backup_core.postgres.wal import parse_segment_header
from backup_core.repository import layout, wal_e
from backup_core.repository.files_metadata import read_files_metadata
from backup_core.repository.index import parse_index
from backup_core.repository.sealed import SealedStorage
from backup_core.repository.sentinel import parse_backup
from backup_core.storage.memory import MemoryStorage
from backup_core.stream.compress import decode
from backup_core.stream.encrypt import age, age_header, libsodium, openpgp
from backup_core.stream.encrypt.keys import KeySource, key_lines
from backup_core.stream.encrypt.openpgp_keys import key_ids
from backup_core.stream.encrypt.scheme import OPENPGP, Keyring, is_plain, recognise
from backup_core.stream.increment import read_increment
from backup_core.stream.tar import read_members
from tests.fuzz.keys import IDENTITY, PLAINTEXT, RECIPIENT, SODIUM_KEY

NAME = "object"
_LIMIT = 64 << 20


def fuzz_tar(data: bytes) -> None:
    """A tar partition, member by member."""
    for member, content in read_members(_pieces(data), name=NAME):
        assert sum(map(len, content)) == member.size


def fuzz_history(data: bytes) -> None:
    """A timeline history file: text, as far as it is text."""
    parse_history(data[1:].decode(errors="replace"), data[0] if data else 1)


def fuzz_sentinel(data: bytes) -> None:
    """A sentinel, with another document as its metadata after the first zero byte."""
    sentinel, _, metadata = data.partition(b"\0")
    parse_backup("base_000000010000000000000002", 1, sentinel, metadata or None)


def fuzz_wal_e_sentinel(data: bytes) -> None:
    """WAL-E's sentinel, and what it says of the server's version after the first zero byte."""
    sentinel, _, version = data.partition(b"\0")
    around = wal_e.WalEObjects(
        version=version.decode(errors="replace"),
        start_time=None,
        finish_time=None,
        compressed_size=0,
    )
    name = "base_000000010000000000000002_00000040"
    wal_e.parse_backup(name, sentinel, around, segment_size=1 << 20)


def fuzz_files_metadata(data: bytes) -> None:
    """WAL-G's list of a backup's files, in pieces that break it anywhere."""
    read_files_metadata(_pieces(data, 7), backup="base", name=NAME)


def fuzz_increment(data: bytes) -> None:
    """The changed pages of a file."""
    _, runs = read_increment(_pieces(data), size=len(data), page_size=64, name=NAME)
    assert sum(len(run.data) for run in runs) <= len(data)


def fuzz_index(data: bytes) -> None:
    """The index of one of our own backups."""
    parse_index(data, name=NAME)


def fuzz_age(data: bytes) -> None:
    """An age file: what comes out is what was put in, or an error."""
    assert b"".join(age.unseal(_pieces(data), [IDENTITY], name=NAME)) == PLAINTEXT


def fuzz_age_header(data: bytes) -> None:
    """The header of an age file without its key: one spelling of each, and marks of ours."""
    header, payload = age_header.take_header(_pieces(data, 7), name=NAME)
    assert age_header.render(header.stanzas) == header.signed
    assert header.size + sum(map(len, payload)) == len(data)
    assert header.has_digest(bytes(32)) in (None, True, False)
    rewrapped = age.rewrap_header(data[: header.size], [IDENTITY], [RECIPIENT], name=NAME)
    assert age_header.parse(rewrapped, name=NAME).key_ids == (age_header.key_id(RECIPIENT),)


def fuzz_age_keys(data: bytes) -> None:
    """Secret keys, and public ones after the first zero byte."""
    identities, _, recipients = data.decode(errors="replace").partition("\0")
    for secret in age.parse_identities(identities):
        assert age.parse_identity(age.format_identity(secret)) == secret
    for public in age.parse_recipients(key_lines(recipients)):
        assert age.parse_recipient(age.format_recipient(public)) == public


def fuzz_libsodium(data: bytes) -> None:
    """A stream of libsodium: what comes out is what was put in, or an error."""
    assert b"".join(libsodium.unseal(_pieces(data), SODIUM_KEY, name=NAME)) == PLAINTEXT


def fuzz_openpgp_packets(data: bytes) -> None:
    """The packets that gpg hands over, which the writer of a message chose."""
    size = 0
    for piece in openpgp.literal(_pieces(data, 100), name=NAME):
        size += len(piece)
        if size > _LIMIT:
            return


def fuzz_openpgp_head(data: bytes) -> None:
    """The beginning of an object, by which OpenPGP and its keys are recognised."""
    assert recognise(data, name=NAME) in (None, OPENPGP, "age")
    assert all(len(key_id) == 16 for key_id in key_ids(data))
    for extension in ("", "zst", "br"):
        is_plain(data, extension)


def fuzz_sealed_range(data: bytes) -> None:
    """A part of an object, in whichever scheme: bytes 0-1 and 2-3 are its start and stop."""
    start, stop = (int.from_bytes(data[at : at + 2], "big") for at in (0, 2))
    inner = MemoryStorage()
    key = layout.wal("000000010000000000000001", "zst")
    inner.put(key, [data[4:]])
    identity = KeySource(setting="age", text=age.format_identity(IDENTITY))
    sodium = KeySource(setting="libsodium", text=SODIUM_KEY.hex())
    keys = Keyring(age=identity, libsodium=sodium, libsodium_transform="hex")
    sealed = SealedStorage(inner, write=None, keys=keys, require=True)
    assert b"".join(sealed.get(key, start=start, stop=stop)) == PLAINTEXT[start:stop]


def fuzz_segment_header(data: bytes) -> None:
    """The long page header of a WAL segment."""
    parse_segment_header(data, name=NAME)


def _codec(extension: str) -> Callable[[bytes], None]:
    def fuzz(data: bytes) -> None:
        size = 0
        for piece in decode(_pieces(data), extension=extension, name=NAME):
            size += len(piece)
            if size > _LIMIT:
                return

    return fuzz


def _pieces(data: bytes, size: int = 1000) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


TARGETS: dict[str, Callable[[bytes], None]] = {
    "tar": fuzz_tar,
    "history": fuzz_history,
    "sentinel": fuzz_sentinel,
    "wal-e-sentinel": fuzz_wal_e_sentinel,
    "files-metadata": fuzz_files_metadata,
    "increment": fuzz_increment,
    "index": fuzz_index,
    "age": fuzz_age,
    "age-header": fuzz_age_header,
    "age-keys": fuzz_age_keys,
    "libsodium": fuzz_libsodium,
    "openpgp-packets": fuzz_openpgp_packets,
    "openpgp-head": fuzz_openpgp_head,
    "sealed-range": fuzz_sealed_range,
    "segment-header": fuzz_segment_header,
} | {f"codec-{name}": _codec(name) for name in ("zst", "lz4", "lzo", "br", "lzma", "gz")}


def survives(target: str, data: bytes) -> None:
    """Run a parser over the data; anything but a clean result or an error of ours gets out."""
    with suppress(PitrError):
        TARGETS[target](data)
