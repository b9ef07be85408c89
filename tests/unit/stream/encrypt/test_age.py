"""age files: the stock program reads ours, and nothing that was touched is read at all."""

import hashlib
import secrets
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import ConfigError, CorruptError, EncryptionError, PitrError
from backup_core.stream.encrypt import age, age_header
from backup_core.stream.encrypt.age import AgeSealer
from tests.support.streams import SIZES, cut
from tests.unit.stream.encrypt.keys import (
    IDENTITY,
    NAME,
    OTHER_IDENTITY,
    OTHER_RECIPIENT,
    RECIPIENT,
    read_by_age,
    written_by_age,
)

BOTH = (RECIPIENT, OTHER_RECIPIENT)
BORDERS = [0, 1, age.BLOCK - 1, age.BLOCK, age.BLOCK + 1, 2 * age.BLOCK, 3 * age.BLOCK + 7]
DIGEST = hashlib.sha256(b"the file").digest()

# From the specification (age-encryption.org/v1): a pair of keys.
SPECIFIED_IDENTITY = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
SPECIFIED_RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"

# The published test vector of the same specification for such a file.
VECTOR_IDENTITY = "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0"
VECTOR = b"""age-encryption.org/v1
-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc
hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE
--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg
"""
VECTOR_NONCE = bytes.fromhex("eecf62c7ce91b433274e68d4f2f9134c")
VECTOR_PAYLOADS = {
    b"age": bytes.fromhex("b74c5bfef7beaa52c8f0bc0e992c1e8331fb66"),
    b"": bytes.fromhex("ad2e4fcf3e528a4130deabef4336e555"),
}


def sealed(data: bytes, *recipients: bytes, digest: bytes | None = None) -> bytes:
    return b"".join(AgeSealer(recipients=recipients).seal([data], name=NAME, digest=digest))


def opened(data: bytes, *identities: bytes) -> bytes:
    return b"".join(age.unseal([data], identities or (IDENTITY,), name=NAME))


def header_size(data: bytes) -> int:
    return age.read_header([data], name=NAME).size


def with_header(data: bytes, stanzas: list[age_header.Stanza]) -> bytes:
    """The file with other stanzas and a MAC that is right."""
    header = age.read_header([data], name=NAME)
    file_key = age.unwrap(header, [IDENTITY], name=NAME)
    signed = age_header.render(stanzas)
    return age_header.finish(signed, age._mac(signed, file_key)) + data[header.size :]


class TestRoundTrip:
    @given(data=st.binary(max_size=3000), sizes=SIZES)
    def test_chunk_borders_mean_nothing(self, data: bytes, sizes: list[int]) -> None:
        """Neither when sealing nor when opening."""
        pieces = AgeSealer(recipients=(RECIPIENT,)).seal(cut(data, sizes), name=NAME)
        stored = cut(b"".join(pieces), sizes)
        assert b"".join(age.unseal(stored, [IDENTITY], name=NAME)) == data

    @pytest.mark.parametrize("size", BORDERS)
    def test_any_size_comes_back(self, size: int) -> None:
        """Blocks of 64 KiB, filled to the last byte or not."""
        data = secrets.token_bytes(size)
        stored = sealed(data, RECIPIENT)
        assert opened(stored) == data
        blocks = max(1, -(-size // age.BLOCK))
        assert len(stored) == header_size(stored) + 16 + size + 16 * blocks

    def test_each_recipient_can_read(self) -> None:
        """With its own key alone."""
        stored = sealed(b"content", *BOTH)
        assert opened(stored, IDENTITY) == opened(stored, OTHER_IDENTITY) == b"content"

    def test_a_buffer_may_be_used_again(self) -> None:
        """Readers of files yield one buffer over and over."""
        buffer = bytearray(100)

        def chunks() -> Iterator[memoryview]:
            for number in range(5):
                buffer[:] = bytes([number]) * 100
                yield memoryview(buffer)

        stored = b"".join(AgeSealer(recipients=(RECIPIENT,)).seal(chunks(), name=NAME))
        assert opened(stored) == b"".join(bytes([number]) * 100 for number in range(5))

    def test_the_same_content_is_never_stored_alike(self) -> None:
        """Each object has a key of its own."""
        assert sealed(b"content", RECIPIENT)[-23:] != sealed(b"content", RECIPIENT)[-23:]


class TestStockProgram:
    """Marks of ours in the header do not disturb it."""

    @pytest.mark.parametrize("size", BORDERS)
    def test_it_reads_ours(self, size: int) -> None:
        """With either key of two."""
        data = secrets.token_bytes(size)
        stored = sealed(data, *BOTH, digest=DIGEST)
        assert read_by_age(stored, age.format_identity(OTHER_IDENTITY)) == data

    @pytest.mark.parametrize("size", BORDERS)
    def test_its_files_are_read(self, size: int) -> None:
        """So objects can be put by hand."""
        data = secrets.token_bytes(size)
        stored = written_by_age(data, *map(age.format_recipient, BOTH))
        assert opened(stored, OTHER_IDENTITY) == data

    def test_it_reads_what_was_rewrapped(self) -> None:
        """The new header is in front of the old payload."""
        stored = sealed(b"content", RECIPIENT, digest=DIGEST)
        size = header_size(stored)
        header = age.rewrap_header(stored[:size], [IDENTITY], [OTHER_RECIPIENT], name=NAME)
        assert read_by_age(header + stored[size:], age.format_identity(OTHER_IDENTITY)) == (
            b"content"
        )


@pytest.mark.parametrize("content", VECTOR_PAYLOADS)
def test_the_published_vectors(content: bytes) -> None:
    """Made without any code of ours."""
    stored = VECTOR + VECTOR_NONCE + VECTOR_PAYLOADS[content]
    assert opened(stored, age.parse_identity(VECTOR_IDENTITY)) == content


class TestDamage:
    """Any change is an error and never other bytes."""

    STORED = sealed(b"c" * 5000, RECIPIENT, OTHER_RECIPIENT, digest=DIGEST)

    @given(at=st.integers(0, len(STORED) - 1), bit=st.integers(0, 7))
    def test_a_flipped_bit(self, at: int, bit: int) -> None:
        """In the header or the payload."""
        damaged = bytearray(self.STORED)
        damaged[at] ^= 1 << bit
        with pytest.raises(PitrError):
            opened(bytes(damaged))

    @given(size=st.integers(0, len(STORED) - 1))
    def test_a_cut_anywhere(self, size: int) -> None:
        """Down to an empty object."""
        with pytest.raises(CorruptError):
            opened(self.STORED[:size])

    @pytest.mark.parametrize("blocks", [0, 1, 2])
    def test_a_cut_between_two_blocks(self, blocks: int) -> None:
        """Whole blocks are authentic, but the last one must say so."""
        stored = sealed(bytes(3 * age.BLOCK), RECIPIENT)
        end = header_size(stored) + 16 + blocks * age.SEALED_BLOCK
        with pytest.raises(CorruptError, match=r"cut off|not authentic"):
            opened(stored[:end])

    def test_swapped_and_dropped_blocks(self) -> None:
        """Blocks are numbered."""
        stored = sealed(bytes(4 * age.BLOCK), RECIPIENT)
        begin = header_size(stored) + 16
        blocks = [stored[at : at + age.SEALED_BLOCK] for at in range(begin, len(stored), 65552)]
        for order in ([1, 0, 2, 3], [0, 2, 3], [1, 2, 3], [0, 1, 2, 3, 3]):
            with pytest.raises(CorruptError):
                opened(stored[:begin] + b"".join(blocks[number] for number in order))

    @pytest.mark.parametrize("size", [10, age.BLOCK])
    def test_bytes_after_the_last_block(self, size: int) -> None:
        """Even a single one."""
        stored = sealed(bytes(size), RECIPIENT)
        for more in (b"\0", bytes(16), bytes(age.SEALED_BLOCK)):
            with pytest.raises(CorruptError):
                opened(stored + more)

    def test_an_empty_last_block_behind_another(self) -> None:
        """The format has one spelling for each content."""
        stored = sealed(bytes(age.BLOCK), RECIPIENT)
        header = age.read_header([stored], name=NAME)
        file_key = age.unwrap(header, [IDENTITY], name=NAME)
        nonce = stored[header.size : header.size + 16]
        cipher = age._payload_cipher(file_key, nonce)
        first = cipher.encrypt(age._nonce(0, final=False), bytes(age.BLOCK))
        last = cipher.encrypt(age._nonce(1, final=True), b"")
        with pytest.raises(CorruptError, match="last encrypted block is empty"):
            opened(stored[: header.size + 16] + first + last)

    def test_an_endless_header_is_not_read(self) -> None:
        """64 KiB are enough for hundreds of recipients."""

        def endless() -> Iterator[bytes]:
            yield age_header.VERSION
            for _ in range(1000):
                yield b"-> grease\n\n" * 1000
            raise AssertionError("all of it was read")

        with pytest.raises(CorruptError, match="does not end"):
            age.read_header(endless(), name=NAME)


class TestHeader:
    """What the format refuses is refused, with a MAC that is right or without."""

    STORED = sealed(b"content", RECIPIENT)
    STANZA = STORED.split(b"\n")[1]

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b"/v1\n", b"/v1\n\n"),
            (b"-> X25519 ", b"->  X25519 "),
            (b"-> X25519 ", b"-> X25519  "),
            (b"-> X25519 ", b"X25519 "),
            (b"\n--- ", b"\n---"),
            (b"\n--- ", b"\n---  "),
            (b"\n--- ", b"=\n--- "),
            (b"\n--- ", b"\n-> \n\n--- "),
            (b"\n--- ", b"\n-> stanza\n--- "),
            (b"\n--- ", b"\n-> st\xc3\xa4nza\n\n--- "),
            (b"\n--- ", b"\n-> stanza\n" + b"A" * 68 + b"\n\n--- "),
            (b"\n--- ", b"\n-> stanza\n" + b"A" * 64 + b"\n--- "),
            (b"\n--- ", b"\n-> stanza\nQUF\n--- "),
            (b"\n--- ", b"\n-> stanza\nQUE=\n--- "),
            (b"\n--- ", b"\n-> stanza\nAAAA\nAAAA\n--- "),
            (b"\n--- ", b"\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 10\n\n--- "),
        ],
    )
    def test_another_spelling(self, old: bytes, new: bytes) -> None:
        """Each header has one spelling."""
        assert self.STORED.count(old) == 1
        with pytest.raises(CorruptError):
            opened(self.STORED.replace(old, new))

    def test_stanzas_of_others_are_passed_over(self) -> None:
        """A file may be for keys of kinds that are not known here."""
        header = age.read_header([self.STORED], name=NAME)
        unknown = age_header.Stanza(kind="example.com/enigma", arguments=("~!",), body=bytes(96))
        empty = age_header.Stanza(kind="grease")
        assert opened(with_header(self.STORED, [unknown, *header.stanzas, empty])) == b"content"

    @pytest.mark.parametrize(
        "wrong",
        [
            age_header.Stanza(kind="X25519", body=bytes(32)),
            age_header.Stanza(kind="X25519", arguments=("A" * 43, "more"), body=bytes(32)),
            age_header.Stanza(kind="X25519", arguments=("A" * 42,), body=bytes(32)),
            age_header.Stanza(kind="X25519", arguments=("A" * 42 + "B",), body=bytes(32)),
            age_header.Stanza(kind="X25519", arguments=("A" * 43,), body=bytes(31)),
            age_header.Stanza(kind="X25519", arguments=("A" * 43,), body=bytes(48)),
        ],
        ids=["no share", "argument", "short share", "stray bits", "short key", "long key"],
    )
    def test_a_malformed_recipient(self, wrong: age_header.Stanza) -> None:
        """Even beside one that fits."""
        header = age.read_header([self.STORED], name=NAME)
        with pytest.raises(CorruptError, match="malformed"):
            opened(with_header(self.STORED, [wrong, *header.stanzas]))

    def test_a_share_without_a_secret(self) -> None:
        """A point of low order would make the wrapping key public."""
        header = age.read_header([self.STORED], name=NAME)
        low = age_header.Stanza(kind="X25519", arguments=("A" * 43,), body=bytes(32))
        with pytest.raises(CorruptError, match="malformed"):
            opened(with_header(self.STORED, [low, *header.stanzas]))

    @pytest.mark.parametrize("version", [b"/v2\n", b"/v1 \n", b"/v1\r\n"])
    def test_another_version(self, version: bytes) -> None:
        """It is not guessed at."""
        with pytest.raises(EncryptionError, match="not an age file of version 1"):
            opened(self.STORED.replace(b"/v1\n", version))

    @given(more=st.binary(max_size=100))
    def test_a_header_ends_with_its_last_line(self, more: bytes) -> None:
        """What is read of an object that was replaced meanwhile is no header, and no crash."""
        header = self.STORED[: header_size(self.STORED)]
        for data in (age_header.VERSION + more, header[:-1] + more, header + b"x" + more):
            with pytest.raises(CorruptError):
                age.rewrap_header(data.replace(b"---", b""), [IDENTITY], [RECIPIENT], name=NAME)
        with pytest.raises(CorruptError):
            age_header.parse(header + b"x", name=NAME)

    @given(
        stanzas=st.lists(
            st.builds(
                age_header.Stanza,
                kind=st.text("abc!~-/", min_size=1, max_size=5),
                arguments=st.lists(st.text("xyz+", min_size=1), max_size=3).map(tuple),
                body=st.binary(max_size=200),
            ),
            min_size=1,
        )
    )
    def test_stanzas_come_back(self, stanzas: list[age_header.Stanza]) -> None:
        """Whatever is in them, and whatever the length of their bodies."""
        data = age_header.finish(age_header.render(stanzas), bytes(32))
        header = age_header.parse(data, name=NAME)
        assert header.stanzas == tuple(stanzas)
        assert age_header.finish(header.signed, header.mac) == data


class TestKeys:
    def test_the_pair_of_the_specification(self) -> None:
        """Spelled and read as there."""
        identity = age.parse_identity(SPECIFIED_IDENTITY)
        assert age.recipient_of(identity) == age.parse_recipient(SPECIFIED_RECIPIENT)
        assert age.format_recipient(age.recipient_of(identity)) == SPECIFIED_RECIPIENT
        assert age.format_identity(identity) == SPECIFIED_IDENTITY

    @pytest.mark.parametrize(
        "text",
        [
            SPECIFIED_RECIPIENT[:-1] + "q",
            SPECIFIED_RECIPIENT[:20] + "x" + SPECIFIED_RECIPIENT[21:],
            SPECIFIED_RECIPIENT.upper(),
            SPECIFIED_RECIPIENT[:-1] + "J",
            SPECIFIED_RECIPIENT[:-1],
            SPECIFIED_RECIPIENT.replace("z", "b"),
            "age1",
            "",
            SPECIFIED_IDENTITY,
            "ssh-ed25519 AAAA",
            age.format_recipient(bytes(32)),
            age.format_recipient(RECIPIENT[:31]),
        ],
    )
    def test_a_mistyped_recipient_is_refused(self, text: str) -> None:
        """Before anything is encrypted for nobody."""
        with pytest.raises(ConfigError):
            age.parse_recipient(text)

    @given(at=st.integers(4, 61), letter=st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l"))
    def test_the_checksum_finds_any_wrong_letter(self, at: int, letter: str) -> None:
        """One letter changed is always found."""
        text = SPECIFIED_RECIPIENT[:at] + letter + SPECIFIED_RECIPIENT[at + 1 :]
        if text != SPECIFIED_RECIPIENT:
            with pytest.raises(ConfigError):
                age.parse_recipient(text)

    def test_a_mistyped_identity_is_not_repeated(self) -> None:
        """Most of it is still a secret."""
        with pytest.raises(ConfigError) as caught:
            age.parse_identity(SPECIFIED_IDENTITY[:-1] + "Q")
        assert "PYYSJ" not in caught.value.message

    def test_key_files_may_have_comments(self) -> None:
        """As age-keygen writes them."""
        text = f"# created: today\n# public key: {SPECIFIED_RECIPIENT}\n{SPECIFIED_IDENTITY}\n\n"
        assert age.parse_identities(text) == (age.parse_identity(SPECIFIED_IDENTITY),)
        with pytest.raises(ConfigError, match="no line"):
            age.parse_identities("# nothing\n")

    def test_recipients_are_counted_once(self) -> None:
        """One that is given twice is one, and more than 100 are refused."""
        texts = [age.format_recipient(age.recipient_of(bytes([n]) * 32)) for n in range(101)]
        assert len(age.parse_recipients([*texts[:100], texts[0]])) == 100
        with pytest.raises(ConfigError, match="101 age recipients"):
            age.parse_recipients(texts)

    def test_without_the_key_nothing_is_read(self) -> None:
        """And the error is not that of a damaged object."""
        with pytest.raises(EncryptionError, match="other age keys"):
            opened(sealed(b"content", RECIPIENT), OTHER_IDENTITY)

    @pytest.mark.parametrize("count", [0, 101])
    def test_the_number_of_recipients_is_bounded(self, count: int) -> None:
        """Nobody could read it, or its header would have no end."""
        with pytest.raises(ConfigError, match="recipients"):
            AgeSealer(recipients=(RECIPIENT,) * count)


class TestMarks:
    """What a database host can tell without a secret key."""

    def test_the_digest_of_the_file_is_recognised(self) -> None:
        """The same file is, another is not, and without a mark it is unknown."""
        header = age.read_header([sealed(b"stored", RECIPIENT, digest=DIGEST)], name=NAME)
        assert header.has_digest(DIGEST) is True
        assert header.has_digest(bytes(32)) is False
        unmarked = age.read_header([sealed(b"stored", RECIPIENT)], name=NAME)
        assert unmarked.has_digest(DIGEST) is None

    def test_the_mark_is_of_all_that_follows_the_header(self) -> None:
        """So whoever has no key sees whether an object is whole, after a rewrapping too."""
        stored = sealed(b"stored", RECIPIENT, digest=DIGEST)
        for header in (
            stored[: header_size(stored)],
            age.rewrap_header(
                stored[: header_size(stored)], [IDENTITY], [OTHER_RECIPIENT], name=NAME
            ),
        ):
            mark = age_header.parse(header, name=NAME).mark
            assert mark is not None
            assert mark.has_all([stored[header_size(stored) :]])
            assert not mark.has_all([stored[header_size(stored) : -1]])

    def test_the_digest_itself_is_not_in_the_header(self) -> None:
        """Salt keeps equal files from looking alike."""
        stored = [sealed(b"stored", RECIPIENT, digest=DIGEST) for _ in range(2)]
        marks = [age.read_header([one], name=NAME).stanzas[-1].body for one in stored]
        assert marks[0] != marks[1]
        assert DIGEST not in marks

    def test_the_key_that_an_object_needs_is_named(self) -> None:
        """By a short digest of the public key."""
        header = age.read_header([sealed(b"stored", *BOTH)], name=NAME)
        assert header.key_ids == tuple(map(age_header.key_id, BOTH))

    def test_rewrapping_changes_the_readers_and_nothing_else(self) -> None:
        """Marks of the content stay; the payload is not touched."""
        stored = sealed(b"content", RECIPIENT, digest=DIGEST)
        size = header_size(stored)
        new = age.rewrap_header(stored[:size], [IDENTITY], [OTHER_RECIPIENT], name=NAME)
        rewrapped = new + stored[size:]
        assert opened(rewrapped, OTHER_IDENTITY) == b"content"
        with pytest.raises(EncryptionError):
            opened(rewrapped, IDENTITY)
        header = age.read_header([rewrapped], name=NAME)
        assert header.key_ids == (age_header.key_id(OTHER_RECIPIENT),)
        assert header.has_digest(DIGEST) is True

    def test_rewrapping_takes_a_key(self) -> None:
        """Who cannot read cannot let others read."""
        stored = sealed(b"content", RECIPIENT)
        with pytest.raises(EncryptionError):
            age.rewrap_header(
                stored[: header_size(stored)], [OTHER_IDENTITY], [RECIPIENT], name=NAME
            )
