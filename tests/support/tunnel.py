"""A proxy as companies have them: it opens tunnels on CONNECT, to whoever knows its password."""

import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

USER, PASSWORD = "backup", "s3cret/@"


@dataclass(kw_only=True)
class Tunnel:
    """A running proxy; `opened` lists the addresses that it was asked for and let through."""

    port: int
    opened: list[str] = field(default_factory=list)


@contextmanager
def tunnel() -> Iterator[Tunnel]:
    """Run a proxy on loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = Tunnel(port=listener.getsockname()[1])
    threading.Thread(target=_accept, args=(listener, proxy), daemon=True).start()
    try:
        yield proxy
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _accept(listener: socket.socket, proxy: Tunnel) -> None:
    with suppress(OSError):
        while True:
            client = listener.accept()[0]
            threading.Thread(target=_serve, args=(client, proxy), daemon=True).start()


def _serve(client: socket.socket, proxy: Tunnel) -> None:
    head = b""
    with client:
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        token = b64encode(f"{USER}:{PASSWORD}".encode())
        if b"Basic " + token not in head:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        address = head.split()[1].decode()
        proxy.opened.append(address)
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port))) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
            back.start()
            _pass_on(client, server)
            back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
