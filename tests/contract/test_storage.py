"""What every store promises. A new store is one fixture and its name in STORES."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backup_core.errors import AlreadyExistsError, NotFoundError, UsageError
from backup_core.storage.base import Storage
from tests.contract.conftest import FAULTS, behind

STORES = [
    *("memory_store", "file_store"),
    *("s3_store", "s3_unconditional_store"),
    *("gcs_store", "gcs_resumable_store"),
]

# Examples of one test share a store, and leave nothing behind on disk.
EXAMPLES = settings(
    deadline=None,
    max_examples=50,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

# Around "/" are the neighbours that tell byte order from directory order.
AWKWARD_KEYS = [
    "a-b",
    "a.b",
    "a/b",
    "a/b-c/d",
    "a/b.c",
    "a/c/d",
    "a0",
    "a~",
    "é",
    "日本/語",
    "\U0001f418",
]
IMPOSSIBLE_KEYS = ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a/.", "a\0b", "a/\udcff"]


@pytest.fixture(params=[*STORES, *FAULTS])
def store(request: pytest.FixtureRequest) -> Iterator[Storage]:
    """Each store in turn, empty; a fault's name stands for the S3 server over such a network."""
    if request.param in FAULTS:
        with behind(request.getfixturevalue("seaweed_server"), FAULTS[request.param]) as harmed:
            yield harmed
    else:
        yield request.getfixturevalue(request.param)


def contents(store: Storage, key: str) -> bytes:
    """The whole object."""
    return b"".join(store.get(key))


def listed(
    store: Storage, prefix: str = "", *, delimiter: str | None = None, after: str | None = None
) -> list[str]:
    """The keys of a listing, in its order."""
    return [info.key for info in store.list(prefix, delimiter=delimiter, start_after=after)]


def put_all(store: Storage, keys: list[str]) -> None:
    """One object for each key, holding the key; sixteen at a time, for the stores far away."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: store.put(key, [key.encode()]), keys))


class TestPutAndGet:
    @EXAMPLES
    @given(chunks=st.lists(st.binary(max_size=200)))
    def test_any_chunking_gives_the_same_bytes(self, store: Storage, chunks: list[bytes]) -> None:
        """An object is its chunks joined, wherever they were cut."""
        info = store.put("d/object", iter(chunks))
        assert contents(store, "d/object") == b"".join(chunks)
        assert info.size == sum(map(len, chunks))

    def test_every_kind_of_buffer_is_a_chunk(self, store: Storage) -> None:
        """Buffers are stored as they are, and may be reused once the next is asked for."""
        buffer = bytearray(b"....")

        def reused() -> Iterator[memoryview]:
            for word in (b"one.", b"two."):
                buffer[:] = word
                yield memoryview(buffer)

        store.put("views", [bytes(view) for view in reused()])
        store.put("arrays", [bytearray(b"one."), memoryview(b"two.")])
        assert contents(store, "views") == contents(store, "arrays") == b"one.two."

    def test_object_larger_than_a_chunk(self, store: Storage) -> None:
        """Objects of several chunks come back whole and in bounded pieces."""
        data = bytes(range(256)) * (3 << 12) + b"end"
        store.put("large", [data])
        pieces = list(store.get("large"))
        assert b"".join(pieces) == data
        assert max(map(len, pieces)) <= 1 << 20

    def test_empty_object_exists(self, store: Storage) -> None:
        """No bytes at all still make an object."""
        store.put("empty", [])
        assert contents(store, "empty") == b""
        assert store.stat("empty").size == 0
        assert listed(store) == ["empty"]

    @EXAMPLES
    @given(start=st.integers(0, 30), length=st.none() | st.integers(0, 30))
    def test_range(self, store: Storage, start: int, length: int | None) -> None:
        """A range is the slice of the object; what lies past its end is not there."""
        data = b"0123456789abcdefghij"
        store.put("digits", [data])
        stop = None if length is None else start + length
        assert b"".join(store.get("digits", start=start, stop=stop)) == data[start:stop]

    def test_put_replaces(self, store: Storage) -> None:
        """Without if_absent the last put is what is stored."""
        store.put("key", [b"a longer first version"])
        store.put("key", [b"second"])
        assert contents(store, "key") == b"second"
        assert store.stat("key").size == 6

    def test_reader_keeps_what_it_opened(self, store: Storage) -> None:
        """A get that began before a replacement never mixes the two versions."""
        store.put("key", [b"first"])
        reader = store.get("key")
        store.put("key", [b"second"])
        assert b"".join(reader) == b"first"

    def test_stat_agrees_with_put_and_list(self, store: Storage) -> None:
        """The description of an object is the same from every verb, its time aware and recent.

        A put may leave the time out: not every store tells it without being asked again.
        """
        info = store.put("dir/key", [b"1234"])
        assert (info.key, info.size) == ("dir/key", 4)
        found = store.stat("dir/key")
        assert found == next(store.list("dir/"))
        assert (found.key, found.size) == (info.key, info.size)
        assert info.modified in (None, found.modified)
        assert found.modified is not None
        assert abs(datetime.now(UTC) - found.modified) < timedelta(minutes=5)

    @pytest.mark.parametrize("verb", ["get", "stat"])
    @pytest.mark.parametrize("key", ["missing", "dir", "dir/missing", "dir/key/below", "no/dir"])
    def test_missing_key_raises_on_the_call(self, store: Storage, verb: str, key: str) -> None:
        """NotFoundError comes before the first byte is asked for."""
        store.put("dir/key", [b"x"])
        with pytest.raises(NotFoundError, match=f'"{key}"'):
            getattr(store, verb)(key)

    @pytest.mark.parametrize("key", IMPOSSIBLE_KEYS, ids=ascii)
    @pytest.mark.parametrize("verb", ["put", "get", "stat"])
    def test_impossible_key_is_refused(self, store: Storage, verb: str, key: str) -> None:
        """A key that could leave the repository, or is no path, is an error of usage."""
        arguments = (key, [b"x"]) if verb == "put" else (key,)
        with pytest.raises(UsageError, match="key of an object"):
            getattr(store, verb)(*arguments)
        assert listed(store) == []


class TestAllOrNothing:
    @pytest.mark.parametrize("if_absent", [False, True])
    @pytest.mark.parametrize("error", [RuntimeError, OSError, KeyboardInterrupt])
    def test_source_that_raises_leaves_nothing(
        self, store: Storage, error: type[BaseException], if_absent: bool
    ) -> None:
        """What the source raises passes through unchanged, and no object appears."""
        raised = error("half-way")

        def source() -> Iterator[bytes]:
            yield b"x" * 100_000
            raise raised

        with pytest.raises(error) as caught:
            store.put("dir/key", source(), if_absent=if_absent)
        assert caught.value is raised
        assert listed(store) == []
        with pytest.raises(NotFoundError):
            store.stat("dir/key")

    def test_source_that_raises_spares_the_old_object(self, store: Storage) -> None:
        """A replacement that fails half-way leaves what was there."""

        def source() -> Iterator[bytes]:
            yield b"new"
            raise RuntimeError

        store.put("key", [b"old"])
        with pytest.raises(RuntimeError):
            store.put("key", source())
        assert contents(store, "key") == b"old"

    def test_nothing_is_visible_while_writing(self, store: Storage) -> None:
        """Between the first chunk and the last, no verb sees the object."""
        seen: list[list[str]] = []

        def source() -> Iterator[bytes]:
            yield b"first"
            seen.append(listed(store) + listed(store, "dir/", delimiter="/"))
            yield b"last"

        store.put("dir/key", source())
        assert seen == [[]]
        assert listed(store) == ["dir/key"]


class TestIfAbsent:
    def test_existing_key_is_refused(self, store: Storage) -> None:
        """The object that is there stays."""
        store.put("key", [b"first"], if_absent=True)
        with pytest.raises(AlreadyExistsError, match='"key" exists'):
            store.put("key", [b"second"], if_absent=True)
        assert contents(store, "key") == b"first"

    def test_large_object_is_refused_before_it_is_read(self, store: Storage) -> None:
        """No more of a large stream is pulled than it takes to find that the key is taken."""
        pulled = 0

        def source() -> Iterator[bytes]:
            nonlocal pulled
            for _ in range(64):
                pulled += 1
                yield bytes(1 << 20)

        store.put("key", [b"first"], if_absent=True)
        with pytest.raises(AlreadyExistsError, match='"key" exists'):
            store.put("key", source(), if_absent=True)
        assert pulled < 32
        assert contents(store, "key") == b"first"

    def test_object_that_appears_while_writing_wins(self, store: Storage) -> None:
        """The check is made when the object would become visible, not only before."""

        def overtaken() -> Iterator[bytes]:
            yield b"slow"
            store.put("key", [b"fast"], if_absent=True)

        with pytest.raises(AlreadyExistsError):
            store.put("key", overtaken(), if_absent=True)
        assert contents(store, "key") == b"fast"
        assert listed(store) == ["key"]

    @pytest.mark.parametrize("half_size", [50_000, 6 << 20], ids=["small", "large"])
    def test_exactly_one_of_many_threads_wins(self, store: Storage, half_size: int) -> None:
        """Of many writers one succeeds, and its bytes, whole, are what is stored."""
        writers = 16 if half_size < 1 << 20 else 4
        barrier = Barrier(writers)

        def write(number: int) -> bool:
            half = bytes([number]) * half_size

            def source() -> Iterator[bytes]:
                yield half
                barrier.wait(timeout=30)
                yield half

            try:
                store.put("race/key", source(), if_absent=True)
            except AlreadyExistsError:
                return False
            return True

        with ThreadPoolExecutor(writers) as pool:
            won = list(pool.map(write, range(writers)))
        assert won.count(True) == 1
        assert contents(store, "race/key") == bytes([won.index(True)]) * 2 * half_size
        assert listed(store) == ["race/key"]


class TestList:
    def test_order_is_that_of_bytes(self, store: Storage) -> None:
        """Keys are sorted by their UTF-8 bytes, across directories."""
        put_all(store, AWKWARD_KEYS[::-1])
        assert listed(store) == sorted(AWKWARD_KEYS, key=str.encode)

    @EXAMPLES
    @given(
        keys=st.sets(st.sampled_from(AWKWARD_KEYS)),
        prefix=st.sampled_from(["", "a", "a/", "a/b", "a/b-c", "a/b-c/", "日", "b", "a/b/"]),
        after=st.none() | st.sampled_from([*AWKWARD_KEYS, "a", "a/", "a/b-c/", "a/z", "0", "b"]),
        delimiter=st.sampled_from([None, "/"]),
    )
    def test_listing_is_the_filtered_sorted_set(
        self,
        store: Storage,
        keys: set[str],
        prefix: str,
        after: str | None,
        delimiter: str | None,
    ) -> None:
        """Prefix, delimiter and start_after mean the same for every set of keys."""
        store.delete(AWKWARD_KEYS)
        put_all(store, sorted(keys))
        matching = [key for key in keys if key.startswith(prefix)]
        if delimiter:
            matching = [rolled_up(key, prefix) for key in matching]
        expected = sorted({key for key in matching if key > (after or "")}, key=str.encode)
        assert listed(store, prefix, delimiter=delimiter, after=after) == expected

    def test_listing_is_complete(self, store: Storage) -> None:
        """No page size shows: 2,500 keys are all there, in order."""
        keys = [f"wal_005/{number:024X}.zst" for number in range(2500)]
        put_all(store, keys)
        assert listed(store, "wal_005/") == keys
        assert listed(store, "wal_005/", after=keys[1200]) == keys[1201:]
        assert listed(store, "wal_005/", after=keys[1200].replace("zst", "~")) == keys[1201:]

    def test_prefix_inside_a_name(self, store: Storage) -> None:
        """A prefix is a string, not a directory."""
        put_all(store, ["wal/0001.zst", "wal/0001.history", "wal/0002.zst", "wally"])
        assert listed(store, "wal/0001") == ["wal/0001.history", "wal/0001.zst"]
        assert listed(store, "wal") == [
            "wal/0001.history",
            "wal/0001.zst",
            "wal/0002.zst",
            "wally",
        ]

    def test_delimiter_rolls_up(self, store: Storage) -> None:
        """What lies below a delimiter is one entry that ends in it and has no time."""
        put_all(store, ["b/one/part", "b/one/part2", "b/one.json", "b/two/part"])
        found = list(store.list("b/", delimiter="/"))
        assert [info.key for info in found] == ["b/one.json", "b/one/", "b/two/"]
        assert [(info.size, info.modified is None) for info in found] == [
            (10, False),
            (0, True),
            (0, True),
        ]

    @pytest.mark.parametrize("after", ["a/b", "a/c/d", "a/b-c/", "a/", "a/b/none", "a.z"])
    def test_listing_resumes_inside_a_directory(self, store: Storage, after: str) -> None:
        """start_after is any string, whether or not an object has it as its key."""
        put_all(store, AWKWARD_KEYS)
        expected = sorted((key for key in AWKWARD_KEYS if key > after), key=str.encode)
        assert listed(store, after=after) == expected

    @pytest.mark.parametrize("after", ["b/one.json", "b/one/", "b/two/"])
    def test_listing_resumes_after_any_entry(self, store: Storage, after: str) -> None:
        """start_after takes the last entry of an earlier listing, rolled up or not."""
        put_all(store, ["b/one/part", "b/one.json", "b/two/part"])
        everything = listed(store, "b/", delimiter="/")
        rest = everything[everything.index(after) + 1 :]
        assert listed(store, "b/", delimiter="/", after=after) == rest

    @pytest.mark.parametrize("prefix", ["", "nothing", "nothing/here/", "key/"])
    def test_nothing_to_list(self, store: Storage, prefix: str) -> None:
        """A prefix that no key has gives an empty listing, not an error."""
        store.put("key", [b"x"])
        store.put("gone/key", [b"x"])
        store.delete(["gone/key"])
        assert listed(store, prefix) == (["key"] if prefix == "" else [])

    def test_listing_shows_the_put_before_it(self, store: Storage) -> None:
        """As soon as put returns, a listing has the object."""
        for number in range(20):
            store.put(f"d{number}/key", [b""])
            assert f"d{number}/key" in listed(store)

    @pytest.mark.parametrize("prefix", ["../", "/", "a//b", "a/../b", "\udcff"], ids=ascii)
    def test_impossible_prefix_is_refused(self, store: Storage, prefix: str) -> None:
        """A prefix cannot lead out of the repository."""
        with pytest.raises(UsageError):
            listed(store, prefix)

    def test_other_delimiters_are_refused(self, store: Storage) -> None:
        """Keys are paths: only the slash divides them."""
        with pytest.raises(UsageError, match="delimiter"):
            listed(store, delimiter="-")


class TestDelete:
    def test_deleted_objects_are_gone(self, store: Storage) -> None:
        """Every named object is deleted, no other is."""
        keys = [f"d{number % 7}/{number}" for number in range(50)]
        put_all(store, [*keys, "d0/kept"])
        assert store.delete(iter(keys)) == dict.fromkeys(keys)
        assert listed(store) == ["d0/kept"]

    def test_missing_key_counts_as_deleted(self, store: Storage) -> None:
        """Deleting twice is no failure, nor is deleting what never was."""
        store.put("dir/key", [b"x"])
        keys = ["dir/key", "dir/never", "never/was", "dir", "dir/key/below"]
        assert store.delete(keys) == dict.fromkeys(keys)
        assert store.delete(keys) == dict.fromkeys(keys)

    def test_directory_is_not_an_object(self, store: Storage) -> None:
        """Deleting the name above an object leaves the object."""
        store.put("dir/key", [b"x"])
        store.delete(["dir"])
        assert contents(store, "dir/key") == b"x"

    def test_failure_is_reported_for_its_key(self, store: Storage) -> None:
        """One key that cannot be deleted does not keep the others."""
        put_all(store, ["one", "two"])
        outcome = store.delete(["one", "../outside", "two"])
        assert (outcome["one"], outcome["two"]) == (None, None)
        assert "../outside" in (outcome["../outside"] or "")
        assert listed(store) == []

    def test_key_can_be_put_again(self, store: Storage) -> None:
        """Deletion frees the key for if_absent."""
        store.put("dir/key", [b"old"], if_absent=True)
        store.delete(["dir/key"])
        store.put("dir/key", [b"new"], if_absent=True)
        assert contents(store, "dir/key") == b"new"


def rolled_up(key: str, prefix: str) -> str:
    """The common prefix that stands for `key` in a listing of `prefix` by slashes."""
    rest = key[len(prefix) :]
    return prefix + rest[: rest.index("/") + 1] if "/" in rest else key
