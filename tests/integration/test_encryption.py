"""Encrypted archives on disk: pushed, delivered, and opened by hand with the stock programs."""

import os
import random
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from nacl import bindings

from backup_core.archive.push import push_wal
from backup_core.errors import CorruptError, EncryptionError, PitrError, WalConflictError
from backup_core.repository.sealed import SealedStorage
from backup_core.repository.wal_archive import find_wal, read_header, read_wal
from backup_core.storage.base import Storage
from backup_core.storage.file import FileStorage
from backup_core.stream.encrypt import age
from backup_core.stream.encrypt.keys import KeySource
from backup_core.stream.encrypt.scheme import SCHEMES, Keyring, make_sealer
from tests.support.segments import FIRST, HISTORY, MEBIBYTE, SECOND, segment, wal_file
from tests.unit.stream.encrypt.keys import IDENTITY, RECIPIENT, SODIUM_KEY, pgp_key, read_by_age

HISTORY_NAME = "00000002.history"
CONTENT = segment()[:8192] + random.Random(4).randbytes(MEBIBYTE - 8192)  # does not compress


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A directory of WAL in one scheme, pushed by a host and read with the keys."""

    scheme: str
    base: Path
    root: Path
    host: Storage
    reader: Storage

    def push(self, name: str, content: bytes) -> bool:
        """Push as archive_command does; tell whether it was there already."""
        path = wal_file(self.base, name, content)
        return push_wal(self.host, path, method="zstd", level=3).already_archived

    def read(self, name: str, storage: Storage | None = None) -> bytes:
        """What wal-fetch would deliver."""
        storage = storage or self.reader
        found = find_wal(storage, name)
        assert found is not None
        return b"".join(read_wal(storage, found))

    def object(self, name: str) -> Path:
        """The file that the store made."""
        return self.root / "wal_005" / f"{name}.zst"


def keys_of(scheme: str) -> Keyring:
    texts = {
        "age": age.format_identity(IDENTITY),
        "libsodium": SODIUM_KEY.hex(),
        "openpgp": pgp_key().secret,
    }
    sources = {scheme: KeySource(setting=scheme, text=texts[scheme])}
    return Keyring(
        age=sources.get("age"),
        libsodium=sources.get("libsodium"),
        libsodium_transform="hex",
        openpgp=sources.get("openpgp"),
    )


@pytest.fixture(params=SCHEMES)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    """An empty archive in each scheme."""
    root = tmp_path / "repository"
    root.mkdir()
    keys = keys_of(request.param)
    return Archive(
        scheme=request.param,
        base=tmp_path,
        root=root,
        host=SealedStorage(FileStorage(root), write=make_sealer(request.param, keys), keys=keys),
        reader=SealedStorage(FileStorage(root), write=None, keys=keys_of(request.param)),
    )


def run(program: str, data: bytes) -> bytes:
    return subprocess.run(program.split(), input=data, capture_output=True, check=True).stdout


def decrypted_by_hand(scheme: str, stored: bytes) -> bytes:
    """What the scheme's own program, or for libsodium its library, makes of an object."""
    if scheme == "age":
        return read_by_age(stored, age.format_identity(IDENTITY))
    if scheme == "openpgp":
        return pgp_key().gpg(stored, "--decrypt")
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, stored[:24], SODIUM_KEY)
    content = b""
    for at in range(24, len(stored), 8209):
        message = stored[at : at + 8209]
        content += bindings.crypto_secretstream_xchacha20poly1305_pull(state, message)[0]
    return content


def test_what_was_pushed_comes_back(archive: Archive) -> None:
    """Segments and history files, and a segment's header by itself."""
    archive.push(FIRST, CONTENT)
    archive.push(HISTORY_NAME, HISTORY)
    assert archive.read(FIRST) == CONTENT
    assert archive.read(HISTORY_NAME) == HISTORY
    found = find_wal(archive.reader, FIRST)
    assert found is not None
    assert read_header(archive.reader, found).segment_size == len(CONTENT)


def test_the_stock_programs_open_an_object(archive: Archive) -> None:
    """If this tool vanished: decrypt, then zstd."""
    archive.push(FIRST, CONTENT)
    stored = archive.object(FIRST).read_bytes()
    assert run("zstd -dc", decrypted_by_hand(archive.scheme, stored)) == CONTENT


def test_a_segment_pushed_twice_is_compared(archive: Archive) -> None:
    """By its content, although no two encryptions are alike."""
    assert not archive.push(FIRST, CONTENT)
    assert archive.push(FIRST, CONTENT)
    with pytest.raises(PitrError, match="different content"):
        archive.push(FIRST, segment(seed=1))


@pytest.mark.parametrize("archive", ["age"], indirect=True)
def test_a_host_with_public_keys_only_compares_too(archive: Archive) -> None:
    """By the digest in the header; it reads nothing, its own objects included."""
    recipients = [age.format_recipient(RECIPIENT)]
    writer = make_sealer("age", Keyring(), recipients=recipients)
    host = SealedStorage(FileStorage(archive.root), write=writer, keys=Keyring())
    blind = replace(archive, host=host)
    assert not blind.push(FIRST, CONTENT)
    assert blind.push(FIRST, CONTENT)
    with pytest.raises(WalConflictError, match="different content"):
        blind.push(FIRST, segment(seed=1))
    with pytest.raises(EncryptionError, match="no key"):
        archive.read(FIRST, host)
    assert archive.read(FIRST) == CONTENT


@pytest.mark.parametrize("archive", ["age", "openpgp"], indirect=True)
@pytest.mark.parametrize("size", [0, 100, 500, 500_000, -1])
def test_a_torn_object_is_no_success(archive: Archive, size: int) -> None:
    """The server keeps its segment; neither a key at hand nor its absence changes that."""
    keys = {
        "age": Keyring(),
        "openpgp": Keyring(openpgp=KeySource(setting="key", text=pgp_key().public)),
    }[archive.scheme]
    writer = make_sealer(archive.scheme, keys, recipients=[age.format_recipient(RECIPIENT)])
    blind = replace(archive, host=SealedStorage(FileStorage(archive.root), write=writer, keys=keys))
    blind.push(FIRST, CONTENT)
    path = archive.object(FIRST)
    os.truncate(path, size % path.stat().st_size)
    for host in (blind, archive):
        with pytest.raises((WalConflictError, EncryptionError)):
            host.push(FIRST, CONTENT)


def test_nothing_readable_is_on_disk(archive: Archive) -> None:
    """Not the compressed segment, and no part of it."""
    archive.push(FIRST, CONTENT)
    stored = archive.object(FIRST).read_bytes()
    plain = run("zstd -3c", CONTENT)
    assert b"\x28\xb5\x2f\xfd" not in stored[:1000]
    assert plain[1000:1064] not in stored


@pytest.mark.parametrize("at", [0, 24, 500, 9000, -1])
def test_a_damaged_object_is_an_error(archive: Archive, at: int) -> None:
    """Never other WAL."""
    archive.push(FIRST, CONTENT)
    path = archive.object(FIRST)
    stored = bytearray(path.read_bytes())
    stored[at] ^= 1
    path.write_bytes(stored)
    with pytest.raises((CorruptError, EncryptionError)):
        archive.read(FIRST)


def test_a_cut_object_is_an_error(archive: Archive) -> None:
    """At every border where a block of the scheme may end, and around."""
    archive.push(FIRST, CONTENT)
    path = archive.object(FIRST)
    stored = path.read_bytes()
    borders = [0, 24, 24 + 8209, 24 + 20 * 8209, 65536, len(stored) // 2, len(stored)]
    for size in {max(0, border + more) for border in borders for more in (-1, 0)}:
        if size < len(stored):
            path.write_bytes(stored[:size])
            with pytest.raises((CorruptError, EncryptionError)):
                archive.read(FIRST)


def test_plain_and_encrypted_wal_live_together(archive: Archive) -> None:
    """The day encryption was switched on divides them."""
    plain = FileStorage(archive.root)
    push_wal(plain, wal_file(archive.base, FIRST, CONTENT), method="zstd", level=3)
    second = segment(SECOND)
    archive.push(SECOND, second)
    assert archive.read(FIRST) == CONTENT
    assert archive.read(SECOND) == second
    strict = SealedStorage(plain, write=None, keys=keys_of(archive.scheme), require=True)
    assert archive.read(SECOND, strict) == second
    with pytest.raises(EncryptionError, match="is not encrypted"):
        archive.read(FIRST, strict)


def test_workers_share_the_keys(archive: Archive) -> None:
    """Several objects at once."""
    names = [f"00000001000000000000000{number}" for number in range(1, 7)]
    contents = {name: segment(name, seed=seed) for seed, name in enumerate(names)}
    for name, content in contents.items():
        archive.push(name, content)
    found: dict[str, bytes] = {}

    def read(name: str) -> None:
        found[name] = archive.read(name)

    threads = [threading.Thread(target=read, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == contents


def test_a_key_command_serves_a_restore(tmp_path: Path) -> None:
    """As a vault's client would, and only once a process."""
    FileStorage(tmp_path)
    count = tmp_path / "count"
    script = f"echo called >> {count}; echo {age.format_identity(IDENTITY)}"
    keys = Keyring(age=KeySource(setting="PITR_KEY_COMMAND", command=f"sh -c '{script}'"))
    recipients = [age.format_recipient(RECIPIENT)]
    writer = make_sealer("age", Keyring(), recipients=recipients)
    host = SealedStorage(FileStorage(tmp_path), write=writer, keys=Keyring())
    for name in (FIRST, SECOND):
        push_wal(host, wal_file(tmp_path, name, segment(name)), method="zstd", level=3)
    reader = SealedStorage(FileStorage(tmp_path), write=None, keys=keys)
    assert not count.exists()
    for name in (FIRST, SECOND):
        found = find_wal(reader, name)
        assert found is not None
        assert b"".join(read_wal(reader, found)) == segment(name)
    assert count.read_text() == "called\n"


def test_an_interrupted_source_leaves_no_object(archive: Archive) -> None:
    """A push that is ended in the middle leaves neither object nor process."""

    def source() -> Iterator[bytes]:
        yield CONTENT
        raise KeyboardInterrupt

    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    before = children.read_text().split()
    with pytest.raises(KeyboardInterrupt):
        archive.host.put(f"wal_005/{FIRST}.zst", source())
    assert find_wal(archive.reader, FIRST) is None
    assert children.read_text().split() == before
