"""An HTTP server that does what a test's script says, byte by byte or answer by answer.

For what a real server cannot be brought to: to end a connection at a given byte, to answer as a
region far away would. Every connection runs the script in a thread of its own.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.support.faults import Answer


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it arrived; `path` with its query, header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Peer:
    """The server's end of one connection; `number` counts connections from 0."""

    def __init__(self, connection: socket.socket, number: int) -> None:
        self.socket = connection
        self.number = number
        self._stream = connection.makefile("rb")

    def head(self) -> list[str]:
        """The lines of the next request's head, none at the end of the connection."""
        lines = []
        while (line := self._stream.readline().decode("latin-1").strip()) != "":
            lines.append(line)
        return lines

    def request(self) -> tuple[list[str], bytes]:
        """The next request with its body, which has the length that its head says."""
        lines = self.head()
        lengths = [line for line in lines if line.lower().startswith("content-length:")]
        size = int(lengths[0].partition(":")[2]) if lengths else 0
        return lines, self.read(size)

    def read(self, size: int) -> bytes:
        """So many bytes of a body."""
        return self._stream.read(size)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def close(self) -> None:
        """End the connection."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self._stream.close()
        self.socket.close()


Script = Callable[[Peer], None]


@dataclass(kw_only=True)
class Server:
    """A running server: every connection runs the script and is closed then."""

    url: str
    peers: list[Peer] = field(default_factory=list)

    def wait_until_closed(self, number: int) -> None:
        """Wait until the server has ended a connection and the client can have heard of it."""
        deadline = time.monotonic() + 10
        while self.peers[number].socket.fileno() >= 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.05)


@contextmanager
def serving(script: Script) -> Iterator[Server]:
    """Run a server on loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(url=f"http://127.0.0.1:{listener.getsockname()[1]}/")

    def run(peer: Peer) -> None:
        with suppress(OSError, ValueError):
            script(peer)
        peer.close()

    def accept() -> None:
        with suppress(OSError):
            while True:
                peer = Peer(listener.accept()[0], len(server.peers))
                server.peers.append(peer)
                threads.append(threading.Thread(target=run, args=(peer,)))
                threads[-1].start()

    threads: list[threading.Thread] = []
    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join()
        listener.close()
        for peer in server.peers:
            with suppress(OSError):
                peer.socket.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def replying(reply: Callable[[Asked], Answer]) -> Script:
    """Answer each request whole, on connections that are kept."""

    def script(peer: Peer) -> None:
        while (asked := _asked(*peer.request())) is not None:
            peer.send(_answer_bytes(reply(asked), asked.method))

    return script


def _asked(lines: list[str], body: bytes) -> Asked | None:
    if not lines:
        return None
    method, path, _version = lines[0].split(" ")
    pairs = (line.partition(":") for line in lines[1:])
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return Asked(method=method, path=path, headers=headers, body=body)


def _answer_bytes(answer: Answer, method: str) -> bytes:
    headers = {"Content-Length": str(len(answer.body)), **answer.headers}
    lines = [f"HTTP/1.1 {answer.status} As-Told", *(f"{k}: {v}" for k, v in headers.items())]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head if method == "HEAD" else head + answer.body
