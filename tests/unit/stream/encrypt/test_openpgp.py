"""OpenPGP through the stock gpg: what it writes is read, whatever it calls the content."""

import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import (
    ConfigError,
    CorruptError,
    EncryptionError,
    MissingKeyError,
    PitrError,
)
from backup_core.stream.encrypt import openpgp
from backup_core.stream.encrypt.gpg import Gpg
from backup_core.stream.encrypt.openpgp import OpenPgpSealer, literal
from backup_core.stream.encrypt.openpgp_keys import key_ids
from tests.support.streams import SIZES, cut
from tests.unit.stream.encrypt.keys import NAME, PASSPHRASE, pgp_key

CONTENT = b"a\r\nb\rc\n\r\r" * 5000 + secrets.token_bytes(40_000)
PACKED = b"\xac\x0ebno_date" + b"content"
PUSH = """
import os, sys
from backup_core.stream.encrypt import gpg, openpgp
from pathlib import Path
key, base = sys.argv[1:]
gpg._MEMORY = Path(base)
one = gpg.Gpg(key=Path(key).read_text())
stored = list(openpgp.OpenPgpSealer(gpg=one).seal([b"content"], name="x"))
print(one._home().path, flush=True)
"""
PUSH_AND_FETCH = PUSH + 'assert b"".join(openpgp.unseal(stored, one, name="x")) == b"content"\n'


@pytest.fixture(scope="module")
def reader() -> Gpg:
    """gpg with the secret key."""
    return Gpg(key=pgp_key().secret)


@pytest.fixture(scope="module")
def stored() -> bytes:
    """A message of ours."""
    return sealed(CONTENT, Gpg(key=pgp_key().public))


def sealed(data: bytes, gpg: Gpg) -> bytes:
    return b"".join(OpenPgpSealer(gpg=gpg).seal(cut(data, [10, 30_000]), name=NAME))


def opened(data: bytes, gpg: Gpg) -> bytes:
    return b"".join(openpgp.unseal(cut(data, [3, 50_000]), gpg, name=NAME))


def drain(pieces: Iterator[bytes], received: bytearray) -> None:
    for piece in pieces:
        received += piece


def children() -> list[str]:
    """The processes that this one has started and not awaited."""
    return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()


def packet(tag: int, body: bytes, *, pieces: int = 0) -> bytes:
    """A packet of the new format; of `pieces` partial lengths of 512 bytes, then a full one."""
    head, rest = bytes([0xC0 | tag]), body
    for _ in range(pieces):
        head, rest = head + bytes([0xE0 | 9]) + rest[:512], rest[512:]
    return head + b"\xff" + len(rest).to_bytes(4, "big") + rest


def literal_body(content: bytes, *, form: bytes = b"u", file: bytes = b"") -> bytes:
    return form + bytes([len(file)]) + file + bytes(4) + content


def content_of(*packets: bytes) -> bytes:
    return b"".join(literal([b"".join(packets)], name=NAME))


class TestStockProgram:
    def test_it_reads_ours(self, stored: bytes) -> None:
        """Byte for byte, for the content is called binary."""
        assert pgp_key().gpg(stored, "--decrypt") == CONTENT

    def test_ours_is_what_wal_g_reads(self, stored: bytes) -> None:
        """A session key, AES with a modification check, no compression, no name."""
        listing = pgp_key().gpg(stored, "--list-packets").decode()
        assert "encrypted data packet" in listing
        assert "mdc_method: 2" in listing
        assert "mode b (62), created" in listing
        assert 'name=""' in listing
        assert "compressed" not in listing

    @pytest.mark.parametrize(
        "options",
        [[], ["-z", "0"], ["--compress-algo", "zlib"], ["--compress-algo", "zip"]],
        ids=["default", "none", "zlib", "zip"],
    )
    def test_its_messages_are_read(self, reader: Gpg, options: list[str]) -> None:
        """As WAL-E had them written, and as anybody would."""
        message = pgp_key().gpg(CONTENT, *options, "-r", "pitr@example.org", "--encrypt")
        assert opened(message, reader) == CONTENT

    @pytest.mark.parametrize("size", [0, 1, 511, 512, 65536])
    def test_any_size_comes_back(self, reader: Gpg, size: int) -> None:
        """Zero included."""
        data = secrets.token_bytes(size)
        assert opened(sealed(data, reader), reader) == data

    def test_many_at_once(self, reader: Gpg) -> None:
        """Workers share the keyring."""
        found: list[bool] = []

        def work(number: int) -> None:
            data = bytes([number]) * 300_000
            found.append(opened(sealed(data, reader), reader) == data)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [True] * 4

    def test_session_keys_are_opened_one_after_the_other(self, tmp_path: Path) -> None:
        """The agent has little secure memory, and with a passphrase many at once exhaust it."""
        busy = tmp_path / "busy"
        program = tmp_path / "gpg.sh"
        program.write_text(
            f'#!/bin/sh\ncase "$*" in *--decrypt*) mkdir {busy} || exit 2; sleep 0.1; '
            f'rmdir {busy};; esac\nexec gpg "$@"\n'
        )
        program.chmod(0o700)
        key = pgp_key(PASSPHRASE)
        message = sealed(CONTENT, Gpg(key=key.public))
        gpg = Gpg(program=str(program), key=key.secret, passphrase=PASSPHRASE)
        with ThreadPoolExecutor(6) as pool:
            assert set(pool.map(lambda _: opened(message, gpg), range(6))) == {CONTENT}


class TestKeyIds:
    """For whom a message is, told by its beginning."""

    def test_every_recipient_is_named(self) -> None:
        """As gpg names them."""
        message = sealed(CONTENT, Gpg(key=pgp_key().public + pgp_key("other").public))
        found = key_ids(message[:8192])
        assert len(found) == 2
        listing = pgp_key().gpg(message, "--list-packets").decode()
        assert found == tuple(re.findall(r"pubkey enc packet: .* keyid ([0-9A-F]{16})", listing))

    @given(data=st.binary(max_size=300), more=st.integers(0, 60))
    def test_any_beginning_is_taken(self, data: bytes, more: int) -> None:
        """Whatever length its packets claim; the ids before that are told."""
        one = packet(1, b"\x03" + bytes(range(8)) + bytes(more))
        assert key_ids(one + data)[:1] == ("0001020304050607",)
        assert all(len(key_id) == 16 for key_id in key_ids(data))


class TestLiteral:
    """The packets within, which gpg hands over as they are."""

    @given(
        content=st.binary(max_size=2000),
        form=st.sampled_from([b"u", b"b", b"t"]),
        file=st.binary(max_size=20),
        pieces=st.integers(0, 3),
        sizes=SIZES,
    )
    def test_d13_content_is_never_text(
        self, content: bytes, form: bytes, file: bytes, pieces: int, sizes: list[int]
    ) -> None:
        """WAL-G says `u`, at which gpg alone would drop carriage returns."""
        body = literal_body(b"\r\n" + content, form=form, file=file)
        message = packet(11, body, pieces=min(pieces, len(body) // 512))
        assert b"".join(literal(cut(message, sizes), name=NAME)) == b"\r\n" + content

    @pytest.mark.parametrize("length", ["one", "two", "four", "open"])
    def test_lengths_of_the_old_format(self, length: str) -> None:
        """As gpg writes them around small packets."""
        body = literal_body(b"content")
        kind, field = {"one": (0, 1), "two": (1, 2), "four": (2, 4), "open": (3, 0)}[length]
        head = bytes([0x80 | 11 << 2 | kind]) + len(body).to_bytes(4, "big")[4 - field :]
        assert content_of(head + body) == b"content"

    @pytest.mark.parametrize("size", [185, 186, 8377, 8378])
    def test_lengths_of_the_new_format(self, size: int) -> None:
        """One, two and five octets."""
        body = literal_body(bytes(size))
        if len(body) < 192:
            length = bytes([len(body)])
        elif len(body) < 8384:
            length = bytes([192 + (len(body) - 192 >> 8), (len(body) - 192) & 0xFF])
        else:
            length = b"\xff" + len(body).to_bytes(4, "big")
        assert content_of(b"\xcb" + length + body) == bytes(size)

    def test_a_marker_is_passed_over(self) -> None:
        """Older programs put one in front."""
        assert content_of(packet(10, b"PGP"), packet(11, literal_body(b"c"))) == b"c"

    @pytest.mark.parametrize(
        "message",
        [
            b"",
            b"\x00",
            b"plain text",
            packet(11, literal_body(b"content"))[:-1],
            packet(11, b"u"),
            packet(11, literal_body(b"content")) + b"\0",
            packet(11, literal_body(b"content")) * 2,
            packet(2, b"signature"),
            packet(8, b"\x03BZh"),
            packet(8, b"\x02garbage"),
            packet(8, b"\x02" + zlib.compress(packet(11, literal_body(b"content")))[:-5]),
            packet(8, b"\x02" + zlib.compress(packet(8, b"\x02" + zlib.compress(b"")))),
        ],
        ids=[
            *("empty", "no packet", "plain", "cut", "no header", "more", "two", "signature"),
            *("bzip2", "not zlib", "cut zlib", "zlib in zlib"),
        ],
    )
    def test_anything_else_is_damage(self, message: bytes) -> None:
        """One literal packet, perhaps compressed once, and nothing after it."""
        with pytest.raises(CorruptError):
            content_of(message)

    def test_compression_cannot_flood_the_memory(self) -> None:
        """What is inflated comes in pieces."""
        bomb = zlib.compress(packet(11, literal_body(bytes(50 << 20))))
        sizes = [len(piece) for piece in literal([packet(8, b"\x02" + bomb)], name=NAME)]
        assert sum(sizes) == 50 << 20
        assert max(sizes) <= 1 << 20


class TestDamage:
    @pytest.mark.parametrize("at", [0, 5, 300, 420, 20_000, -1])
    def test_a_flipped_bit(self, stored: bytes, reader: Gpg, at: int) -> None:
        """The modification check covers all of the content."""
        damaged = bytearray(stored)
        damaged[at] ^= 1
        with pytest.raises(PitrError):
            opened(bytes(damaged), reader)

    @pytest.mark.parametrize("size", [0, 1, 100, 420, 5000, -100, -22, -1])
    def test_a_cut(self, stored: bytes, reader: Gpg, size: int) -> None:
        """Wherever it is."""
        with pytest.raises(PitrError):
            opened(stored[:size], reader)

    @pytest.mark.parametrize("more", [b"\0", b"x" * 100])
    def test_bytes_after_the_message(self, stored: bytes, reader: Gpg, more: bytes) -> None:
        """They would be another message."""
        with pytest.raises(PitrError):
            opened(stored + more, reader)

    def test_two_messages(self, stored: bytes, reader: Gpg) -> None:
        """An object is one."""
        with pytest.raises(CorruptError):
            opened(stored + stored, reader)

    def test_the_end_waits_for_the_verdict(self, stored: bytes, reader: Gpg) -> None:
        """A consumer never has all of the content of a message that is not authentic."""
        damaged = stored[:-1] + bytes([stored[-1] ^ 1])
        received = bytearray()
        with pytest.raises(CorruptError):
            drain(openpgp.unseal([damaged], reader, name=NAME), received)
        assert len(received) < len(CONTENT)


class TestKeys:
    def test_without_the_secret_key(self, stored: bytes) -> None:
        """The error names the key that is missing."""
        with pytest.raises(EncryptionError, match=r"OpenPGP key [0-9A-F]{16}, whose secret key"):
            opened(stored, Gpg(key=pgp_key().public))

    def test_little_is_read_without_the_secret_key(self) -> None:
        """A host that compares what it cannot read does not fetch all of it for that."""
        fetched = 0

        def source() -> Iterator[bytes]:
            nonlocal fetched
            for at in range(0, len(message), 1 << 16):
                fetched += 1 << 16
                yield message[at : at + (1 << 16)]

        host = Gpg(key=pgp_key().public)
        message = sealed(bytes(32 << 20), host)
        with pytest.raises(MissingKeyError):
            list(openpgp.unseal(source(), host, name=NAME))
        assert fetched < len(message) // 4

    def test_a_passphrase_unlocks_the_key(self) -> None:
        """It is given through a pipe; without it nobody is asked."""
        key = pgp_key(PASSPHRASE)
        message = sealed(CONTENT, Gpg(key=key.public))
        assert opened(message, Gpg(key=key.secret, passphrase=PASSPHRASE)) == CONTENT
        for passphrase in ("wrong", None):
            with pytest.raises(EncryptionError, match="cannot be decrypted by gpg"):
                opened(message, Gpg(key=key.secret, passphrase=passphrase))

    def test_a_key_in_the_users_own_keyring(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Named as WAL-E names it."""
        monkeypatch.setenv("GNUPGHOME", str(pgp_key().home))
        gpg = Gpg(key_id="pitr@example.org")
        assert opened(sealed(CONTENT, gpg), gpg) == CONTENT

    def test_an_unknown_key_id(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is written, and nothing is looked up elsewhere."""
        monkeypatch.setenv("GNUPGHOME", str(pgp_key().home))
        with pytest.raises(EncryptionError, match="cannot be encrypted by gpg"):
            sealed(CONTENT, Gpg(key_id="nobody@example.org"))

    def test_what_is_no_key(self) -> None:
        """Told before the first object."""
        with pytest.raises(ConfigError, match="cannot be imported"):
            sealed(CONTENT, Gpg(key="not a key"))
        with pytest.raises(ConfigError, match="neither"):
            Gpg()

    def test_a_missing_program(self) -> None:
        """One line with what to do."""
        with pytest.raises(EncryptionError, match="cannot run /nowhere/gpg") as caught:
            sealed(CONTENT, Gpg(program="/nowhere/gpg", key_id="x"))
        assert "GPG_BIN" in (caught.value.hint or "")

    def test_a_program_that_is_not_gpg(self) -> None:
        """What it says counts for nothing."""
        for program in ("true", "cat", "false"):
            with pytest.raises(PitrError):
                sealed(CONTENT, Gpg(program=program, key_id="x"))
            with pytest.raises(PitrError):
                opened(b"x" * 100, Gpg(program=program, key_id="x"))


class TestProcesses:
    def test_leaving_early_ends_gpg(self, reader: Gpg) -> None:
        """A reader that has enough leaves no process behind."""
        message = sealed(bytes(5 << 20), reader)
        pieces = openpgp.unseal(iter([message]), reader, name=NAME)
        next(pieces)
        assert len(children()) == 1
        del pieces
        assert children() == []

    def test_a_failing_source_ends_gpg(self, reader: Gpg) -> None:
        """Its own error is the one that is seen."""

        def source() -> Iterator[bytes]:
            yield bytes(1 << 20)
            raise CorruptError("the source failed")

        with pytest.raises(CorruptError, match="the source failed"):
            for _ in OpenPgpSealer(gpg=reader).seal(source(), name=NAME):
                pass
        assert children() == []

    def test_a_killed_gpg_is_an_error(self, reader: Gpg) -> None:
        """Not the end of the stream."""

        def source() -> Iterator[bytes]:
            for number in range(100):
                if number == 50:
                    os.kill(int(children()[0]), 9)
                yield bytes(1 << 16)

        with pytest.raises(EncryptionError):
            for _ in OpenPgpSealer(gpg=reader).seal(source(), name=NAME):
                pass
        assert children() == []

    def test_a_gpg_that_hangs_is_given_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As one does that waits for a lock; the patience is shortened."""
        monkeypatch.setattr("backup_core.stream.encrypt.program._PATIENCE", 0.5)
        program = tmp_path / "gpg"
        program.write_text("#!/bin/sh\nexec sleep 60\n")
        program.chmod(0o755)
        with pytest.raises(EncryptionError, match="neither read nor written"):
            sealed(bytes(1 << 20), Gpg(program=str(program), key_id="x"))
        assert children() == []

    @pytest.mark.parametrize("ending", ["", "gpg.remove_homes(); os._exit(0)", "os.kill(0, 9)"])
    def test_keys_and_agent_go_with_the_process(self, tmp_path: Path, ending: str) -> None:
        """The private keyring is removed and its agent is ended; after a kill, at once too."""
        key = tmp_path / "key"
        key.write_text(pgp_key().secret)
        with tempfile.TemporaryDirectory() as base:  # sockets have short paths
            home = _run(PUSH_AND_FETCH + ending, str(key), base)
            assert home.startswith(base)
            if "kill" in ending:
                _wait_until(lambda: not _agents(home) and not Path(home).exists())
            assert not list(Path(base).iterdir())
        _wait_until(lambda: not _agents(home))

    def test_what_a_killed_process_left_is_removed_by_the_next(self, tmp_path: Path) -> None:
        """A home with a public key, and a directory that was not yet one; no other user's."""
        key = tmp_path / "key"
        key.write_text(pgp_key().public)
        with tempfile.TemporaryDirectory() as base:
            home = Path(_run(PUSH + "os.kill(0, 9)", str(key), base))
            assert home.exists()
            begun = Path(base, "pitr-gpg-begun")
            begun.mkdir()
            os.utime(begun, (0, 0))
            Path(base, "pitr-gpg-new").mkdir()
            Path(base, "pitr-gpg-link").symlink_to(tmp_path)
            _run(PUSH, str(key), base)
            left = {path.name for path in Path(base).iterdir()}
            assert left == {"pitr-gpg-new", "pitr-gpg-link"}
        assert key.exists()

    def test_a_keyring_in_use_is_left_alone(self, reader: Gpg, stored: bytes) -> None:
        """By a process that comes later, and by this one."""
        second = Gpg(key=pgp_key().secret)
        assert opened(stored, second) == opened(stored, reader) == CONTENT


def _run(program: str, *arguments: str) -> str:
    """What a Python program of its own session prints."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, start_new_session=True)
    assert done.returncode in (0, -9), done.stderr
    return done.stdout.strip()


def _agents(home: str) -> list[Path]:
    """The processes whose command line names a home of gpg."""
    commands = (path / "cmdline" for path in Path("/proc").iterdir() if path.name.isdigit())
    return [command for command in commands if home.encode() in _content(command)]


def _wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
