"""What the store promises where the emulators differ from Google, held against a server of ours."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backup_core.errors import AlreadyExistsError, StorageError
from backup_core.storage.base import Storage
from backup_core.storage.gcs import GcsStorage
from backup_core.storage.gcs.errors import RefusalError
from backup_core.storage.registry import open_storage
from tests.support.faults import Corrupt, Drop, SeenRequest, Truncate, at_most, only
from tests.support.gcs_stub import BUCKET, GcsStub
from tests.support.proxy import FaultProxy
from tests.unit.storage.gcs.conftest import CHUNK, options, store_at

CONTENT = bytes(range(256)) * 40


class Fixed:
    """A source of tokens that has a list of them."""

    def __init__(self, *tokens: str) -> None:
        self.rest = list(tokens)

    def current(self) -> str:
        """The token in use."""
        return self.rest[0]

    def renewed(self, refused: str) -> str:
        """The next token."""
        assert self.rest.pop(0) == refused
        return self.rest[0]


def contents(store: Storage, key: str) -> bytes:
    """The whole object."""
    return b"".join(store.get(key))


def is_post(request: SeenRequest) -> bool:
    """Tell whether it is the upload of a small object."""
    return request.method == "POST"


def is_large(request: SeenRequest) -> bool:
    """Tell whether a request carries an object's bytes."""
    return int(request.headers.get("content-length", "0")) > 8000


def is_media(request: SeenRequest) -> bool:
    """Tell whether a request is for an object's bytes."""
    return "alt=media" in request.path


class TestWriting:
    def test_a_small_object_is_one_request(self, stub: GcsStub, store: Storage) -> None:
        """Bytes, checksum, condition and mark travel together."""
        info = store.put("key", [CONTENT], if_absent=True)
        assert [method for method, _ in stub.asked] == ["POST"]
        assert info == store.stat("key")
        assert list(stub.objects["main/key"].metadata) == ["pitr-writer"]

    def test_a_lost_answer_is_not_a_lost_race(self, stub: GcsStub) -> None:
        """The object is there because our first attempt made it: its mark says so."""
        with FaultProxy(stub.url, at_most(1, only(is_post, Drop()))) as proxy:
            store_at(proxy.url).put("key", [CONTENT], if_absent=True)
        assert stub.objects["main/key"].data == CONTENT
        assert sum(method == "POST" for method, _ in stub.asked) == 2

    def test_a_lost_race_is_not_a_lost_answer(self, stub: GcsStub, store: Storage) -> None:
        """Equal bytes do not make an object ours."""
        store.put("key", [CONTENT], if_absent=True)
        network = FaultProxy(stub.url, at_most(1, only(is_post, Drop())))
        with network as proxy, pytest.raises(AlreadyExistsError):
            store_at(proxy.url).put("key", [CONTENT], if_absent=True)

    def test_bytes_damaged_on_their_way_are_sent_again(self, stub: GcsStub) -> None:
        """The server holds them against the checksum and refuses; the next attempt is whole."""
        schedule = at_most(1, only(is_post, Corrupt(request_offset=5000)))
        with FaultProxy(stub.url, schedule) as proxy:
            store_at(proxy.url).put("key", [CONTENT])
        assert stub.objects["main/key"].data == CONTENT

    @pytest.mark.parametrize("size", [10_000, 3 * CHUNK])
    def test_damage_that_the_server_overlooks_is_found(self, stub: GcsStub, size: int) -> None:
        """The answer tells another checksum: the object is deleted again, and nobody else's."""
        stub.verifies = False
        schedule = at_most(1, only(is_large, Corrupt(request_offset=5000)))
        wrong = pytest.raises(StorageError, match="another checksum than it was sent with")
        with FaultProxy(stub.url, schedule) as proxy, wrong:
            store_at(proxy.url).put("key", [bytes(size)])
        assert stub.objects == {}
        assert "ifGenerationMatch=" in stub.asked[-1][1]

    @pytest.mark.parametrize("size", [10_000, 3 * CHUNK])
    @pytest.mark.parametrize("if_absent", [False, True])
    def test_new_objects_need_no_permission_to_delete(
        self, stub: GcsStub, store: Storage, size: int, if_absent: bool
    ) -> None:
        """The writer of a bucket with a retention policy may only create."""
        stub.retains = True
        stub.denied = {"storage.objects.delete"}
        store.put("key", [bytes(size)], if_absent=if_absent)
        assert len(stub.objects["main/key"].data) == size
        assert "DELETE" not in {method for method, _ in stub.asked}

    def test_what_is_retained_is_not_replaced(self, stub: GcsStub, store: Storage) -> None:
        """The policy is named, not a permission that would not help."""
        store.put("key", [b"first"])
        stub.retains = True
        with pytest.raises(RefusalError, match="retention policy") as caught:
            store.put("key", [b"second"])
        assert caught.value.hint is not None
        assert "retention" in caught.value.hint


class TestReading:
    def test_a_read_goes_on_in_the_version_it_began_with(self, stub: GcsStub) -> None:
        """When the connection breaks and the object was replaced, nothing can be gone on with."""
        large = bytes(4 << 20)
        store_at(stub.url).put("key", [large])
        schedule = at_most(1, only(is_media, Truncate(after_response_bytes=2 << 20)))
        with FaultProxy(stub.url, schedule) as proxy:
            reader = store_at(proxy.url).get("key")
            next(reader)
            store_at(stub.url).put("key", [large])
            with pytest.raises(StorageError, match="deleted or replaced"):
                b"".join(reader)

    def test_a_read_goes_on_at_the_byte_where_it_broke(self, stub: GcsStub) -> None:
        """And is held against the checksum of the whole object all the same."""
        large = CONTENT * 400
        store_at(stub.url).put("key", [large])
        schedule = at_most(1, only(is_media, Truncate(after_response_bytes=2 << 20)))
        with FaultProxy(stub.url, schedule) as proxy:
            assert contents(store_at(proxy.url), "key") == large
            assert "range" in proxy.requests[-1].headers

    def test_damage_on_the_way_back_is_found(self, stub: GcsStub, store: Storage) -> None:
        """A whole object is held against the checksum that came with it."""
        store.put("key", [CONTENT])
        network = FaultProxy(stub.url, only(is_media, Corrupt(response_offset=100)))
        with network as proxy, pytest.raises(StorageError, match="another checksum"):
            contents(store_at(proxy.url), "key")

    @pytest.mark.parametrize("verb", ["get", "stat", "put", "list", "delete"])
    def test_a_missing_bucket_is_no_missing_object(self, stub: GcsStub, verb: str) -> None:
        """Every verb says so; a deletion reports it for its key."""
        store = open_storage("gs://elsewhere/main", options(stub.url))
        wrong = "the bucket of gs://elsewhere/main does not exist"
        if verb == "delete":
            assert store.delete(["key"]) == {"key": wrong}
            return
        verbs: dict[str, Callable[[], object]] = {
            "get": lambda: store.get("key"),
            "stat": lambda: store.stat("key"),
            "put": lambda: store.put("key", [b"x"]),
            "list": lambda: list(store.list()),
        }
        with pytest.raises(StorageError, match=wrong):
            verbs[verb]()

    @pytest.mark.parametrize(
        ("permission", "verb"), [("get", "get"), ("get", "stat"), ("list", "list")]
    )
    def test_a_missing_permission_is_named(
        self, stub: GcsStub, store: Storage, permission: str, verb: str
    ) -> None:
        """It is not taken for a missing object, nor for an empty repository."""
        store.put("key", [b"x"])
        stub.denied = {f"storage.objects.{permission}"}
        with pytest.raises(RefusalError) as caught:
            list(getattr(store, verb)("key") or ())
        assert caught.value.hint is not None
        assert f"storage.objects.{permission} on the bucket {BUCKET}" in caught.value.hint


class TestCustomersKey:
    KEY = b"k" * 32

    @pytest.mark.parametrize("size", [10_000, 3 * CHUNK])
    def test_every_request_for_an_object_carries_the_key(self, stub: GcsStub, size: int) -> None:
        """An object is read with the key that it was written with."""
        store = store_at(stub.url, encryption_key=self.KEY)
        store.put("key", [bytes(size)], if_absent=True)
        assert stub.objects["main/key"].key_hash
        assert contents(store, "key") == bytes(size)
        assert store.stat("key").size == size

    @pytest.mark.parametrize("key", [None, b"x" * 32])
    def test_another_key_is_refused(self, stub: GcsStub, key: bytes | None) -> None:
        """The hint names the setting; the object is not taken for missing or damaged."""
        store_at(stub.url, encryption_key=self.KEY).put("key", [b"x"])
        with pytest.raises(RefusalError) as caught:
            store_at(stub.url, encryption_key=key).get("key")
        assert caught.value.hint is not None
        assert "GCS_ENCRYPTION_KEY" in caught.value.hint


class TestTokens:
    def test_a_token_that_expired_is_renewed_once(self, stub: GcsStub) -> None:
        """The request is made again with the new one."""
        stub.tokens = {"new"}
        store = GcsStorage(
            "gs://backups/main", BUCKET, "main", options(stub.url), Fixed("old", "new")
        )
        store.put("key", [b"x"])
        assert contents(store, "key") == b"x"

    @pytest.mark.parametrize("size", [10, 3 * CHUNK])
    def test_credentials_that_are_not_accepted(self, stub: GcsStub, size: int) -> None:
        """A second refusal is the answer."""
        stub.tokens = set()
        source = Fixed("old", "new")
        store = GcsStorage("gs://backups/main", BUCKET, "main", options(stub.url), source)
        with pytest.raises(RefusalError, match="does not accept the credentials"):
            store.put("key", [bytes(size)])
        assert len(stub.asked) == 2

    def test_a_token_may_expire_in_mid_upload(self, stub: GcsStub) -> None:
        """The session goes on with the next."""
        stub.tokens = {"first"}
        store = GcsStorage(
            "gs://backups/main", BUCKET, "main", options(stub.url), Fixed("first", "second")
        )

        def source() -> Iterator[bytes]:
            yield bytes(2 * CHUNK)
            stub.tokens = {"second"}
            yield bytes(CHUNK)

        store.put("key", source())
        assert len(stub.objects["main/key"].data) == 3 * CHUNK


class TestNames:
    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.text(
            st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1
        ).filter(lambda name: name not in (".", ".."))
    )
    def test_any_character_survives_the_address(
        self, stub: GcsStub, store: Storage, name: str
    ) -> None:
        """A name is quoted in full, so that none of it is taken for a path, query or fragment."""
        key = f"dir/{name}"
        store.put(key, [b"x"])
        assert f"main/{key}" in stub.objects
        assert contents(store, key) == b"x"
        assert [info.key for info in store.list("dir/")] == [key]
        assert store.delete([key]) == {key: None}
        assert stub.objects == {}

    @pytest.mark.parametrize(
        ("url", "normalize", "name"),
        [
            ("gs://backups", True, "key"),
            ("gs://backups/", True, "key"),
            ("gs://backups/a/b", True, "a/b/key"),
            ("gs://backups/a/b/", True, "a/b/key"),
            ("gs://backups//a//b", True, "a/b/key"),
            ("gs://backups/a/b", False, "a/b/key"),
            ("gs://backups//a/b", False, "/a/b/key"),
            ("gs://backups//a/b/", False, "/a/b/key"),
            ("gs://backups//", False, "/key"),
        ],
    )
    def test_the_prefix_keeps_its_slashes_if_asked_to(
        self, stub: GcsStub, url: str, normalize: bool, name: str
    ) -> None:
        """WAL-E's names begin with a slash; else a doubled slash is a slip of the pen."""
        store = open_storage(url, options(stub.url, normalize_prefix=normalize))
        store.put("key", [b"x"])
        assert list(stub.objects) == [name]
        assert [info.key for info in store.list()] == ["key"]
        assert contents(store, "key") == b"x"

    @pytest.mark.parametrize("name", ["/a/b/wal_005/key", "a/b/wal_005/key"])
    def test_the_slash_of_wal_e_is_found(self, stub: GcsStub, name: str) -> None:
        """Its variable does not say it, so the objects decide where is read and written."""
        writer = open_storage(
            f"gs://backups/{name.removesuffix('/wal_005/key')}",
            options(stub.url, normalize_prefix=False),
        )
        writer.put("wal_005/key", [b"x"])
        store = open_storage("gs://backups/a/b", options(stub.url, normalize_prefix=None))
        assert contents(store, "wal_005/key") == b"x"
        store.put("wal_005/next", [b"y"])
        assert sorted(stub.objects) == [name, name.replace("key", "next")]


class TestListing:
    def test_pages_are_put_together(self, stub: GcsStub, store: Storage) -> None:
        """Whatever the size of a page, objects and common prefixes come once and in order."""
        for key in ["a-b", "a/b", "a/c", "a0", "b/x/1", "b/x/2", "b/y", "c"]:
            store.put(key, [key.encode()])
        for stub.page_size in (1, 2, 3, 1000):
            assert [info.key for info in store.list()] == [
                *("a-b", "a/b", "a/c", "a0", "b/x/1", "b/x/2", "b/y", "c")
            ]
            shallow = [info.key for info in store.list(delimiter="/")]
            assert shallow == ["a-b", "a/", "a0", "b/", "c"]
            after = [info.key for info in store.list("b/", delimiter="/", start_after="b/x/")]
            assert after == ["b/y"]

    def test_marks_of_consoles_are_passed_over(self, stub: GcsStub, store: Storage) -> None:
        """An empty object whose name ends in a slash stands for a folder."""
        store.put("dir/key", [b"x"])
        stub.objects["main/"] = stub.objects["main/dir/"] = stub.objects["main/dir/key"]
        assert [info.key for info in store.list()] == ["dir/key"]
        assert [info.key for info in store.list("dir/", delimiter="/")] == ["dir/key"]


class TestDeletion:
    def test_each_key_has_its_outcome(self, stub: GcsStub, store: Storage) -> None:
        """What is missing counts as deleted, and what cannot be deleted says why."""
        for key in ("a", "b", "c"):
            store.put(key, [b"x"])
        outcome = store.delete(iter(["a", "missing", "b", "/impossible"]))
        assert outcome["/impossible"] is not None
        assert {key: outcome[key] for key in ("a", "b", "missing")} == dict.fromkeys(
            ("a", "b", "missing")
        )
        assert list(stub.objects) == ["main/c"]

    def test_a_retained_object_is_reported(self, stub: GcsStub, store: Storage) -> None:
        """The server's words reach the operator, for that key."""
        store.put("key", [b"x"])
        stub.retains = True
        said = store.delete(["key"])["key"]
        assert said is not None
        assert "retention policy" in said

    def test_hundreds_go_at_once(self, stub: GcsStub, store: Storage) -> None:
        """One by one, but several at a time, and every one of them."""
        keys = [f"wal_005/{number:024X}.zst" for number in range(300)]
        store.put("key", [b"x"])
        stub.objects = dict.fromkeys([f"main/{key}" for key in keys], stub.objects["main/key"])
        assert store.delete(iter(keys)) == dict.fromkeys(keys)
        assert stub.objects == {}
