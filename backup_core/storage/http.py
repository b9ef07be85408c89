"""HTTP connections that are kept, and what went wrong with them in two classes.

The standard library's client and no other, because PostgreSQL starts a process a WAL segment and
this costs it a third of what urllib3 does (docs/decisions/object-store-clients.md). It does not
interpret answers: a status is for the store to judge. What it does judge is the transport: a
connection that breaks, or says nothing, is a PassingError; a name that does not exist or a
certificate that does not fit is a StorageError.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import threading
import weakref
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from backup_core.errors import ConfigError, StorageError
from backup_core.storage.retry import PassingError

CHUNK_SIZE = 1 << 20
_PIECE = 256 << 10
_SMALL = 16 << 20
_REPEATABLE = ("GET", "HEAD")
_Origin = tuple[str, str, int]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request; `url` is absolute and quoted, `body` is sent again as it is on a retry."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Sequence[bytes] = ()

    @property
    def size(self) -> int:
        """The body's length in bytes."""
        return sum(map(len, self.body))


class Response:
    """An answer whose body is still to be read; reading it to its end frees the connection."""

    def __init__(
        self, raw: http.client.HTTPResponse, connection: _Connection, pool: Connections
    ) -> None:
        self.status = raw.status
        self.headers: Mapping[str, str] = {
            name.lower(): ", ".join(raw.headers.get_all(name, ())) for name in raw.headers
        }
        self._raw = raw
        self._connection = connection
        self._pool = pool
        self._released = False

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in pieces of at most 1 MiB; raises PassingError if it breaks off."""
        whole = False
        try:
            while piece := self._read(CHUNK_SIZE):
                yield piece
            whole = self._has_ended()
            if not whole:
                raise PassingError(f"{self._connection.host} broke off in the middle of an answer")
        finally:
            self._release(whole=whole)

    def read(self) -> bytes:
        """Return a small body whole; what is over 16 MiB is not one of ours and is cut off."""
        data = bytearray()
        for piece in self.chunks():
            data += piece
            if len(data) > _SMALL:
                break
        return bytes(data)

    def close(self) -> None:
        """Give the body up, and the connection with it unless nothing is left to be read."""
        self._release(whole=self._raw.isclosed() or self._raw.length == 0)

    def _release(self, *, whole: bool) -> None:
        """Part from the connection, once: after that it may be another thread's."""
        if not self._released:
            self._released = True
            self._raw.close()
            self._pool.give_back(self._connection, usable=whole)

    def _has_ended(self) -> bool:
        """Tell whether the body ended where the head said; a success without a length has not."""
        if self._raw.length is None:
            return self._raw.chunked or self.status >= 300
        return self._raw.length == 0

    def _read(self, size: int) -> bytes:
        try:
            return self._raw.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise _trouble(error, self._connection.host) from None


@dataclass(kw_only=True)
class _Connection:
    origin: _Origin
    client: http.client.HTTPConnection
    used: bool = False

    @property
    def host(self) -> str:
        return f"{self.origin[1]}:{self.origin[2]}"

    def is_open(self) -> bool:
        """Tell whether the server has kept its end: one that is idle sends nothing but the end."""
        if self.client.sock is None:
            return False
        poll = select.poll()
        poll.register(self.client.sock, select.POLLIN)
        return not poll.poll(0)


class Connections:
    """Keeps idle connections by origin for the threads of one process."""

    def __init__(
        self,
        *,
        connect_timeout: float,
        request_timeout: float,
        idle: int,
        ca_file: Path | None = None,
        proxy: str | None = None,
        no_proxy: tuple[str, ...] = (),
    ) -> None:
        self._connect_timeout = connect_timeout
        self._request_timeout = request_timeout
        self._idle = idle
        self._ca_file = ca_file
        self._proxy = proxy
        self._no_proxy = no_proxy
        self._free: dict[_Origin, list[_Connection]] = {}
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None
        weakref.finalize(self, _close_all, self._free)

    def send(self, request: Request) -> Response:
        """Send one request and return the answer's head.

        Raises PassingError when the connection breaks or is silent for too long, StorageError when
        the host cannot be the right one. That a server has closed a connection which was kept is no
        trouble: another is opened.
        """
        connection = self._take(_origin(request.url))
        while True:
            try:
                return self._exchange(connection, request)
            except PassingError as error:
                connection.client.close()
                silent = isinstance(error.__context__, TimeoutError)
                if silent or not connection.used or request.method not in _REPEATABLE:
                    raise
                connection = self._open(connection.origin)
            except BaseException:
                connection.client.close()
                raise

    def give_back(self, connection: _Connection, *, usable: bool) -> None:
        """Keep a connection whose answer was read whole, close any other."""
        with self._lock:
            free = self._free.setdefault(connection.origin, [])
            if usable and connection.client.sock and len(free) < self._idle:
                connection.used = True
                free.append(connection)
                return
        connection.client.close()

    def _take(self, origin: _Origin) -> _Connection:
        with self._lock:
            free = self._free.get(origin, [])
            while free:
                connection = free.pop()
                if connection.is_open():
                    return connection
                connection.client.close()
        return self._open(origin)

    def _open(self, origin: _Origin) -> _Connection:
        scheme, host, port = origin
        client: http.client.HTTPConnection
        if scheme == "http":
            client = http.client.HTTPConnection(host, port, timeout=self._connect_timeout)
        elif self._proxy is None or is_excepted(host, self._no_proxy):
            client = http.client.HTTPSConnection(
                host, port, timeout=self._connect_timeout, context=self._tls_context()
            )
        else:
            client = self._through_proxy(self._proxy, host, port)
        return _Connection(origin=origin, client=client)

    def _through_proxy(self, proxy: str, host: str, port: int) -> http.client.HTTPSConnection:
        """A connection that asks the proxy for a tunnel and speaks TLS with the host inside it."""
        parts = urlsplit(proxy)
        client = http.client.HTTPSConnection(
            parts.hostname or "",
            parts.port or 80,
            timeout=self._connect_timeout,
            context=self._tls_context(),
        )
        headers = {}
        if parts.username is not None:
            credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Proxy-Authorization"] = f"Basic {b64encode(credentials.encode()).decode()}"
        client.set_tunnel(host, port, headers)
        return client

    def _exchange(self, connection: _Connection, request: Request) -> Response:
        try:
            if connection.client.sock is None:
                self._connect(connection.client)
            self._write(connection.client, request)
            return Response(connection.client.getresponse(), connection, self)
        except (OSError, http.client.HTTPException) as error:
            raise _trouble(error, connection.host) from None

    def _connect(self, client: http.client.HTTPConnection) -> None:
        client.connect()
        client.sock.settimeout(self._request_timeout)

    def _write(self, client: http.client.HTTPConnection, request: Request) -> None:
        """Send the request; a server that refuses in mid-body has its say all the same."""
        parts = urlsplit(request.url)
        target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        headers = {**request.headers}
        if request.body or request.method in ("PUT", "POST"):
            headers["Content-Length"] = str(request.size)
        body = _pieces(request.body) if request.body else None
        with suppress(BrokenPipeError, ConnectionResetError):
            client.request(request.method, target, body=body, headers=headers)

    def _tls_context(self) -> ssl.SSLContext:
        with self._lock:
            if self._tls is None:
                try:
                    self._tls = ssl.create_default_context(cafile=self._ca_file)
                except (OSError, ssl.SSLError) as error:
                    raise ConfigError(
                        f"cannot use {self._ca_file} as certificates: {error}",
                        hint="Name a file of PEM certificates that this user can read.",
                    ) from None
            return self._tls


def is_excepted(host: str, exceptions: tuple[str, ...]) -> bool:
    """Tell whether a host is one of the exceptions, or in one of these domains."""
    return any(each in ("*", host) or host.endswith(f".{each}") for each in exceptions)


def _pieces(chunks: Sequence[bytes]) -> Iterator[memoryview]:
    """Cut large chunks up: a socket's timeout is for a whole `sendall`, not for its progress."""
    for chunk in chunks:
        view = memoryview(chunk)
        for start in range(0, len(view), _PIECE):
            yield view[start : start + _PIECE]


def _close_all(free: dict[_Origin, list[_Connection]]) -> None:
    for connection in (each for kept in free.values() for each in kept):
        connection.client.close()


def _origin(url: str) -> _Origin:
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, parts.hostname or "", parts.port or default


def _trouble(error: Exception, host: str) -> StorageError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return StorageError(
            f"the certificate of {host} is not trusted: {error.verify_message}",
            hint="Check the endpoint. A private authority's certificate goes into "
            "WALG_S3_CA_CERT_FILE for S3, and into the system's certificates for others.",
        )
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return StorageError(
            f"{host} does not speak TLS", hint="Does the endpoint begin with http:// instead?"
        )
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME:
        return StorageError(
            f'there is no host "{host}"', hint="Check the endpoint, the region and DNS."
        )
    return PassingError(
        f"no connection with {host}: {_describe(error)}",
        hint="Check the endpoint, the network and the store.",
    )


def _describe(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"{type(error).__name__}: {error}".rstrip(": ")
