"""A faulty network in front of a real server: an HTTP/1.1 proxy that does harm by schedule.

It knows where requests and answers begin and end, so that a fault can be aimed at the third
request, or at byte 100,000 of an answer, on connections that carry many. What it is not told to
harm it passes on as it came, Host included: signatures cover it. Plain HTTP on both sides.
"""

import socket
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

from tests.support.faults import Fault, Schedule, SeenRequest, never
from tests.support.http_wire import Head
from tests.support.proxy_connection import Connection

SECONDS_TO_END = 0.5


class FaultProxy:
    """Forwards from `url` to one upstream while `with` lasts, harmed by `schedule`.

    The schedule may be replaced at any time; it holds for requests that arrive from then on.
    """

    def __init__(self, upstream: str, schedule: Schedule = never, *, port: int = 0) -> None:
        """Listen at once; `upstream` is `http://HOST:PORT`, and port 0 any free one."""
        parts = urlsplit(upstream)
        if parts.scheme != "http" or parts.hostname is None or parts.port is None:
            raise ValueError(f"upstream {upstream} is not http://HOST:PORT")
        self.schedule = schedule
        self._upstream = (parts.hostname, parts.port)
        self._lock = threading.Lock()
        self._requests: list[SeenRequest] = []
        self._connections: dict[threading.Thread, Connection] = {}
        self._acceptor: threading.Thread | None = None
        self._listener = _listen(port)
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        """Where clients reach the upstream through this proxy."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[SeenRequest]:
        """Every request seen so far, in the order of arrival."""
        with self._lock:
            return list(self._requests)

    def __enter__(self) -> Self:
        self._accept_in_background()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.pause()

    def pause(self) -> None:
        """Unplug the network: connections are reset and new ones refused."""
        if self._acceptor is None:
            return
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() does not
        self._acceptor.join()
        self._acceptor = None
        self._listener.close()
        with self._lock:
            connections = dict(self._connections)
        for connection in connections.values():
            connection.abort(socket.SHUT_RD)
        for thread, connection in connections.items():
            thread.join(SECONDS_TO_END)
            connection.abort(socket.SHUT_RDWR)  # it may wait for a client that does not read
            thread.join()

    def resume(self) -> None:
        """Plug the network in again, on the same port."""
        if self._acceptor is None:
            self._listener = _listen(self.port)
            self._accept_in_background()

    def _accept_in_background(self) -> None:
        self._acceptor = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._acceptor.start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                self._serve(listener.accept()[0])

    def _serve(self, client: socket.socket) -> None:
        connection = Connection(client, self._upstream, self._decide)
        thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
        with self._lock:
            self._connections[thread] = connection
        thread.start()

    def _run(self, connection: Connection) -> None:
        try:
            connection.run()
        finally:
            with self._lock:
                del self._connections[threading.current_thread()]

    def _decide(self, head: Head) -> Fault | None:
        method, path = head.target
        with self._lock:
            number = len(self._requests)
            seen = SeenRequest(number=number, method=method, path=path, headers=head.headers)
            self._requests.append(seen)
            return self.schedule(seen)


def _listen(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), backlog=128)
