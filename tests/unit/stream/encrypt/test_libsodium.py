"""libsodium's stream in WAL-G's layout, and that a cut between two messages is found (D12)."""

import base64
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings

from backup_core.errors import ConfigError, CorruptError, EncryptionError, PitrError
from backup_core.stream.encrypt import libsodium
from backup_core.stream.encrypt.libsodium import LibsodiumSealer
from backup_core.stream.encrypt.libsodium_key import make_key
from tests.support.streams import SIZES, cut
from tests.unit.stream.encrypt.keys import NAME, OTHER_SODIUM_KEY, SODIUM_KEY

BORDERS = [0, 1, 8191, 8192, 8193, 2 * 8192, 64 * 8192, 65 * 8192 + 5]
MESSAGE = bindings.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
REKEY = bindings.crypto_secretstream_xchacha20poly1305_TAG_REKEY
FINAL = bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL


def sealed(data: bytes) -> bytes:
    return b"".join(LibsodiumSealer(key=SODIUM_KEY).seal([data], name=NAME))


def opened(data: bytes, key: bytes = SODIUM_KEY, *, most: int | None = None) -> bytes:
    return b"".join(libsodium.unseal([data], key, name=NAME, most=most))


def messages(stored: bytes) -> list[tuple[int, int]]:
    """The size and the tag of each message, read as WAL-G reads: blocks of 8209 bytes."""
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, stored[:24], SODIUM_KEY)
    found = []
    for at in range(24, len(stored), 8209):
        content, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(
            state, stored[at : at + 8209]
        )
        found.append((len(content), tag))
    return found


def stream(*parts: tuple[bytes, int]) -> bytes:
    """A stream with these messages, made by the library alone."""
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    stored = bindings.crypto_secretstream_xchacha20poly1305_init_push(state, SODIUM_KEY)
    for content, tag in parts:
        stored += bindings.crypto_secretstream_xchacha20poly1305_push(state, content, tag=tag)
    return stored


class TestLayout:
    @pytest.mark.parametrize("size", BORDERS)
    def test_the_last_message_is_never_full(self, size: int) -> None:
        """WAL-G's reader refuses FINAL on a full one, so an empty one follows it."""
        full, rest = divmod(size, 8192)
        assert messages(sealed(secrets.token_bytes(size))) == [(8192, MESSAGE)] * full + [
            (rest, FINAL)
        ]

    @pytest.mark.parametrize("size", BORDERS)
    def test_any_size_comes_back(self, size: int) -> None:
        """Zero included."""
        data = secrets.token_bytes(size)
        assert opened(sealed(data)) == data

    @given(data=st.binary(max_size=3000), sizes=SIZES)
    def test_chunk_borders_mean_nothing(self, data: bytes, sizes: list[int]) -> None:
        """Neither when sealing nor when opening."""
        stored = b"".join(LibsodiumSealer(key=SODIUM_KEY).seal(cut(data, sizes), name=NAME))
        assert b"".join(libsodium.unseal(cut(stored, sizes), SODIUM_KEY, name=NAME)) == data

    def test_what_the_library_writes_is_read(self) -> None:
        """Made without any code of ours."""
        stored = stream((b"a" * 8192, MESSAGE), (b"b" * 10, FINAL))
        assert opened(stored) == b"a" * 8192 + b"b" * 10


class TestDamage:
    STORED = sealed(b"c" * 20_000)

    @given(at=st.integers(0, len(STORED) - 1), bit=st.integers(0, 7))
    def test_a_flipped_bit(self, at: int, bit: int) -> None:
        """Anywhere."""
        damaged = bytearray(self.STORED)
        damaged[at] ^= 1 << bit
        with pytest.raises(PitrError):
            opened(bytes(damaged))

    @given(size=st.integers(0, len(STORED) - 1))
    def test_a_cut_anywhere(self, size: int) -> None:
        """Never fewer bytes without an error."""
        with pytest.raises(PitrError):
            opened(self.STORED[:size])

    @pytest.mark.parametrize("count", [0, 1, 2])
    def test_d12_a_cut_between_two_messages(self, count: int) -> None:
        """WAL-G's own reader takes that for the end."""
        with pytest.raises(CorruptError, match="cut off"):
            opened(self.STORED[: 24 + count * 8209])

    @pytest.mark.parametrize("more", [b"\0", bytes(17), bytes(8209)])
    def test_bytes_after_the_last_message(self, more: bytes) -> None:
        """Even a single one."""
        with pytest.raises(CorruptError):
            opened(self.STORED + more)
        with pytest.raises(CorruptError):
            opened(sealed(bytes(8192)) + more)

    def test_a_message_after_the_last(self) -> None:
        """Authentic or not."""
        with pytest.raises(CorruptError, match="after its encrypted content"):
            opened(stream((b"a" * 8192, FINAL), (b"b", FINAL)))

    def test_tags_that_are_never_written(self) -> None:
        """They are not guessed at."""
        with pytest.raises(CorruptError, match="unknown tag"):
            opened(stream((b"a", REKEY)))

    def test_the_beginning_alone_may_end_early(self) -> None:
        """If it is asked for, and only where it was asked to end."""
        assert opened(self.STORED[: 24 + 2 * 8209], most=2) == b"c" * 16384
        with pytest.raises(CorruptError, match="cut off"):
            opened(self.STORED[: 24 + 8209], most=2)


class TestKey:
    def test_another_key_is_told_from_damage(self) -> None:
        """The first message decides."""
        with pytest.raises(EncryptionError, match="this libsodium key"):
            opened(sealed(b"content"), OTHER_SODIUM_KEY)
        assert libsodium.opens(sealed(b"content"), SODIUM_KEY)
        assert not libsodium.opens(sealed(b"content"), OTHER_SODIUM_KEY)

    @pytest.mark.parametrize("head", [b"", b"short", bytes(24), bytes(40), bytes(9000)])
    def test_plain_bytes_open_nothing(self, head: bytes) -> None:
        """However few there are."""
        assert not libsodium.opens(head, SODIUM_KEY)

    def test_a_text_is_cut_or_filled_up(self) -> None:
        """As WAL-G does with transform none."""
        assert make_key("a" * 25) == b"a" * 25 + bytes(7)
        assert make_key("a" * 31 + "bc") == b"a" * 31 + b"b"
        with pytest.raises(ConfigError, match="shorter"):
            make_key("a" * 24)

    def test_a_text_may_have_to_be_a_key_as_it_is(self) -> None:
        """Where it could be a message instead, as what a command prints."""
        assert make_key("k" * 32, exact=True) == b"k" * 32
        assert make_key(SODIUM_KEY.hex(), "hex", exact=True) == SODIUM_KEY
        for text in ("k" * 31, "k" * 33, "error: permission denied by policy"):
            with pytest.raises(ConfigError, match="neither hex nor base64"):
                make_key(text, exact=True)

    def test_transforms_must_give_32_bytes(self) -> None:
        """Exactly."""
        assert make_key(SODIUM_KEY.hex(), "hex") == SODIUM_KEY
        assert make_key(base64.b64encode(SODIUM_KEY).decode() + "\n", "base64") == SODIUM_KEY
        for text, transform in [
            (SODIUM_KEY.hex()[2:], "hex"),
            ("zz" * 32, "hex"),
            (base64.b64encode(SODIUM_KEY + b"x").decode(), "base64"),
            ("!" * 44, "base64"),
            ("ä" * 44, "base64"),
        ]:
            with pytest.raises(ConfigError, match="32 bytes"):
                make_key(text, transform)

    def test_the_key_is_not_shown(self) -> None:
        """Not in a traceback's or a log's representation."""
        assert "key" not in repr(LibsodiumSealer(key=SODIUM_KEY)).lower()
