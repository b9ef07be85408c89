"""A Google Cloud Storage in memory that answers as the JSON API documents, also where it refuses.

The emulators take a wrong checksum, and let a resumable upload overwrite what must be absent. This
server is for those promises, and for what happens in the middle of an upload: it may take less of a
chunk than was sent, forget sessions, deny permissions. The addresses of sessions lead where the
request came from, so that a proxy may stand in front. Only what pitr sends is understood. It is one
file, long as it is, so that what the server holds and what it says of it are read together.
"""

import base64
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import RLock, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from backup_core.storage.checksum import as_base64, crc32c

BUCKET = "backups"
QUANTUM = 256 << 10


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One object as it is kept; `key_hash` is that of the customer's key, or empty."""

    data: bytes
    generation: int
    metadata: dict[str, str]
    key_hash: str
    created: str

    def resource(self, name: str) -> dict[str, object]:
        """What the API says of it."""
        return {
            "name": name,
            "size": str(len(self.data)),
            "timeCreated": self.created,
            "generation": str(self.generation),
            "crc32c": as_base64(crc32c([self.data])),
            "metadata": self.metadata,
        }


@dataclass(kw_only=True)
class Session:
    """A resumable upload; `made` is the answer once it is complete."""

    name: str
    metadata: dict[str, str]
    must_be_absent: bool
    key_hash: str
    data: bytearray = field(default_factory=bytearray)
    made: dict[str, object] | None = None


class RefusedError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


@dataclass(kw_only=True)
class GcsStub:
    """A running server; a test may look at what it holds and change how it behaves.

    `takes` is how many bytes it keeps of each of the next chunks. `tokens` are those it accepts.
    `denied` are permissions that the caller lacks. `asked` are the requests, as method and path.
    """

    url: str = ""
    objects: dict[str, Stored] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    takes: list[int] = field(default_factory=list)
    tokens: set[str] | None = None
    denied: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    retains: bool = False
    verifies: bool = True
    page_size: int = 1000
    cancelled: int = 0
    lock: RLock = field(default_factory=RLock)
    generations: Iterator[int] = field(default_factory=lambda: count(1_700_000_000_000_000))

    def make(
        self, name: str, data: bytes, metadata: dict[str, str], key_hash: str, *, absent: bool
    ) -> dict[str, object]:
        """Create or replace an object as far as precondition, retention and permission allow."""
        self.check_permission("storage.objects.create")
        if name in self.objects:
            if absent:
                message = "At least one of the pre-conditions you specified did not hold."
                raise RefusedError(412, message, "conditionNotMet")
            self.check_removal(name)
        self.objects[name] = Stored(
            data=data,
            generation=next(self.generations),
            metadata=metadata,
            key_hash=key_hash,
            created=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )
        return self.objects[name].resource(name)

    def find(self, name: str, generation: str | None) -> Stored:
        """An object that is there, in the generation asked for."""
        stored = self.objects.get(name)
        if stored is None or generation not in (None, str(stored.generation)):
            raise RefusedError(404, f"No such object: {BUCKET}/{name}", "notFound")
        return stored

    def check_permission(self, permission: str) -> None:
        """Refuse what the caller may not do."""
        if permission in self.denied:
            raise RefusedError(
                403,
                f"robot@example.iam.gserviceaccount.com does not have {permission} access to the "
                f"Google Cloud Storage object. Permission '{permission}' denied on resource (or it "
                "may not exist).",
                "forbidden",
            )

    def check_removal(self, name: str) -> None:
        """Refuse to delete or replace what is kept for a time."""
        self.check_permission("storage.objects.delete")
        if self.retains:
            raise RefusedError(
                403,
                f"Object '{BUCKET}/{name}' is subject to bucket's retention policy or object "
                "retention and cannot be deleted or overwritten until 2038-01-19T03:14:07Z",
                "retentionPolicyNotMet",
            )

    def check_checksum(self, expected: str | None, data: bytes) -> None:
        """Refuse bytes that are not those the client had."""
        found = as_base64(crc32c([data]))
        if self.verifies and expected not in (None, found):
            raise RefusedError(
                400, f'Provided CRC32C "{expected}" doesn\'t match calculated CRC32C "{found}".'
            )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    stub: GcsStub

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that a test breaks."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        size = int(self.headers.get("content-length", 0))
        body = self.rfile.read(size)
        stub = self.server.stub
        with stub.lock:
            stub.asked.append((self.command, self.path))
            if len(body) < size and "upload_id" not in query:
                self.close_connection = True
                return
            try:
                status, headers, answer = self._answer(parts.path, query, body, size)
            except RefusedError as error:
                status, headers, answer = error.status, {}, _refusal(error, query)
        if len(body) == size:
            self._send(status, headers, answer)
        self.close_connection |= len(body) < size

    def _answer(
        self, path: str, query: dict[str, str], body: bytes, size: int
    ) -> tuple[int, Mapping[str, str], bytes]:
        stub = self.server.stub
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        if stub.tokens is not None and token not in stub.tokens:
            raise RefusedError(401, "Invalid Credentials", "authError")
        match = re.fullmatch(r"(/upload)?/storage/v1/b/([^/]+)/o(?:/([^/]*))?", path)
        if match is None or unquote(match[2]) != BUCKET:
            raise RefusedError(404, "The specified bucket does not exist.", "notFound")
        if match[1]:
            return self._upload(query, body, whole=len(body) == size)
        if match[3] is None:
            stub.check_permission("storage.objects.list")
            return 200, {}, _dump(_listing(stub, query))
        name = unquote(match[3])
        if self.command == "DELETE":
            stub.find(name, query.get("ifGenerationMatch"))
            stub.check_removal(name)
            del stub.objects[name]
            return 204, {}, b""
        stub.check_permission("storage.objects.get")
        stored = stub.find(name, query.get("generation"))
        if query.get("alt") == "media":
            return self._media(stored)
        return 200, {}, _dump(stored.resource(name))

    def _upload(
        self, query: dict[str, str], body: bytes, *, whole: bool
    ) -> tuple[int, Mapping[str, str], bytes]:
        stub = self.server.stub
        absent = query.get("ifGenerationMatch") == "0"
        if "upload_id" in query:
            return self._session(query["upload_id"], body, whole=whole)
        key_hash = self._key_hash()
        if query["uploadType"] == "multipart":
            document, data = self._parts(body)
            said = json.loads(document)
            stub.check_checksum(said.get("crc32c"), data)
            made = stub.make(query["name"], data, said["metadata"], key_hash, absent=absent)
            return 200, {}, _dump(made)
        stub.check_permission("storage.objects.create")
        session = os.urandom(8).hex()
        stub.sessions[session] = Session(
            name=query["name"],
            metadata=json.loads(body)["metadata"],
            must_be_absent=absent,
            key_hash=key_hash,
        )
        place = f"http://{self.headers['host']}{self.path}&upload_id={session}"
        return 200, {"Location": place}, b""

    def _session(
        self, number: str, body: bytes, *, whole: bool
    ) -> tuple[int, Mapping[str, str], bytes]:
        stub = self.server.stub
        session = stub.sessions.get(number)
        if session is None:
            raise RefusedError(410, "The upload is gone.", "gone")
        if self.command == "DELETE":
            del stub.sessions[number]
            stub.cancelled += 1
            return 499, {}, b""
        first, total = self._place()
        if session.made is None:
            if first is not None:
                self._take(session, body, first, is_last=total is not None and whole)
            if len(session.data) == total:
                self._finish(number, session)
        if session.made is not None:
            return 200, {}, _dump(session.made)
        came = {"Range": f"bytes=0-{len(session.data) - 1}"} if session.data else {}
        return 308, came, b""

    def _take(self, session: Session, body: bytes, first: int, *, is_last: bool) -> None:
        """Keep what continues the upload, in whole quanta unless it is all of the last chunk."""
        if first > len(session.data):
            raise RefusedError(400, "The upload does not continue at this byte.", "badRequest")
        new = body[len(session.data) - first :]
        taken = min(len(new), self.server.stub.takes.pop(0) if self.server.stub.takes else 1 << 40)
        if not is_last or taken < len(new):
            taken -= (len(session.data) + taken) % QUANTUM
        session.data += new[: max(0, taken)]

    def _finish(self, number: str, session: Session) -> None:
        stub = self.server.stub
        data = bytes(session.data)
        try:
            stub.check_checksum(_crc32c_of(self.headers.get("x-goog-hash", "")), data)
            absent = session.must_be_absent
            made = stub.make(session.name, data, session.metadata, session.key_hash, absent=absent)
        except RefusedError:
            del stub.sessions[number]
            raise
        session.made = made

    def _place(self) -> tuple[int | None, int | None]:
        """The first byte and the total of a chunk, as far as its head tells."""
        pattern = r"bytes (?:(\d+)-\d+|\*)/(?:(\d+)|\*)"
        match = re.fullmatch(pattern, self.headers.get("content-range", ""))
        if match is None:
            raise RefusedError(400, "Failed to parse Content-Range header.", "badRequest")
        return int(match[1]) if match[1] else None, int(match[2]) if match[2] else None

    def _parts(self, body: bytes) -> tuple[bytes, bytes]:
        boundary = self.headers["content-type"].partition("boundary=")[2].encode()
        head, _, rest = body.removeprefix(b"--" + boundary).partition(b"\r\n--" + boundary)
        data = rest.partition(b"\r\n\r\n")[2]
        document = head.partition(b"\r\n\r\n")[2]
        return document, data.removesuffix(b"\r\n--" + boundary + b"--\r\n")

    def _media(self, stored: Stored) -> tuple[int, Mapping[str, str], bytes]:
        key_hash = self._key_hash()
        if stored.key_hash and not key_hash:
            raise RefusedError(
                400,
                "The target object is encrypted by a customer-supplied encryption key.",
                "resourceIsEncryptedWithCustomerEncryptionKey",
            )
        if stored.key_hash != key_hash:
            message = "The provided encryption key is incorrect."
            raise RefusedError(400, message, "customerEncryptionKeyIsIncorrect")
        data, headers = stored.data, {"X-Goog-Generation": str(stored.generation)}
        headers["X-Goog-Hash"] = f"crc32c={as_base64(crc32c([data]))}"
        headers["X-Goog-Stored-Content-Encoding"] = "identity"
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        if asked is None:
            return 200, headers, data
        start, stop = int(asked[1]), min(len(data), int(asked[2] or len(data)) + 1)
        if start >= len(data):
            raise RefusedError(416, "Request range not satisfiable", "requestedRangeNotSatisfiable")
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        return 206, headers, data[start:stop]

    def _key_hash(self) -> str:
        """The hash of the customer's key, which is held against the key."""
        key = self.headers.get("x-goog-encryption-key")
        if key is None:
            return ""
        found = base64.b64encode(hashlib.sha256(base64.b64decode(key)).digest()).decode()
        if found != self.headers.get("x-goog-encryption-key-sha256"):
            message = "The provided key's SHA256 hash does not match."
            raise RefusedError(400, message, "customerEncryptionKeySha256IsInvalid")
        return found

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _listing(stub: GcsStub, query: dict[str, str]) -> dict[str, object]:
    """A page; its token is the last entry of the page before."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    start, token = query.get("startOffset", ""), query.get("pageToken", "")
    entries: dict[str, dict[str, object] | None] = {}
    for name in sorted(stub.objects, key=str.encode):
        if name.startswith(prefix) and name.encode() >= start.encode():
            end = name.find(delimiter, len(prefix)) if delimiter else -1
            if end < 0:
                entries[name] = stub.objects[name].resource(name)
            else:
                entries[name[: end + 1]] = None
    rest = [name for name in entries if name.encode() > token.encode()]
    page = rest[: min(stub.page_size, int(query.get("maxResults", "1000")))]
    found: dict[str, object] = {
        "items": [item for name in page if (item := entries[name]) is not None],
        "prefixes": [name for name in page if entries[name] is None],
    }
    if len(page) < len(rest):
        found["nextPageToken"] = page[-1]
    return {name: value for name, value in found.items() if value}


def _crc32c_of(hashes: str) -> str | None:
    match = re.search(r"crc32c=([^,\s]+)", hashes)
    return match[1] if match else None


def _refusal(error: RefusedError, query: Mapping[str, str]) -> bytes:
    if query.get("alt") == "media" and not error.reason.startswith(("customer", "resource")):
        return str(error).encode()
    reasons = [{"domain": "global", "reason": error.reason, "message": str(error)}]
    return _dump({"error": {"code": error.status, "message": str(error), "errors": reasons}})


def _dump(document: Mapping[str, object]) -> bytes:
    return json.dumps(document).encode()


@contextmanager
def gcs_stub() -> Iterator[GcsStub]:
    """Run a server on loopback whose bucket is empty."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.stub = GcsStub(url=f"http://127.0.0.1:{server.server_address[1]}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.stub
        finally:
            server.shutdown()
            thread.join()
