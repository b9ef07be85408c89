"""Passes TCP connections on, as they are or late: the kernel here cannot delay packets itself.

A delay holds back every piece of data for its time without holding up what follows, as distance
does: `delay=0.025` on both ways is a round trip of 50 ms, whatever the bandwidth.
"""

import queue
import socket
import threading
import time
from contextlib import suppress
from typing import Self

Address = tuple[str, int]
_CHUNK = 1 << 16


class Forwarder:
    """Listens at `at` (port 0: any free one) while `with` lasts, and passes on to `to`."""

    def __init__(self, *, at: Address, to: Address, delay: float = 0) -> None:
        self._to = to
        self._delay = delay
        self._wires: list[socket.socket] = []
        self._listener = socket.create_server(at, backlog=128)
        self.address: Address = self._listener.getsockname()[:2]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for wire in self._wires:
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
            wire.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                self._wires.append(near)
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._to)
        except OSError:
            near.close()
            return
        self._wires.append(far)
        with suppress(OSError):  # either may be closed already
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, target in ((near, far), (far, near)):
            on_the_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
            threading.Thread(target=self._read, args=(source, on_the_way), daemon=True).start()
            threading.Thread(target=_write, args=(target, on_the_way), daemon=True).start()

    def _read(self, source: socket.socket, way: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        data = b"something"
        while data:
            try:
                data = source.recv(_CHUNK)
            except OSError:
                data = b""
            way.put((time.monotonic() + self._delay, data))


def _write(target: socket.socket, way: queue.SimpleQueue[tuple[float, bytes]]) -> None:
    with suppress(OSError):
        while True:
            due, data = way.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(data)
