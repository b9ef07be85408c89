"""Storage that encrypts: the verbs see what they would see without it, ranges included."""

import hashlib
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backup_core.errors import (
    AlreadyExistsError,
    ConfigError,
    CorruptError,
    EncryptionError,
    MissingKeyError,
    NotFoundError,
    PitrError,
)
from backup_core.repository import layout
from backup_core.repository.sealed import SealedStorage, UnknownContentError, is_confidential
from backup_core.storage.base import Storage
from backup_core.storage.memory import MemoryStorage
from backup_core.stream.compress import compress
from backup_core.stream.encrypt import age
from backup_core.stream.encrypt.keys import KeySource
from backup_core.stream.encrypt.scheme import SCHEMES, Keyring, make_sealer, recognise
from tests.unit.stream.encrypt.keys import (
    IDENTITY,
    OTHER_IDENTITY,
    OTHER_RECIPIENT,
    OTHER_SODIUM_KEY,
    RECIPIENT,
    SODIUM_KEY,
    pgp_key,
)

BACKUP = "base_000000010000000000000002"
WAL = layout.wal("000000010000000000000001", "zst")
HISTORY = "00000002.history"
PLAIN_WAL = layout.wal("000000010000000000000001", "")
DIGEST = hashlib.sha256(b"the segment").digest()
CONTENT = compress(secrets.token_bytes(200_000), method="zstd", level=3)
NO_KEYS = Keyring()

CONFIDENTIAL = [
    WAL,
    PLAIN_WAL,
    layout.wal(HISTORY, "lz4"),
    layout.partition(BACKUP, "part_001", "zst"),
    layout.partition(BACKUP, "pg_control", "lz4"),
    layout.index(BACKUP),
    layout.manifest(BACKUP),
    layout.files_metadata(BACKUP),
]
OPEN = [
    layout.sentinel(BACKUP),
    layout.metadata(BACKUP),
    layout.corrupt_pages(BACKUP),
    layout.IDENTITY,
    f"{layout.LOCKS}backup-1",
    f"{layout.CHECKS}x",
    f"{layout.WAL}000000010000000000000001.json",
    "notes.zst",
]


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """A scheme with a key that fits and one that does not."""

    keys: Keyring
    wrong: Keyring


def source(text: str) -> KeySource:
    return KeySource(setting="KEY", text=text)


@pytest.fixture(scope="module")
def schemes() -> dict[str, Scheme]:
    """Every scheme by its name."""
    return {
        "age": Scheme(
            keys=Keyring(age=source(age.format_identity(IDENTITY))),
            wrong=Keyring(age=source(age.format_identity(OTHER_IDENTITY))),
        ),
        "libsodium": Scheme(
            keys=Keyring(libsodium=source(SODIUM_KEY.hex()), libsodium_transform="hex"),
            wrong=Keyring(libsodium=source(OTHER_SODIUM_KEY.hex()), libsodium_transform="hex"),
        ),
        "openpgp": Scheme(
            keys=Keyring(openpgp=source(pgp_key().secret)),
            wrong=Keyring(openpgp=source(pgp_key("other").secret)),
        ),
    }


@pytest.fixture(params=SCHEMES)
def scheme(request: pytest.FixtureRequest) -> str:
    """Each scheme in turn."""
    return str(request.param)


@pytest.fixture
def inner() -> MemoryStorage:
    """Where the encrypted objects are."""
    return MemoryStorage()


@pytest.fixture
def sealed(inner: MemoryStorage, scheme: str, schemes: dict[str, Scheme]) -> SealedStorage:
    """Storage with a scheme and its key."""
    keys = schemes[scheme].keys
    return SealedStorage(inner, write=make_sealer(scheme, keys), keys=keys)


def content(storage: Storage, key: str, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join(storage.get(key, start=start, stop=stop))


class TestWhatIsSealed:
    @pytest.mark.parametrize("key", CONFIDENTIAL)
    def test_the_clusters_content(self, sealed: SealedStorage, inner: Storage, key: str) -> None:
        """WAL, partitions, and the lists that have the names of its files."""
        sealed.put(key, [CONTENT])
        assert CONTENT[:100] not in content(inner, key)
        assert content(sealed, key) == CONTENT

    @pytest.mark.parametrize("key", OPEN)
    def test_what_tells_what_there_is(
        self, sealed: SealedStorage, inner: Storage, key: str
    ) -> None:
        """It stays plain, and whatever it says is taken for plain."""
        odd = b"age-encryption.org/v1\n"
        sealed.put(key, [odd])
        assert content(inner, key) == content(sealed, key) == odd

    def test_files_metadata_may_stay_plain(self) -> None:
        """Stock wal-g must read it."""
        key = layout.files_metadata(BACKUP)
        assert is_confidential(key)
        assert not is_confidential(key, plain_files_metadata=True)
        assert is_confidential(layout.manifest(BACKUP), plain_files_metadata=True)


class TestRanges:
    SIZES = (0, 1, 8192, 65536, 3 * 65536 + 17)

    @pytest.mark.parametrize("size", SIZES)
    def test_offsets_are_those_of_the_content(self, sealed: SealedStorage, size: int) -> None:
        """At the borders of blocks, around them, and behind the end."""
        data = secrets.token_bytes(size)
        sealed.put(PLAIN_WAL, [data])
        offsets = [0, 1, 8191, 8192, 65535, 65536, 65537, 131072, size - 1, size, size + 70_000]
        for start in {max(0, offset) for offset in offsets}:
            assert content(sealed, PLAIN_WAL, start) == data[start:]
            for stop in {start, start + 1, start + 8192, 65536, 131072, size, size + 1}:
                assert content(sealed, PLAIN_WAL, start, stop) == data[start:stop]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
    @given(start=st.integers(0, 150_000), stop=st.integers(0, 150_000))
    @pytest.mark.parametrize("scheme", ["age", "libsodium"], indirect=True)
    def test_any_range(self, sealed: SealedStorage, start: int, stop: int) -> None:
        """Whatever it cuts."""
        data = bytes(number * number % 251 for number in range(140_000))
        sealed.put(PLAIN_WAL, [data])
        assert content(sealed, PLAIN_WAL, start, stop) == data[start:stop]

    def test_little_is_fetched_for_a_range_of_age(self, schemes: dict[str, Scheme]) -> None:
        """Only the blocks that hold it, and the object's beginning."""
        inner = CountingStorage()
        keys = schemes["age"].keys
        sealed = SealedStorage(inner, write=make_sealer("age", keys), keys=keys)
        sealed.put(WAL, [CONTENT * 50])
        for _ in (
            sealed.get(WAL, start=5_000_000, stop=5_000_100),
            sealed.get(WAL, start=0, stop=1000),
        ):
            inner.fetched = 0
            assert len(b"".join(_)) in (100, 1000)
            assert inner.fetched < 250_000

    @pytest.mark.parametrize("blocks", [1, 2, 3])
    @pytest.mark.parametrize("scheme", ["age"], indirect=True)
    def test_an_end_that_was_cut_off_is_noticed(
        self, sealed: SealedStorage, inner: Storage, blocks: int
    ) -> None:
        """By a range that goes on to the end, or beyond what is left."""
        sealed.put(PLAIN_WAL, [bytes(4 * age.BLOCK)])
        stored = content(inner, PLAIN_WAL)
        inner.put(PLAIN_WAL, [stored[: -blocks * age.SEALED_BLOCK]])
        for start, stop in ((0, None), (10, None), (200_000, None), (10, 250_000)):
            with pytest.raises(CorruptError):
                content(sealed, PLAIN_WAL, start, stop)


class CountingStorage(MemoryStorage):
    """Memory that counts the bytes it hands out."""

    fetched = 0

    def get(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Count what is drawn."""
        for chunk in super().get(key, start=start, stop=stop):
            self.fetched += len(chunk)
            yield chunk


class RewrappedMeanwhile(MemoryStorage):
    """Memory in which an object is rewrapped before its second read, for two more readers."""

    reads = 0

    def get(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Rewrap between two reads."""
        self.reads += 1
        if self.reads == 2:
            stored = b"".join(super().get(key))
            size = age.read_header([stored], name=key).size
            readers = [RECIPIENT, OTHER_RECIPIENT]
            header = age.rewrap_header(stored[:size], [IDENTITY], readers, name=key)
            self.put(key, [header, stored[size:]])
        return super().get(key, start=start, stop=stop)


class TestRewrapMeanwhile:
    """Header and blocks of a range come by two reads."""

    @pytest.mark.parametrize("start", [0, 10, age.BLOCK, 3 * age.BLOCK])
    @pytest.mark.parametrize("length", [1, age.BLOCK, None])
    def test_a_reader_in_between_gets_its_range(
        self, schemes: dict[str, Scheme], start: int, length: int | None
    ) -> None:
        """The header is read again, once."""
        inner = RewrappedMeanwhile()
        keys = schemes["age"].keys
        data = secrets.token_bytes(4 * age.BLOCK + 5)
        sealed = SealedStorage(inner, write=make_sealer("age", keys), keys=keys)
        sealed.put(PLAIN_WAL, [data])
        stop = None if length is None else start + length
        assert content(sealed, PLAIN_WAL, start, stop) == data[start:stop]

    @pytest.mark.parametrize("scheme", ["age"], indirect=True)
    def test_what_was_not_rewrapped_is_damaged(self, sealed: SealedStorage, inner: Storage) -> None:
        """The same header read again is no excuse; the hint says what else it may have been."""
        sealed.put(PLAIN_WAL, [bytes(4 * age.BLOCK)])
        stored = bytearray(content(inner, PLAIN_WAL))
        stored[-3 * age.BLOCK] ^= 1
        inner.put(PLAIN_WAL, [bytes(stored)])
        with pytest.raises(CorruptError, match="not authentic") as caught:
            content(sealed, PLAIN_WAL, age.BLOCK, 2 * age.BLOCK)
        assert "rewrap" in (caught.value.hint or "")


class TestKeys:
    def test_the_object_says_how_it_is_encrypted(
        self, inner: MemoryStorage, schemes: dict[str, Scheme]
    ) -> None:
        """What is written today says nothing about what is read."""
        every = Keyring(
            age=schemes["age"].keys.age,
            libsodium=schemes["libsodium"].keys.libsodium,
            libsodium_transform="hex",
            openpgp=schemes["openpgp"].keys.openpgp,
        )
        reader = SealedStorage(inner, write=None, keys=every)
        for name, scheme in schemes.items():
            writer = SealedStorage(inner, write=make_sealer(name, scheme.keys), keys=NO_KEYS)
            writer.put(WAL, [CONTENT])
            assert content(reader, WAL) == CONTENT
        inner.put(WAL, [CONTENT])
        assert content(reader, WAL) == CONTENT

    def test_without_a_key(self, sealed: SealedStorage, inner: Storage) -> None:
        """One line, whatever part is asked for."""
        sealed.put(WAL, [CONTENT])
        without = SealedStorage(inner, write=None, keys=NO_KEYS)
        for start, stop in ((0, None), (10, None), (0, 10)):
            with pytest.raises(MissingKeyError, match="no key"):
                content(without, WAL, start, stop)

    def test_with_a_wrong_key(
        self, sealed: SealedStorage, inner: Storage, scheme: str, schemes: dict[str, Scheme]
    ) -> None:
        """It is not taken for a damaged object."""
        sealed.put(WAL, [CONTENT])
        wrong = SealedStorage(inner, write=None, keys=schemes[scheme].wrong)
        for start, stop in ((0, None), (10, None), (0, 10)):
            with pytest.raises(EncryptionError):
                content(wrong, WAL, start, stop)

    def test_public_keys_suffice_to_write(
        self, inner: MemoryStorage, schemes: dict[str, Scheme]
    ) -> None:
        """A database host cannot read its own backups."""
        recipients = [age.format_recipient(one) for one in (RECIPIENT, OTHER_RECIPIENT)]
        host = SealedStorage(
            inner, write=make_sealer("age", NO_KEYS, recipients=recipients), keys=NO_KEYS
        )
        host.put(WAL, [CONTENT])
        for keys in (schemes["age"].keys, schemes["age"].wrong):
            assert content(SealedStorage(inner, write=None, keys=keys), WAL) == CONTENT

    def test_a_scheme_without_its_key_cannot_write(self) -> None:
        """Told when it is chosen, and never plain instead."""
        for name in (*SCHEMES, "rot13"):
            with pytest.raises(ConfigError):
                make_sealer(name, NO_KEYS)

    def test_what_a_command_complains_is_no_key(self) -> None:
        """WAL-G would make one of any text of 25 bytes."""
        for text in ("permission denied by the policy of this token", "k" * 31):
            printed = KeySource(setting="key_command", command=f"echo '{text}'")
            with pytest.raises(EncryptionError, match="neither hex nor base64"):
                make_sealer("libsodium", Keyring(libsodium=printed))
        printed = KeySource(setting="key_command", command="echo " + "k" * 32)
        assert Keyring(libsodium=printed).libsodium_key() == b"k" * 32

    def test_schemes_of_wal_g_that_are_not_read_here(self, inner: MemoryStorage) -> None:
        """They are named."""
        inner.put(WAL, [b"yckms\x01" + bytes(100)])
        with pytest.raises(EncryptionError, match="Yandex KMS"):
            content(SealedStorage(inner, write=None, keys=NO_KEYS), WAL)


class TestPlainObjects:
    @pytest.mark.parametrize("key", CONFIDENTIAL)
    def test_are_read_beside_encrypted_ones(
        self, sealed: SealedStorage, inner: Storage, key: str
    ) -> None:
        """They were stored before there was a key."""
        method = {"zst": "zstd", "lz4": "lz4", "": "none"}[layout.extension_of(key)]
        beginning = b"\x16\xd1" if key == PLAIN_WAL else b"{"
        plain = compress(beginning + secrets.token_bytes(100_000), method=method, level=3)
        inner.put(key, [plain])
        assert content(sealed, key) == plain
        assert content(sealed, key, 5, 50_000) == plain[5:50_000]

    @pytest.mark.parametrize("key", CONFIDENTIAL)
    def test_are_refused_where_encryption_is_required(
        self, inner: MemoryStorage, scheme: str, schemes: dict[str, Scheme], key: str
    ) -> None:
        """By name, before the first byte."""
        inner.put(layout.index(BACKUP), [CONTENT])
        inner.put(key, [CONTENT])
        strict = SealedStorage(inner, write=None, keys=schemes[scheme].keys, require=True)
        for start in (0, 10):
            with pytest.raises(PitrError, match=r"not encrypted|is encrypted or damaged"):
                strict.get(key, start=start)

    def test_the_list_of_wal_gs_own_backup_is_not_refused(self, inner: MemoryStorage) -> None:
        """It stores that plain always; what has the files' content is refused all the same."""
        files, part = layout.files_metadata(BACKUP), layout.partition(BACKUP, "part_1", "zst")
        for key, stored in ((files, b'{"Files": {}}'), (part, CONTENT), (WAL, CONTENT)):
            inner.put(key, [stored])
        strict = SealedStorage(inner, write=None, keys=NO_KEYS, require=True)
        assert content(strict, files) == b'{"Files": {}}'
        for key in (part, WAL):
            with pytest.raises(EncryptionError, match="not encrypted"):
                strict.get(key)

    def test_the_list_of_a_backup_of_ours_is_refused(self, inner: MemoryStorage) -> None:
        """Beside an index; the hint names the setting with which it was written."""
        inner.put(layout.index(BACKUP), [CONTENT])
        inner.put(layout.files_metadata(BACKUP), [b'{"Files": {}}'])
        strict = SealedStorage(inner, write=None, keys=NO_KEYS, require=True)
        with pytest.raises(EncryptionError, match="not encrypted") as caught:
            strict.get(layout.files_metadata(BACKUP))
        assert "PITR_COMPAT=wal-g" in (caught.value.hint or "")

    @pytest.mark.parametrize("key", OPEN)
    def test_that_are_never_encrypted_are_not_refused(self, inner: MemoryStorage, key: str) -> None:
        """There would be no backup to list."""
        inner.put(key, [b"{}"])
        assert content(SealedStorage(inner, write=None, keys=NO_KEYS, require=True), key) == b"{}"

    def test_are_not_written_where_encryption_is_required(self, inner: MemoryStorage) -> None:
        """Whatever became of the scheme's setting."""
        strict = SealedStorage(inner, write=None, keys=NO_KEYS, require=True)
        with pytest.raises(EncryptionError, match="is not written"):
            strict.put(WAL, [CONTENT])
        assert not list(inner.list())

    @pytest.mark.parametrize("key", [WAL, PLAIN_WAL, layout.wal(HISTORY, "lz4")])
    def test_what_is_neither_plain_nor_known(self, inner: MemoryStorage, key: str) -> None:
        """libsodium's streams do not name themselves: any random beginning may be one's."""
        inner.put(key, [b"\xff" + secrets.token_bytes(1000)])
        with pytest.raises(UnknownContentError, match="encrypted or damaged: it may be libsodium"):
            content(SealedStorage(inner, write=None, keys=NO_KEYS), key)

    @pytest.mark.parametrize(
        "beginning",
        [
            bytes(1000),
            b"<html>" * 100,
            b"\x28\xb5\x2f\xfc" + bytes(range(255, 0, -1)),
            b"\x28\xb5" + bytes(range(255, 0, -1)),
            b"age-encryption.org\xaf1\n" + bytes(range(255, 0, -1)),
            bytes(range(255, 215, -1)),
        ],
        ids=["zeros", "text", "a flipped bit", "half a magic", "age's", "short"],
    )
    @pytest.mark.parametrize("with_key", [False, True])
    def test_what_begins_too_regularly_is_damaged(
        self, inner: MemoryStorage, schemes: dict[str, Scheme], beginning: bytes, with_key: bool
    ) -> None:
        """No key is missing for an object that no scheme has written."""
        inner.put(WAL, [beginning])
        keys = schemes["libsodium"].keys if with_key else NO_KEYS
        with pytest.raises(CorruptError, match="damaged at its beginning"):
            content(SealedStorage(inner, write=None, keys=keys), WAL)

    @pytest.mark.parametrize(
        ("key", "beginning"),
        [
            (PLAIN_WAL, b"\x0d\xd1\x02\0"),
            (layout.wal("00000002.history", ""), b"1\t0/3000000\tno recovery target\n"),
            (layout.partition(BACKUP, "part_1", ""), b"name".ljust(257, b"\0") + b"ustar\x0000"),
            (layout.partition(BACKUP, "part_1", ""), bytes(1024)),
            (layout.partition(BACKUP, "part_1", "br"), b"\x1b\xff\xff"),
            (layout.files_metadata(BACKUP), b'{"Files": {}}'),
            (WAL, b""),
        ],
    )
    def test_are_known_without_a_codec_too(
        self, inner: MemoryStorage, schemes: dict[str, Scheme], key: str, beginning: bytes
    ) -> None:
        """By what PostgreSQL, tar and JSON begin with; brotli begins anyhow."""
        inner.put(key, [beginning])
        reader = SealedStorage(inner, write=None, keys=schemes["libsodium"].keys)
        assert content(reader, key) == beginning

    @pytest.mark.parametrize("key", CONFIDENTIAL)
    @pytest.mark.parametrize("scheme", ["libsodium"], indirect=True)
    def test_are_not_what_a_damaged_stream_is_taken_for(
        self, sealed: SealedStorage, inner: Storage, key: str
    ) -> None:
        """A flipped bit does not make ciphertext plain."""
        sealed.put(key, [CONTENT])
        stored = content(inner, key)
        inner.put(key, [stored[:30], bytes([stored[30] ^ 1]), stored[31:]])
        with pytest.raises(EncryptionError):
            content(sealed, key)

    @settings(max_examples=30)
    @given(data=st.binary(max_size=200))
    def test_recognition_takes_anything(self, data: bytes) -> None:
        """And what a codec wrote is never taken for encrypted."""
        for method in ("zstd", "lz4", "brotli", "lzma"):
            assert recognise(compress(data, method=method, level=3), name=WAL) is None


class TestStorage:
    """The rest of the contract."""

    def test_the_same_errors(self, sealed: SealedStorage) -> None:
        """A missing key raises at the call, and of two writers one wins."""
        for start, stop in ((0, None), (1, None), (0, 1)):
            with pytest.raises(NotFoundError):
                sealed.get(WAL, start=start, stop=stop)
        sealed.put(WAL, [CONTENT], if_absent=True)
        with pytest.raises(AlreadyExistsError):
            sealed.put(WAL, [b"other"], if_absent=True)
        assert content(sealed, WAL) == CONTENT

    def test_a_failing_source_leaves_nothing(self, sealed: SealedStorage, inner: Storage) -> None:
        """No object, and no process."""

        def source() -> Iterator[bytes]:
            yield CONTENT
            raise CorruptError("the source failed")

        with pytest.raises(CorruptError, match="the source failed"):
            sealed.put(WAL, source())
        assert not list(inner.list())

    def test_sizes_are_those_of_the_stored_objects(
        self, sealed: SealedStorage, inner: Storage
    ) -> None:
        """What put returns, what a listing says and what is there."""
        info = sealed.put(WAL, [CONTENT], size_hint=len(CONTENT))
        assert info == sealed.stat(WAL) == inner.stat(WAL)
        assert [info] == list(sealed.list(layout.WAL))
        assert sealed.delete([WAL]) == {WAL: None}

    def test_any_flipped_byte_is_an_error(self, sealed: SealedStorage, inner: Storage) -> None:
        """A sample of them; the schemes have their own tests."""
        sealed.put(WAL, [CONTENT])
        stored = content(inner, WAL)
        for at in {0, 1, 30, 200, 450, 9000, len(stored) // 2, len(stored) - 1}:
            inner.put(WAL, [stored[:at], bytes([stored[at] ^ 1]), stored[at + 1 :]])
            with pytest.raises(PitrError):
                content(sealed, WAL)


class TestSameContent:
    """How a host that has public keys only tells whether it pushed a segment before."""

    @pytest.mark.parametrize("scheme", ["age", "openpgp"], indirect=True)
    def test_the_mark_answers_without_a_key(self, sealed: SealedStorage, inner: Storage) -> None:
        """By a digest of the file, not of what was stored."""
        sealed.put_marked(WAL, [CONTENT], digest=DIGEST, if_absent=True)
        host = SealedStorage(inner, write=None, keys=NO_KEYS)
        assert host.same_content(WAL, DIGEST) is True
        assert host.same_content(WAL, hashlib.sha256(b"another").digest()) is False

    @pytest.mark.parametrize("scheme", ["age", "openpgp"], indirect=True)
    @pytest.mark.parametrize("harm", ["cut", "last byte cut", "zeros", "more", "flipped"])
    def test_what_is_not_whole_is_not_the_same(
        self, sealed: SealedStorage, inner: Storage, harm: str
    ) -> None:
        """A store may tear an object in a crash, and the server's copy is the only one then."""
        sealed.put_marked(WAL, [CONTENT], digest=DIGEST)
        stored = content(inner, WAL)
        harmed = {
            "cut": stored[:100_000],
            "last byte cut": stored[:-1],
            "zeros": stored[:100_000] + bytes(len(stored) - 100_000),
            "more": stored + b"\0",
            "flipped": stored[:-1] + bytes([stored[-1] ^ 1]),
        }
        inner.put(WAL, [harmed[harm]])
        host = SealedStorage(inner, write=None, keys=NO_KEYS)
        with pytest.raises(CorruptError, match="damaged or cut off"):
            host.same_content(WAL, DIGEST)

    def test_without_a_mark_there_is_no_answer(self, sealed: SealedStorage, inner: Storage) -> None:
        """Then the content has to be read."""
        sealed.put(WAL, [CONTENT])
        assert sealed.same_content(WAL, DIGEST) is None
        inner.put(WAL, [CONTENT])
        assert sealed.same_content(WAL, DIGEST) is None

    def test_a_mark_does_no_harm_where_there_is_no_place_for_it(
        self, sealed: SealedStorage
    ) -> None:
        """Every scheme takes it."""
        sealed.put_marked(WAL, [CONTENT], digest=DIGEST)
        assert content(sealed, WAL) == CONTENT


def test_a_host_without_encryption_imports_no_cryptography() -> None:
    """Each import costs every segment of every cluster."""
    program = """
import sys
from backup_core.repository.sealed import SealedStorage
from backup_core.storage.memory import MemoryStorage
from backup_core.stream.encrypt.keys import KeySource
from backup_core.stream.encrypt.scheme import Keyring
keys = Keyring(age=KeySource(setting="key", text="not read"))
storage = SealedStorage(MemoryStorage(), write=None, keys=keys)
storage.put("wal_005/a.zst", [b"\\x28\\xb5\\x2f\\xfd"])
assert b"".join(storage.get("wal_005/a.zst"))
print(*sorted(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"cryptography", "nacl", "subprocess", "hashlib", "tempfile"}
