"""Reading over connections that break: every byte once, and all of one object."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import NotFoundError, StorageError
from backup_core.storage.checksum import as_base64, crc32c
from backup_core.storage.http import Connections, Request
from backup_core.storage.ranged import Opened, read_range
from backup_core.storage.retry import PassingError, RetryPolicy
from tests.support.scripted import Peer, Server, serving

DATA = bytes(range(256)) * 4


@dataclass(kw_only=True)
class Stored:
    """An object, and how many bytes of each answer arrive before the connection ends."""

    data: bytes = DATA
    tag: str = "first"
    checksum: str | None = None
    breaks: Iterator[int] = field(default_factory=lambda: iter(()))
    asked: list[tuple[int, str | None]] = field(default_factory=list)
    server: Server = field(init=False)

    def serve(self, peer: Peer) -> None:
        """Answer with the bytes from the one asked for, as far as they get."""
        while lines := peer.request()[0]:
            position, tag = _asked("\n".join(lines))
            self.asked.append((position, tag))
            if tag not in (None, self.tag):
                peer.send(b"HTTP/1.1 412 Changed\r\nContent-Length: 0\r\n\r\n")
                continue
            if 0 < len(self.data) <= position:
                peer.send(b"HTTP/1.1 416 Behind\r\nContent-Length: 0\r\n\r\n")
                continue
            rest = self.data[position:]
            limit = next(self.breaks, len(rest))
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(rest))
            peer.send(rest[:limit])
            if limit < len(rest):
                return

    @contextmanager
    def reading(self, start: int = 0, *, max_retries: int = 5) -> Iterator[Iterator[bytes]]:
        """Read the object over a network, without waiting between attempts."""
        policy = RetryPolicy(max_retries=max_retries, sleep=lambda _: None)
        with serving(self.serve) as server:
            self.server = server
            pool = Connections(connect_timeout=5, request_timeout=5, idle=1)

            def open_at(position: int, tag: str | None) -> Opened | None:
                headers = {"Range": f"{position}"} | ({"If-Match": tag} if tag else {})
                response = pool.send(Request(method="GET", url=server.url, headers=headers))
                if response.status == 416:
                    response.close()
                    return None
                if response.status == 412:
                    response.close()
                    raise StorageError("the object is another by now")
                return Opened(response=response, tag=self.tag, checksum=self.checksum)

            yield read_range(open_at, policy, name="store/object", start=start)


def _asked(head: str) -> tuple[int, str | None]:
    position = re.search(r"^Range: (\d+)", head, re.MULTILINE)
    tag = re.search(r"^If-Match: (\w+)", head, re.MULTILINE)
    return int(position[1]) if position else 0, tag[1] if tag else None


@given(
    start=st.integers(0, len(DATA) + 10),
    breaks=st.lists(st.integers(0, len(DATA)), max_size=5),
)
def test_every_byte_arrives_once(start: int, breaks: list[int]) -> None:
    """Wherever connections break, what is read is what is stored from there on."""
    with Stored(breaks=iter(breaks)).reading(start) as chunks:
        assert b"".join(chunks) == DATA[start:]


def test_reading_goes_on_at_the_byte_and_in_the_version() -> None:
    """Nothing is asked for twice, and nothing of another object."""
    stored = Stored(breaks=iter([100, 200]))
    with stored.reading() as chunks:
        assert b"".join(chunks) == DATA
    assert stored.asked == [(0, None), (100, "first"), (300, "first")]


def test_an_object_that_is_replaced_meanwhile_is_not_mixed() -> None:
    """Its first half and another's second half are no object."""
    stored = Stored(breaks=iter([100]))
    with stored.reading() as chunks:
        assert next(chunks) == DATA[:100]
        stored.tag = "second"
        with pytest.raises(StorageError, match="another"):
            next(chunks)


def test_an_empty_object_is_nothing() -> None:
    """No chunk, and no trouble."""
    with Stored(data=b"").reading() as chunks:
        assert list(chunks) == []


@pytest.mark.parametrize("breaks", [[], [0, 1, 500]], ids=["at-once", "with-breaks"])
def test_the_checksum_of_the_store_is_held_against_the_whole(breaks: list[int]) -> None:
    """However many connections it took."""
    stored = Stored(checksum=as_base64(crc32c([DATA])), breaks=iter(breaks))
    with stored.reading() as chunks:
        assert b"".join(chunks) == DATA


@pytest.mark.parametrize("breaks", [[], [0, 1, 500]], ids=["at-once", "with-breaks"])
def test_bytes_that_have_another_checksum_are_refused(breaks: list[int]) -> None:
    """The reader is told before it can take the end for the end."""
    stored = Stored(checksum=as_base64(crc32c([b"other"])), breaks=iter(breaks))
    with stored.reading() as chunks, pytest.raises(StorageError, match="store/object") as raised:
        list(chunks)
    assert "checksum" in raised.value.message
    assert not isinstance(raised.value, PassingError)


def test_a_server_that_always_breaks_off_is_given_up() -> None:
    """Patience counts from the last byte."""
    stored = Stored(breaks=iter([10, *[0] * 100]))
    with stored.reading(max_retries=3) as chunks:
        assert next(chunks) == DATA[:10]
        with pytest.raises(StorageError, match="tried 4 times"):
            list(chunks)
    assert len(stored.asked) == 4


def test_a_network_that_carries_a_little_each_time_is_enough() -> None:
    """A hundred breaks are no failure as long as there is progress between them."""
    stored = Stored(breaks=iter([10] * 200))
    with stored.reading(max_retries=1) as chunks:
        assert b"".join(chunks) == DATA


def test_a_missing_object_is_said_at_the_call() -> None:
    """Before the first byte is asked for."""

    def open_at(position: int, tag: str | None) -> Opened | None:
        raise NotFoundError('"object" is not in the store')

    with pytest.raises(NotFoundError):
        read_range(open_at, RetryPolicy(), name="store/object", start=0)


def test_leaving_early_ends_the_connection() -> None:
    """A header was all that was wanted: the server is not kept busy with the rest."""
    stored = Stored(data=bytes(64 << 20))
    with stored.reading() as chunks:
        assert next(chunks)
        del chunks
        stored.server.wait_until_closed(0)
