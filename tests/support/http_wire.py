"""HTTP/1.1 messages as bytes on a connection: where a head ends, and how long a body is.

The standard library's parsers give a message's meaning but not its bytes; a proxy has to pass on
the bytes. RFC 9112, sections 2 (messages), 6 (bodies) and 7.1 (chunks).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from io import BufferedReader

BLOCK = 256 * 1024
BODILESS_STATUSES = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)

Blocks = Iterator[bytes]


@dataclass(frozen=True, kw_only=True)
class Head:
    """A request's or an answer's first line and header fields, as they arrived."""

    lines: tuple[bytes, ...]

    @property
    def headers(self) -> dict[str, str]:
        """The fields by lower-case name; of a repeated field the last one."""
        pairs = (line.decode("latin-1").partition(":") for line in self.lines[1:])
        return {name.strip().lower(): value.strip() for name, _, value in pairs}

    @property
    def target(self) -> tuple[str, str]:
        """A request's method and path."""
        method, path, _version = self.lines[0].decode("latin-1").split(" ")
        return method, path

    @property
    def status(self) -> int:
        """An answer's status."""
        return int(self.lines[0].split(b" ")[1])

    @property
    def chunked(self) -> bool:
        """True when the body comes in chunks."""
        return self.headers.get("transfer-encoding", "").lower() == "chunked"

    @property
    def length(self) -> int | None:
        """The body's length in bytes, if the head says it."""
        stated = self.headers.get("content-length")
        return None if stated is None else int(stated)

    @property
    def waits(self) -> bool:
        """True when the client sends the body only after a 100 Continue."""
        return self.headers.get("expect", "").lower() == "100-continue"

    @property
    def last(self) -> bool:
        """True when the sender ends the connection after this message."""
        old = b"HTTP/1.0" in self.lines[0]
        return old or self.headers.get("connection", "").lower() == "close"

    def without(self, name: str) -> "Head":
        """Return the head without a field."""
        prefix = f"{name.lower()}:".encode()
        kept = [line for line in self.lines[1:] if not line.lower().startswith(prefix)]
        return Head(lines=(self.lines[0], *kept))

    def encode(self) -> bytes:
        """Return the bytes of the head and the empty line after it."""
        return b"\r\n".join([*self.lines, b"", b""])


def read_head(stream: BufferedReader) -> Head | None:
    """Read a head; None when the connection ends in its place, EOFError when it ends inside."""
    lines: list[bytes] = []
    while line := stream.readline():
        if line in (b"\r\n", b"\n"):
            return Head(lines=tuple(lines))
        lines.append(line.rstrip(b"\r\n"))
    if lines:
        raise EOFError("the connection ended inside a head")
    return None


def request_body(stream: BufferedReader, head: Head) -> Blocks:
    """Read a request's body, without the marks of its chunks; EOFError when it ends early."""
    return _chunks(stream) if head.chunked else _exactly(stream, head.length or 0)


def answer_body(stream: BufferedReader, head: Head, *, method: str) -> Blocks:
    """Read the body of the answer to a `method` request, as request_body() does."""
    if method == "HEAD" or head.status in BODILESS_STATUSES:
        return iter(())
    if head.chunked:
        return _chunks(stream)
    if head.length is None:
        return iter(lambda: stream.read1(BLOCK), b"")
    return _exactly(stream, head.length)


def ends_with_connection(head: Head, *, method: str) -> bool:
    """True for an answer after which its connection cannot be used again."""
    bodiless = method == "HEAD" or head.status in BODILESS_STATUSES
    return head.last or not (bodiless or head.chunked or head.length is not None)


def framed(blocks: Blocks, head: Head) -> Blocks:
    """Return what goes over the wire for a body, as its head announces it; no block is empty."""
    return _in_chunks(blocks) if head.chunked else blocks


def _in_chunks(blocks: Blocks) -> Blocks:
    for block in blocks:
        yield b"%x\r\n%b\r\n" % (len(block), block)
    yield b"0\r\n\r\n"


def _exactly(stream: BufferedReader, length: int) -> Blocks:
    while length:
        block = stream.read1(min(length, BLOCK))
        if not block:
            raise EOFError(f"the connection ended {length} bytes before the body did")
        length -= len(block)
        yield block


def _chunks(stream: BufferedReader) -> Blocks:
    """Read chunks and the trailer fields after them, which are passed over."""
    while size := _chunk_size(stream):
        yield from _exactly(stream, size)
        stream.readline()
    while stream.readline() not in (b"\r\n", b""):
        pass


def _chunk_size(stream: BufferedReader) -> int:
    line = stream.readline()
    if not line:
        raise EOFError("the connection ended before the last chunk")
    return int(line.partition(b";")[0], 16)
