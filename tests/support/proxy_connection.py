"""One connection through the faulty proxy: it passes requests and answers, and harms them.

Everything on a connection happens in one thread and in turn, as HTTP/1.1 has it, so a fault needs
no coordination. abort() alone is called from outside.
"""

import select
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from io import BufferedReader
from itertools import chain
from typing import cast

from tests.support.faults import (
    Answer,
    Corrupt,
    Delay,
    Drop,
    Fault,
    StripHeader,
    Throttle,
    Truncate,
)
from tests.support.http_wire import (
    BLOCK,
    Blocks,
    Head,
    answer_body,
    ends_with_connection,
    framed,
    read_head,
    request_body,
)

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of no time: close() sends RST
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
SECONDS_TO_HEAR_AN_EARLY_ANSWER = 0.2
BLOCKS_PER_SECOND = 50


class ResetError(Exception):
    """The connection is to end by a reset."""


class FinishError(Exception):
    """The connection is to end in good order."""


class Connection:
    """One client's connection and the one to the server that belongs to it."""

    def __init__(
        self,
        client: socket.socket,
        upstream: tuple[str, int],
        decide: Callable[[Head], Fault | None],
    ) -> None:
        self._client = _Side(client)
        self._server: _Side | None = None
        self._upstream = upstream
        self._decide = decide
        self._aborted = threading.Event()

    def run(self) -> None:
        """Serve requests until a fault, either side or abort() ends the connection."""
        try:
            with suppress(FinishError):
                while self._another() and self._exchange():
                    pass
        except (ResetError, OSError, EOFError):
            for side in self._sides():
                side.reset_on_close()
        finally:
            for side in self._sides():
                side.close()

    def abort(self, how: int) -> None:
        """Make run() end with a reset: what waits in a socket is woken by shutting it down."""
        self._aborted.set()
        for side in self._sides():
            side.abort(how)

    def _sides(self) -> list["_Side"]:
        return [side for side in (self._client, self._server) if side is not None]

    def _another(self) -> bool:
        """Wait for a request; False when the server ends the idle connection."""
        ready, _, _ = select.select([side.socket for side in self._sides()], [], [])
        return self._client.socket in ready

    def _exchange(self) -> bool:
        """Pass one request and its answer; return whether another may follow."""
        request = read_head(self._client.stream)
        if request is None:
            return False
        fault = self._decide(request)
        early = isinstance(fault, Answer) and not fault.read_body
        if request.waits and not early:
            self._client.send(CONTINUE)
        if isinstance(fault, Answer):
            return self._answer(request, fault)
        server = self._connected()
        whole = self._pass_request(request, fault, server)
        reusable = self._pass_answer(request, fault, server)
        if not whole:
            self._hang_up()
        return whole and reusable and not request.last

    def _answer(self, request: Head, answer: Answer) -> bool:
        """Answer in the server's place, before the request's body is there or after."""
        if answer.read_body:
            _drain(request_body(self._client.stream, request))
        self._client.send(_answer_bytes(answer, method=request.target[0]))
        if not answer.read_body:
            self._hang_up()
        return answer.read_body and not request.last

    def _hang_up(self) -> None:
        """Let a client that still sends hear the answer before the reset that must follow."""
        self._client.socket.shutdown(socket.SHUT_WR)
        self._aborted.wait(SECONDS_TO_HEAR_AN_EARLY_ANSWER)

    def _connected(self) -> "_Side":
        if self._server is None:
            self._server = _Side(socket.create_connection(self._upstream))
        if self._aborted.is_set():
            raise ResetError
        return self._server

    def _pass_request(self, request: Head, fault: Fault | None, server: "_Side") -> bool:
        """Pass a request; False when the server stops listening, having answered early."""
        body = self._harm_request(request_body(self._client.stream, request), fault)
        head = request.without(fault.name) if isinstance(fault, StripHeader) else request
        return all(map(server.takes, chain([head.encode()], framed(body, head))))

    def _pass_answer(self, request: Head, fault: Fault | None, server: "_Side") -> bool:
        method, _path = request.target
        answer = _final_head(server.stream)
        body = answer_body(server.stream, answer, method=method)
        if fault == Drop():
            _drain(body)
            raise ResetError
        if isinstance(fault, Delay):
            self._sleep(fault.seconds)
        self._client.send(answer.encode())
        if method != "HEAD":
            for block in framed(self._harm_answer(body, fault), answer):
                self._client.send(block)
        return not ends_with_connection(answer, method=method)

    def _harm_request(self, body: Blocks, fault: Fault | None) -> Blocks:
        match fault:
            case Drop(after_request_bytes=int(limit)):
                return _cut(body, limit, ResetError())
            case Corrupt(request_offset=int(offset)):
                return _corrupted(body, offset)
            case Throttle(bytes_per_second=rate):
                return self._throttled(body, rate)
        return body

    def _harm_answer(self, body: Blocks, fault: Fault | None) -> Blocks:
        match fault:
            case Drop(after_response_bytes=int(limit)):
                return _cut(body, limit, ResetError())
            case Truncate(after_response_bytes=limit):
                return _cut(body, limit, FinishError())
            case Corrupt(response_offset=int(offset)):
                return _corrupted(body, offset)
            case Throttle(bytes_per_second=rate):
                return self._throttled(body, rate)
        return body

    def _throttled(self, body: Blocks, rate: int) -> Blocks:
        piece = max(1, rate // BLOCKS_PER_SECOND)
        for block in body:
            for start in range(0, len(block), piece):
                self._sleep(min(piece, len(block) - start) / rate)
                yield block[start : start + piece]

    def _sleep(self, seconds: float) -> None:
        if self._aborted.wait(seconds):
            raise ResetError


class _Side:
    """A socket, the buffered bytes that came from it, and how it ends."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connected
        self.stream = cast(BufferedReader, connected.makefile("rb", BLOCK))

    def send(self, data: bytes) -> None:
        """Send everything."""
        self.socket.sendall(data)

    def takes(self, data: bytes) -> bool:
        """Send everything; False when the other end is gone."""
        try:
            self.send(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def reset_on_close(self) -> None:
        """Make close() send RST instead of FIN."""
        with suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def abort(self, how: int) -> None:
        """Wake whoever waits in the socket, and end it by a reset."""
        self.reset_on_close()
        with suppress(OSError):
            self.socket.shutdown(how)

    def close(self) -> None:
        """Close the socket."""
        self.stream.close()
        self.socket.close()


def _cut(body: Blocks, limit: int, end: Exception) -> Blocks:
    """Pass `limit` bytes, or all when there are fewer, and raise."""
    while limit > 0 and (block := next(body, b"")):
        yield block[:limit]
        limit -= len(block)
    raise end


def _corrupted(body: Blocks, offset: int) -> Blocks:
    for block in body:
        if 0 <= offset < len(block):
            flipped = bytes([block[offset] ^ 0xFF])
            yield block[:offset] + flipped + block[offset + 1 :]
        else:
            yield block
        offset -= len(block)


def _drain(body: Blocks) -> None:
    for _block in body:
        pass


def _final_head(stream: BufferedReader) -> Head:
    """Read an answer's head; the 1xx ones before it were for the proxy."""
    while (head := read_head(stream)) is not None:
        if head.status >= HTTPStatus.OK:
            return head
    raise EOFError("the server ended the connection before it answered")


def _answer_bytes(answer: Answer, *, method: str) -> bytes:
    fields = {"Content-Length": str(len(answer.body)), **answer.headers}
    if not answer.read_body:
        fields["Connection"] = "close"
    first = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"
    lines = [first, *(f"{name}: {value}" for name, value in fields.items())]
    head = Head(lines=tuple(line.encode("latin-1") for line in lines))
    return head.encode() + (b"" if method == "HEAD" else answer.body)
