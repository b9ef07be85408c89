"""Large objects over connections that break, to a server that may take less than was sent."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backup_core.errors import AlreadyExistsError, StorageError
from backup_core.storage.base import Storage
from tests.support.faults import (
    Answer,
    Corrupt,
    Drop,
    Fault,
    Schedule,
    SeenRequest,
    at_most,
    often,
    only,
)
from tests.support.gcs_stub import GcsStub
from tests.support.proxy import FaultProxy
from tests.unit.storage.gcs.conftest import CHUNK, store_at

CONTENT = bytes(range(256)) * (4 * CHUNK // 256) + b"end"
FAULTS: dict[str, Fault] = {
    "cut in mid chunk": Drop(after_request_bytes=CHUNK // 2),
    "lost answer": Drop(),
    "500": Answer(status=500),
    "503 at once": Answer(status=503, read_body=False),
    "429": Answer(status=429),
}


def is_chunk(request: SeenRequest) -> bool:
    """Tell whether a request carries a piece of a large object."""
    return request.method == "PUT" and int(request.headers.get("content-length", "0")) > 0


def is_last(request: SeenRequest) -> bool:
    """Tell whether a request ends an upload."""
    return request.method == "PUT" and not request.headers["content-range"].endswith("*")


def asked(stub: GcsStub, method: str) -> int:
    """How many requests of a kind came."""
    return sum(each == method for each, _ in stub.asked)


class TestResuming:
    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("which", [is_chunk, is_last])
    def test_trouble_is_got_over(self, stub: GcsStub, fault: str, which: object) -> None:
        """The server is asked how far it came, and the upload goes on from there."""
        schedule: Schedule = at_most(2, only(which, FAULTS[fault]))  # type: ignore[arg-type]
        with FaultProxy(stub.url, schedule) as proxy:
            info = store_at(proxy.url).put("key", [CONTENT], if_absent=True)
            assert "bytes */*" in [each.headers.get("content-range") for each in proxy.requests]
        assert info.size == len(CONTENT)
        assert stub.objects["main/key"].data == CONTENT
        assert asked(stub, "POST") == 1

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        sizes=st.lists(st.integers(1, 3 * CHUNK), min_size=2, max_size=6),
        takes=st.lists(st.integers(CHUNK, 4 * CHUNK), max_size=6),
    )
    def test_a_server_may_take_less_than_was_sent(
        self, stub: GcsStub, sizes: list[int], takes: list[int]
    ) -> None:
        """What it confirms counts, not what was sent, wherever the stream was cut."""
        stub.objects.clear()
        stub.takes = list(takes)
        pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
        store_at(stub.url, factor=3).put("key", pieces, if_absent=True)
        assert stub.objects["main/key"].data == b"".join(pieces)

    def test_a_server_that_takes_nothing_is_left_in_the_end(
        self, stub: GcsStub, store: Storage
    ) -> None:
        """No progress is counted as trouble; any progress starts the count anew."""
        stub.takes = [0] * 100
        with pytest.raises(StorageError, match="took nothing of what was sent"):
            store.put("key", [CONTENT])
        assert stub.objects == {}

    def test_slow_progress_is_progress(self, stub: GcsStub) -> None:
        """More failures in a chunk than a piece of work is allowed, but a step between any two."""
        turns = cycle([Answer(status=503), None])
        stub.takes = [CHUNK] * 7
        with FaultProxy(stub.url, only_chunks(lambda _: next(turns))) as proxy:
            store_at(proxy.url, factor=8).put("key", [CONTENT * 2])
        assert stub.objects["main/key"].data == CONTENT * 2

    def test_a_forgotten_upload_fails(self, stub: GcsStub, store: Storage) -> None:
        """What was sent before is not in memory any more, so it cannot begin again."""

        def source() -> Iterator[bytes]:
            yield CONTENT
            stub.sessions.clear()
            yield CONTENT

        with pytest.raises(StorageError, match="forgotten the upload"):
            store.put("key", source())
        assert stub.objects == {}

    def test_an_upload_forgotten_because_it_is_done(self, stub: GcsStub) -> None:
        """The last answer is lost, and then nobody knows the upload: the object has our mark."""

        def forgetful(request: SeenRequest) -> Fault | None:
            if request.headers.get("content-range") == "bytes */*":
                stub.sessions.clear()
            return Drop() if is_last(request) else None

        with FaultProxy(stub.url, forgetful) as proxy:
            store_at(proxy.url).put("key", [CONTENT], if_absent=True)
        assert stub.objects["main/key"].data == CONTENT


def only_chunks(schedule: Schedule) -> Schedule:
    """Harm the requests that carry bytes as another schedule says."""
    return lambda request: schedule(request) if is_chunk(request) else None


class TestChecksum:
    @pytest.mark.parametrize("size", [len(CONTENT), 4 * CHUNK])
    def test_damage_on_the_way_makes_no_object(self, stub: GcsStub, size: int) -> None:
        """The server has the checksum of the whole with the last chunk, and refuses."""
        schedule = at_most(1, only(is_chunk, Corrupt(request_offset=1000)))
        damaged = pytest.raises(StorageError, match="doesn't match calculated")
        with FaultProxy(stub.url, schedule) as proxy, damaged:
            store_at(proxy.url).put("key", [CONTENT[:size]])
        assert stub.objects == {}

    def test_resent_bytes_are_part_of_the_checksum_once(self, stub: GcsStub) -> None:
        """The checksum is of the object, not of what was sent for it."""
        stub.takes = [CHUNK]
        store_at(stub.url, factor=2).put("key", [CONTENT])
        assert stub.objects["main/key"].data == CONTENT


class TestCondition:
    def test_one_that_appears_while_writing_wins(self, stub: GcsStub, store: Storage) -> None:
        """The condition is held to when the object would appear, not only when the upload began."""

        def overtaken() -> Iterator[bytes]:
            yield CONTENT
            store.put("key", [b"fast"], if_absent=True)
            yield CONTENT

        with pytest.raises(AlreadyExistsError):
            store.put("key", overtaken(), if_absent=True)
        assert stub.objects["main/key"].data == b"fast"

    @pytest.mark.parametrize("fault", [None, *FAULTS])
    def test_exactly_one_of_many_wins(self, stub: GcsStub, fault: str | None) -> None:
        """Of writers that end at the same time one succeeds, also if answers are lost."""
        barrier = threading.Barrier(4)
        schedule = only_chunks(often(0.2, FAULTS[fault])) if fault else only_chunks(lambda _: None)

        def write(number: int) -> bool:
            def source() -> Iterator[bytes]:
                yield bytes([number]) * 2 * CHUNK
                barrier.wait(timeout=30)
                yield bytes([number]) * CHUNK

            try:
                store_at(proxy.url).put("key", source(), if_absent=True)
            except AlreadyExistsError:
                return False
            return True

        with FaultProxy(stub.url, schedule) as proxy, ThreadPoolExecutor(4) as pool:
            won = list(pool.map(write, range(4)))
        assert won.count(True) == 1
        assert stub.objects["main/key"].data == bytes([won.index(True)]) * 3 * CHUNK


class TestGivingUp:
    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
    def test_an_upload_is_cancelled(
        self, stub: GcsStub, store: Storage, error: type[BaseException]
    ) -> None:
        """A source that fails leaves neither an object nor an upload that waits for a week."""

        def source() -> Iterator[bytes]:
            yield CONTENT
            raise error

        with pytest.raises(error):
            store.put("key", source())
        assert (stub.objects, stub.sessions, stub.cancelled) == ({}, {}, 1)

    def test_the_stream_is_pulled_no_further_than_needed(
        self, stub: GcsStub, store: Storage
    ) -> None:
        """When the server refuses in the middle, the source is not read to its end."""
        pulled = 0

        def source() -> Iterator[bytes]:
            nonlocal pulled
            for _ in range(100):
                pulled += 1
                if pulled == 10:
                    stub.sessions.clear()
                yield bytes(CHUNK)

        with pytest.raises(StorageError):
            store.put("key", source())
        assert pulled <= 14

    def test_two_chunks_are_in_memory(self, stub: GcsStub) -> None:
        """While the server keeps a chunk waiting, the next is pulled, and no more."""
        pulled = 0
        waiting, stopped = threading.Event(), threading.Event()

        def source() -> Iterator[bytes]:
            nonlocal pulled
            for pulled in range(1, 41):
                if pulled == 6:
                    waiting.set()
                    stopped.wait(timeout=30)
                yield bytes(CHUNK)

        with ThreadPoolExecutor(1) as pool:
            put = pool.submit(store_at(stub.url, factor=2).put, "key", source())
            waiting.wait(timeout=30)
            with stub.lock:
                stopped.set()
                time.sleep(0.3)
                confirmed = sum(len(session.data) for session in stub.sessions.values())
                assert pulled * CHUNK - confirmed <= 2 * (2 * CHUNK) + CHUNK
            assert put.result(timeout=30).size == 40 * CHUNK
