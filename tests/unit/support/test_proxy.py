"""The faulty network: each fault does to a real connection what its name says, and no more."""

import http.client
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.faults import (
    Answer,
    Corrupt,
    Delay,
    Drop,
    Fault,
    Schedule,
    SeenRequest,
    StripHeader,
    Throttle,
    Truncate,
    always,
    at_most,
    every,
    first,
    never,
    only,
)
from tests.support.proxy import FaultProxy

CONTENT = bytes(range(256)) * 4096
RESET = (ConnectionResetError, BrokenPipeError)


class Upstream(ThreadingHTTPServer):
    """Gives CONTENT for every path, `/chunked` in chunks, and remembers what was put."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[tuple[str, bytes]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that breaks is what these tests are about."""


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with keep-alive."""

    server: Upstream
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the content."""
        self.server.headers.append(dict(self.headers))
        self.send_response(200)
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(CONTENT), 100_000):
                piece = CONTENT[start : start + 100_000]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(CONTENT)

    def do_HEAD(self) -> None:
        """Answer with the head of do_GET."""
        self.do_GET()

    def do_PUT(self) -> None:
        """Remember the body."""
        self.server.headers.append(dict(self.headers))
        body = self._chunks() if self.headers["Transfer-Encoding"] else self._counted()
        self.server.received.append((self.path, body))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _counted(self) -> bytes:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionResetError
        return body

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A server that works."""
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(upstream: Upstream) -> Iterator[FaultProxy]:
    """A proxy without faults yet."""
    with FaultProxy(upstream.url) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[http.client.HTTPConnection]:
    """A connection to the proxy, which is opened again when it has ended."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    yield connection
    connection.close()


def _get(client: http.client.HTTPConnection, path: str = "/") -> bytes:
    client.request("GET", path)
    return client.getresponse().read()


def _put(client: http.client.HTTPConnection, body: bytes = CONTENT, **headers: str) -> int:
    client.request("PUT", "/object", body=body, headers=headers)
    answer = client.getresponse()
    answer.read()
    return answer.status


def _status(client: http.client.HTTPConnection) -> int:
    client.request("GET", "/")
    answer = client.getresponse()
    answer.read()
    return answer.status


# --- without faults ---


@pytest.mark.parametrize("path", ["/", "/chunked"])
def test_answers_arrive_as_they_were_sent(client: http.client.HTTPConnection, path: str) -> None:
    """Bodies of stated length and bodies in chunks pass whole, many on a connection."""
    assert [_get(client, path) for _ in range(3)] == [CONTENT] * 3


def test_requests_arrive_as_they_were_sent(
    client: http.client.HTTPConnection, upstream: Upstream
) -> None:
    """So do the bodies of requests, and Host is the one the client has signed."""
    client.request("PUT", "/a?b=c", body=iter([b"one", b"two"]), encode_chunked=True)
    assert client.getresponse().read() == b""
    assert _put(client) == 201
    assert upstream.received == [("/a?b=c", b"onetwo"), ("/object", CONTENT)]
    assert upstream.headers[1]["Host"] == f"127.0.0.1:{client.port}"


def test_an_answer_to_head_has_no_body(client: http.client.HTTPConnection) -> None:
    """Its Content-Length is not waited for, and the connection goes on."""
    client.request("HEAD", "/")
    answer = client.getresponse()
    assert (answer.read(), answer.headers["Content-Length"]) == (b"", str(len(CONTENT)))
    assert _get(client) == CONTENT


def test_a_client_that_waits_for_100_continue_gets_it(
    client: http.client.HTTPConnection, proxy: FaultProxy, upstream: Upstream
) -> None:
    """The body follows only after the interim answer, and one final answer comes."""
    client.putrequest("PUT", "/object")
    client.putheader("Content-Length", "4")
    client.putheader("Expect", "100-continue")
    client.endheaders()
    assert client.sock is not None
    assert client.sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"body")
    assert client.getresponse().status == 201
    assert upstream.received == [("/object", b"body")]


def test_every_request_is_on_record(client: http.client.HTTPConnection, proxy: FaultProxy) -> None:
    """Requests are numbered across connections, with path, query and headers."""
    _get(client, "/one?x=1")
    client.close()
    _put(client, b"", Colour="blue")
    assert [(seen.number, seen.method, seen.path) for seen in proxy.requests] == [
        (0, "GET", "/one?x=1"),
        (1, "PUT", "/object"),
    ]
    assert proxy.requests[1].headers["colour"] == "blue"


def test_the_proxy_costs_little_time(client: http.client.HTTPConnection) -> None:
    """No request waits for a delayed acknowledgement, which would be 40 ms each."""
    _put(client, b"x")
    started = time.monotonic()
    for _ in range(50):
        _put(client, b"x")
    assert time.monotonic() - started < 1


# --- faults ---


def test_answer_stands_in_for_the_server(
    client: http.client.HTTPConnection, proxy: FaultProxy, upstream: Upstream
) -> None:
    """The client gets status, headers and body; the server sees nothing; the connection lives."""
    slow_down = Answer(status=503, body=b"<Error/>", headers={"Retry-After": "1"})
    proxy.schedule = first(1, slow_down)
    client.request("PUT", "/object", body=CONTENT)
    answer = client.getresponse()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert answer.read() == b"<Error/>"
    connected = client.sock
    assert _put(client) == 201
    assert client.sock is connected
    assert len(upstream.received) == 1


def test_an_early_answer_does_not_wait_for_the_body(
    client: http.client.HTTPConnection, proxy: FaultProxy
) -> None:
    """The answer is there before the client has sent what it announced."""
    proxy.schedule = always(Answer(status=413, read_body=False))
    client.putrequest("PUT", "/object")
    client.putheader("Content-Length", "1000000")
    client.endheaders()
    assert client.getresponse().status == 413


def test_a_request_dropped_on_its_way_never_reaches_the_server_whole(
    client: http.client.HTTPConnection, proxy: FaultProxy, upstream: Upstream
) -> None:
    """The client sees a reset and the server an incomplete body."""
    proxy.schedule = always(Drop(after_request_bytes=1000))
    with pytest.raises(RESET):
        _put(client)
    assert (upstream.received, len(proxy.requests)) == ([], 1)


@pytest.mark.parametrize("path", ["/", "/chunked"])
def test_an_answer_dropped_on_its_way_ends_in_a_reset(
    client: http.client.HTTPConnection, proxy: FaultProxy, path: str
) -> None:
    """The head and some of the body arrive."""
    proxy.schedule = always(Drop(after_response_bytes=300_000))
    client.request("GET", path)
    answer = client.getresponse()
    assert answer.status == 200
    with pytest.raises(ConnectionResetError):
        answer.read()


def test_a_bare_drop_leaves_the_client_in_doubt(
    client: http.client.HTTPConnection, proxy: FaultProxy, upstream: Upstream
) -> None:
    """The server has done what it was asked for; the client knows only of a reset."""
    proxy.schedule = first(1, Drop())
    with pytest.raises(RESET):
        _put(client)
    assert upstream.received == [("/object", CONTENT)]
    client.close()
    assert _put(client) == 201


@pytest.mark.parametrize("path", ["/", "/chunked"])
def test_a_truncated_answer_ends_without_an_error_of_the_network(
    client: http.client.HTTPConnection, proxy: FaultProxy, path: str
) -> None:
    """Exactly so many bytes arrive, then the connection ends in good order."""
    proxy.schedule = always(Truncate(after_response_bytes=300_001))
    client.request("GET", path)
    with pytest.raises(http.client.IncompleteRead) as caught:
        client.getresponse().read()
    assert len(caught.value.partial) == 300_001 or path == "/chunked"


@pytest.mark.parametrize("path", ["/", "/chunked"])
@pytest.mark.parametrize("offset", [0, 300_000, len(CONTENT) - 1])
def test_one_byte_of_an_answer_is_corrupted(
    client: http.client.HTTPConnection, proxy: FaultProxy, path: str, offset: int
) -> None:
    """The byte at the offset differs, and none else."""
    proxy.schedule = first(1, Corrupt(response_offset=offset))
    harmed = _get(client, path)
    assert _differences(harmed, CONTENT) == [offset]
    assert _get(client, path) == CONTENT


def test_one_byte_of_a_request_is_corrupted(
    client: http.client.HTTPConnection, proxy: FaultProxy, upstream: Upstream
) -> None:
    """The server gets the wrong byte, as from bad memory on the way."""
    proxy.schedule = always(Corrupt(request_offset=500_000))
    assert _put(client) == 201
    assert _differences(upstream.received[0][1], CONTENT) == [500_000]


def _differences(one: bytes, other: bytes) -> list[int]:
    assert len(one) == len(other)
    return [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]


def test_a_delayed_answer_comes_late(client: http.client.HTTPConnection, proxy: FaultProxy) -> None:
    """It is whole, and not before its time."""
    proxy.schedule = always(Delay(seconds=0.3))
    started = time.monotonic()
    assert _get(client) == CONTENT
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("ask", [_get, _put])
def test_throttled_bodies_take_their_time(
    client: http.client.HTTPConnection, proxy: FaultProxy, ask: object
) -> None:
    """A body of 1 MiB at 4 MiB/s takes a quarter of a second in either direction."""
    proxy.schedule = always(Throttle(bytes_per_second=4 * len(CONTENT)))
    started = time.monotonic()
    assert callable(ask)
    ask(client)
    assert 0.25 <= time.monotonic() - started < 5


def test_a_stripped_header_does_not_reach_the_server(
    client: http.client.HTTPConnection, proxy: FaultProxy, upstream: Upstream
) -> None:
    """The others do; the record has all of them."""
    proxy.schedule = always(StripHeader(name="If-None-Match"))
    _put(client, b"", **{"If-None-Match": "*", "Colour": "blue"})
    assert "If-None-Match" not in upstream.headers[0]
    assert upstream.headers[0]["Colour"] == "blue"
    assert proxy.requests[0].headers["if-none-match"] == "*"


# --- the network as a whole ---


def test_a_paused_network_resets_and_refuses(
    client: http.client.HTTPConnection, proxy: FaultProxy
) -> None:
    """An open connection breaks and a new one is refused, until the network is back."""
    _get(client)
    proxy.pause()
    with pytest.raises((http.client.RemoteDisconnected, *RESET)):
        _get(client)
    client.close()
    with pytest.raises(ConnectionRefusedError):
        _get(client)
    client.close()
    proxy.resume()
    assert _get(client) == CONTENT


def test_a_pause_ends_what_is_under_way(
    client: http.client.HTTPConnection, proxy: FaultProxy
) -> None:
    """A client that waits for a slow answer learns at once that the network is gone."""
    proxy.schedule = always(Delay(seconds=60))
    client.request("GET", "/")
    timer = threading.Timer(0.2, proxy.pause)
    timer.start()
    with pytest.raises((http.client.RemoteDisconnected, *RESET)):
        client.getresponse()
    timer.join()


def test_a_server_that_is_not_there_is_a_broken_connection() -> None:
    """The proxy makes up no answer of its own."""
    with FaultProxy("http://127.0.0.1:1") as proxy:
        client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
        with pytest.raises((http.client.RemoteDisconnected, *RESET)):
            _get(client)
        client.close()


# --- schedules ---


@pytest.mark.parametrize(
    ("schedule", "harmed"),
    [
        (never, []),
        (always(Drop()), [0, 1, 2, 3, 4, 5]),
        (first(2, Drop()), [0, 1]),
        (every(3, Drop()), [2, 5]),
        (only(lambda request: request.method == "PUT", Drop()), [1, 3, 5]),
        (at_most(2, only(lambda request: request.method == "PUT", Drop())), [1, 3]),
    ],
)
def test_schedules_choose_requests(schedule: Schedule, harmed: list[int]) -> None:
    """Each names the requests it harms, of six that are GET and PUT in turn."""
    requests = [
        SeenRequest(number=n, method=("GET", "PUT")[n % 2], path="/", headers={}) for n in range(6)
    ]
    faults: list[Fault | None] = [schedule(request) for request in requests]
    assert [n for n, fault in enumerate(faults) if fault == Drop()] == harmed


def test_a_schedule_may_change_while_the_proxy_runs(
    client: http.client.HTTPConnection, proxy: FaultProxy
) -> None:
    """It holds from the next request on."""
    statuses = [_status(client)]
    proxy.schedule = always(Answer(status=429))
    statuses.append(_status(client))
    proxy.schedule = never
    statuses.append(_status(client))
    assert statuses == [200, 429, 200]
