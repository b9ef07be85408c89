"""Connections to a server of the test's own, which keeps or breaks them as it is told."""

import gc
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import ConfigError, StorageError
from backup_core.storage.http import Connections, Request, is_excepted
from backup_core.storage.retry import PassingError
from tests.support.certificates import make_certificate
from tests.support.scripted import Peer, Script, serving

MIB = 1 << 20
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"


def faithful(peer: Peer) -> None:
    """Answer every request."""
    while peer.request()[0]:
        peer.send(OK)


def silent(peer: Peer) -> None:
    """Listen and say nothing."""
    while peer.request()[0]:
        pass


def connections(
    *, idle: int = 4, request_timeout: float = 10.0, ca_file: Path | None = None
) -> Connections:
    """Connections with times that suit a test."""
    return Connections(
        connect_timeout=5.0, request_timeout=request_timeout, idle=idle, ca_file=ca_file
    )


def get(url: str) -> Request:
    """The simplest request."""
    return Request(method="GET", url=url)


def body_of(pool: Connections, request: Request) -> bytes:
    """Send a request and read the answer."""
    return pool.send(request).read()


def answering(data: bytes) -> Script:
    """Answer the first request with these bytes and end the connection."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(data)

    return script


class TestKeeping:
    def test_one_connection_serves_many_requests(self) -> None:
        """TLS and slow start are paid for once."""
        with serving(faithful) as server:
            pool = connections()
            for _ in range(5):
                assert body_of(pool, get(server.url)) == b"body"
            assert len(server.peers) == 1

    def test_an_answer_without_a_body_need_not_be_read(self) -> None:
        """The head of a HEAD is all of it, so closing the answer keeps the connection."""

        def script(peer: Peer) -> None:
            while peer.request()[0]:
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")

        with serving(script) as server:
            pool = connections()
            for _ in range(3):
                answer = pool.send(Request(method="HEAD", url=server.url))
                assert answer.headers["content-length"] == "1000"
                answer.close()
            assert len(server.peers) == 1

    def test_an_answer_given_up_takes_its_connection_along(self) -> None:
        """What was not read must not be taken for the next answer."""
        with serving(faithful) as server:
            pool = connections()
            pool.send(get(server.url)).close()
            assert body_of(pool, get(server.url)) == b"body"
            assert len(server.peers) == 2

    def test_a_connection_is_given_back_once(self) -> None:
        """Closing an answer that was read does not free a connection another thread has by now."""
        with serving(faithful) as server:
            pool = connections()
            first = pool.send(get(server.url))
            first.read()
            second = pool.send(get(server.url))
            first.close()
            third = pool.send(get(server.url))
            assert third.read() == second.read() == b"body"
            assert len(server.peers) == 2

    def test_a_connection_that_the_server_closed_is_replaced(self) -> None:
        """Servers close what is idle for long; nobody hears of it, not even who uploads."""

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(OK)

        with serving(script) as server:
            pool = connections()
            for number in range(3):
                request = Request(method="PUT", url=server.url, body=[b"data"])
                assert body_of(pool, request) == b"body"
                server.wait_until_closed(number)
            assert len(server.peers) == 3

    def test_a_kept_connection_that_breaks_under_a_read_is_replaced(self) -> None:
        """The end may come just when the next request does; reading again does no harm."""

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(OK)
            if peer.number == 0:
                peer.request()  # and go without an answer

        with serving(script) as server:
            pool = connections()
            body_of(pool, get(server.url))
            assert body_of(pool, get(server.url)) == b"body"
            assert len(server.peers) == 2

    def test_a_kept_connection_that_breaks_under_a_write_is_trouble(self) -> None:
        """Whether it was carried out is not known: its sender has to decide."""

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(OK)
            peer.request()

        with serving(script) as server:
            pool = connections()
            body_of(pool, get(server.url))
            with pytest.raises(PassingError, match="no connection with 127"):
                pool.send(Request(method="POST", url=server.url, body=[b"data"]))
            assert len(server.peers) == 1

    def test_no_more_idle_connections_are_kept_than_asked_for(self) -> None:
        """A burst of requests does not leave a server with its connections."""
        barrier = threading.Barrier(6)

        def script(peer: Peer) -> None:
            while peer.request()[0]:
                peer.send(OK)

        with serving(script) as server, ThreadPoolExecutor(6) as threads:
            pool = connections(idle=2)

            def one(_: int) -> bytes:
                answer = pool.send(get(server.url))
                barrier.wait(10)
                return answer.read()

            assert list(threads.map(one, range(6))) == [b"body"] * 6
            open_now = [peer for peer in server.peers if not ended(peer)]
            assert len(server.peers) == 6
            assert len(open_now) == 2

    def test_many_threads_share_without_mixing_answers(self) -> None:
        """Every thread gets the answer to its own request, on no more connections than threads."""

        def script(peer: Peer) -> None:
            while lines := peer.request()[0]:
                name = lines[0].split()[1].encode()
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name))

        def one(number: int) -> bool:
            answer = pool.send(get(f"{server.url}{number}"))
            whole = answer.read() == f"/{number}".encode()
            answer.close()
            return whole

        with serving(script) as server, ThreadPoolExecutor(8) as threads:
            pool = connections(idle=8)
            assert all(threads.map(one, range(400)))
            assert len(server.peers) <= 8

    def test_nothing_stays_open_behind_a_store_that_is_gone(self) -> None:
        """Who forgets a store forgets its connections; the interpreter has none to warn of."""
        with serving(faithful) as server:
            pool = connections()
            body_of(pool, get(server.url))
            pool.send(get(server.url)).close()
            del pool
            gc.collect()
            server.wait_until_closed(0)


def ended(peer: Peer) -> bool:
    """Whether the client has ended a connection, give or take a moment."""
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        if peer.socket.fileno() < 0:
            return True
        time.sleep(0.01)
    return False


class TestSending:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
    def test_a_request_without_a_body_announces_none(self, method: str) -> None:
        """A server that hears of a body, though empty, may refuse the request for it."""
        heads: list[list[str]] = []

        def script(peer: Peer) -> None:
            heads.append(peer.head())
            peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")

        with serving(script) as server:
            connections().send(Request(method=method, url=server.url)).close()
        names = [line.partition(":")[0].lower() for line in heads[0][1:]]
        assert sorted(names) == ["accept-encoding", "host"]

    @pytest.mark.parametrize("body", [[], [b""], [b"one", b"", b"two"]])
    def test_a_body_has_its_length_in_the_head(self, body: list[bytes]) -> None:
        """S3 takes no chunked encoding; an empty object has the length 0."""
        seen: list[tuple[list[str], bytes]] = []

        def script(peer: Peer) -> None:
            seen.append(peer.request())
            peer.send(OK)

        with serving(script) as server:
            body_of(connections(), Request(method="PUT", url=server.url, body=body))
        ((head, received),) = seen
        assert received == b"".join(body)
        assert f"content-length: {len(received)}" in map(str.lower, head)
        assert not any("chunked" in line for line in head)

    def test_an_answer_in_mid_body_is_heard(self) -> None:
        """A server that refuses a large body does so before it has read it, and hangs up."""

        def script(peer: Peer) -> None:
            peer.head()
            peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            peer.socket.shutdown(socket.SHUT_WR)
            time.sleep(0.2)

        with serving(script) as server:
            request = Request(method="PUT", url=server.url, body=[bytes(MIB)] * 32)
            answer = connections().send(request)
            assert (answer.status, answer.read()) == (403, b"no")

    def test_a_connection_that_was_refused_in_mid_body_is_not_used_again(self) -> None:
        """The rest of the body would be read as the next request."""

        def script(peer: Peer) -> None:
            if peer.number > 0:
                faithful(peer)
                return
            peer.head()
            peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            time.sleep(0.2)

        with serving(script) as server:
            pool = connections()
            request = Request(method="PUT", url=server.url, body=[bytes(MIB)] * 32)
            assert pool.send(request).read() == b"no"
            assert body_of(pool, get(server.url)) == b"body"
            assert len(server.peers) == 2

    def test_a_slow_network_is_no_silence(self) -> None:
        """The timeout is for a time without a byte, however large the piece that is sent."""

        def script(peer: Peer) -> None:
            peer.head()
            for _ in range(100):
                peer.read(64 << 10)
                time.sleep(0.01)
            peer.read(24 * MIB - 100 * (64 << 10))
            peer.send(OK)

        with serving(script) as server:
            request = Request(method="PUT", url=server.url, body=[bytes(24 * MIB)])
            began = time.monotonic()
            assert body_of(connections(request_timeout=0.5), request) == b"body"
            assert time.monotonic() - began > 1.0


class TestReading:
    @given(size=st.integers(0, 3 * MIB))
    def test_a_body_arrives_whole_in_pieces(self, size: int) -> None:
        """No piece is larger than 1 MiB."""
        data = bytes(size)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
        with serving(answering(head + data)) as server:
            pieces = list(connections().send(get(server.url)).chunks())
        assert b"".join(pieces) == data
        assert all(0 < len(piece) <= MIB for piece in pieces)

    def test_a_header_that_is_repeated_is_joined(self) -> None:
        """Google Cloud Storage may send its checksums one a line."""
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Hash: a=1\r\nx-hash: b=2\r\n\r\n"
        with serving(answering(answer)) as server:
            response = connections().send(get(server.url))
            response.read()
        assert response.headers["x-hash"] == "a=1, b=2"

    def test_a_chunked_body_arrives_whole(self) -> None:
        """Lists and refusals come in chunks from some servers."""
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"

        def script(peer: Peer) -> None:
            while peer.request()[0]:
                peer.send(chunked)

        with serving(script) as server:
            pool = connections()
            assert [body_of(pool, get(server.url)) for _ in range(2)] == [b"abc", b"abc"]
            assert len(server.peers) == 1

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"HTTP/1.1 200 OK\r\nContent-Le",
            b"no HTTP at all\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbody",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbo",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\nbody",
        ],
        ids=["nothing", "head", "garbage", "body", "chunk", "end", "length"],
    )
    def test_an_answer_that_breaks_off_is_trouble_that_may_pass(self, answer: bytes) -> None:
        """What arrived is not taken for the whole."""
        with serving(answering(answer)) as server:
            pool = connections()
            with pytest.raises(PassingError, match="127"):
                list(pool.send(get(server.url)).chunks())
            del pool

    def test_a_body_that_is_given_up_ends_the_connection(self) -> None:
        """Leaving early frees the server at once."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB)

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(head)
            while True:
                peer.send(bytes(MIB))

        with serving(script) as server:
            chunks = connections().send(get(server.url)).chunks()
            assert next(chunks)
            del chunks
            server.wait_until_closed(0)


class TestTrouble:
    def test_silence_is_trouble_after_the_timeout(self) -> None:
        """A server that says nothing is given up, in words that say so."""
        with serving(silent) as server:
            began = time.monotonic()
            with pytest.raises(PassingError, match="timed out"):
                connections(request_timeout=0.3).send(get(server.url))
            assert 0.3 <= time.monotonic() - began < 5

    def test_silence_on_a_kept_connection_is_waited_for_once(self) -> None:
        """It is not tried again behind the back of whoever counts the time."""

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(OK)
            peer.request()
            peer.request()

        with serving(script) as server:
            pool = connections(request_timeout=0.3)
            body_of(pool, get(server.url))
            with pytest.raises(PassingError, match="timed out"):
                pool.send(get(server.url))
            assert len(server.peers) == 1

    def test_silence_in_mid_answer_is_trouble(self) -> None:
        """Also after the head has come."""

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
            peer.request()

        with serving(script) as server:
            answer = connections(request_timeout=0.3).send(get(server.url))
            with pytest.raises(PassingError, match="timed out"):
                list(answer.chunks())

    def test_a_refused_connection_is_trouble_that_may_pass(self) -> None:
        """A server that restarts is away for a moment."""
        with socket.create_server(("127.0.0.1", 0)) as gone:
            url = f"http://127.0.0.1:{gone.getsockname()[1]}/"
        with pytest.raises(PassingError, match=r"no connection with 127\.0\.0\.1:\d+: Connection"):
            connections().send(get(url))

    def test_tls_to_a_server_without_it_is_refused(self) -> None:
        """Another attempt would find the same server."""
        with (
            serving(lambda peer: peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server,
            pytest.raises(StorageError, match="does not speak TLS") as raised,
        ):
            connections().send(get(server.url.replace("http:", "https:")))
        assert not isinstance(raised.value, PassingError)
        assert "http://" in (raised.value.hint or "")

    @pytest.mark.parametrize("content", [None, "no certificate\n"], ids=["absent", "garbage"])
    def test_certificates_that_cannot_be_read_are_named(
        self, tmp_path: Path, content: str | None
    ) -> None:
        """Before anything is sent."""
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_text(content)
        with pytest.raises(ConfigError, match=r"ca\.pem"):
            connections(ca_file=path).send(get("https://127.0.0.1:9/"))

    def test_certificates_are_not_needed_without_tls(self, tmp_path: Path) -> None:
        """A file that nobody reads may be missing."""
        with serving(faithful) as server:
            assert body_of(connections(ca_file=tmp_path / "none"), get(server.url)) == b"body"

    def test_certificates_are_read_once(self, tmp_path: Path) -> None:
        """The file may go while the process lives."""
        ca_file = make_certificate(tmp_path).ca_file
        pool = connections(ca_file=ca_file)
        with socket.create_server(("127.0.0.1", 0)) as gone:
            url = f"https://127.0.0.1:{gone.getsockname()[1]}/"
        with pytest.raises(PassingError):
            pool.send(get(url))
        ca_file.unlink()
        with pytest.raises(PassingError):
            pool.send(get(url))


@pytest.mark.parametrize(
    ("host", "excepted"),
    [
        ("store.example.com", True),
        ("example.com", True),
        ("notexample.com", False),
        ("store.example.com.evil.org", False),
        ("10.0.0.1", True),
        ("10.0.0.12", False),
    ],
)
def test_exceptions_name_hosts_and_domains(host: str, excepted: bool) -> None:
    """A domain stands for itself and for what is in it, and nothing else."""
    assert is_excepted(host, ("example.com", "10.0.0.1")) is excepted


def test_an_asterisk_excepts_every_host() -> None:
    """As other programs have it."""
    assert is_excepted("any.host", ("*",))
    assert not is_excepted("any.host", ())
