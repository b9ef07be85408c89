"""An S3 server that lists millions of WAL segments and holds none of them.

The names of segments follow from their numbers, so a year of them is computed page by page; of
deletions one byte a segment is kept. Everything else is held as it is put. The server is a process
of its own, so that its work and memory are not taken for the client's, and it counts the requests
by operation. Signatures are not checked, and only what pitr sends is understood.
"""

import json
import multiprocessing
import os
import re
import time
import urllib.request
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import merge
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from threading import Lock
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

from backup_core.postgres.wal import segment_name
from backup_core.repository import layout
from backup_core.storage.base import Storage
from backup_core.storage.options import S3Options, StoreOptions
from backup_core.storage.registry import open_storage
from backup_core.stream.compress import encode
from tests.support.segments import segment

BUCKET, PREFIX = "backups", "main"
COUNTS = "/-/requests"
MODIFIED = "Sun, 22 Nov 2026 12:00:00 GMT"
STORED_SIZE = 5 << 20
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_LAST = chr(0x10FFFF)
# what S3 says of an object that was uploaded with a checksum
_ENTRY = (
    "<Contents><Key>{}</Key><LastModified>2026-11-22T12:{:02d}:{:02d}.000Z</LastModified>"
    "<ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag>"
    "<ChecksumAlgorithm>CRC32C</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
    "<Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>"
)


@dataclass(kw_only=True)
class Segments:
    """The keys of consecutive segments of a timeline, in their order, computed when asked for."""

    count: int
    first: int = 1
    timeline: int = 1
    segment_size: int = 16 << 20
    gone: bytearray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.gone = bytearray(self.count)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> str:
        return f"{PREFIX}/{layout.WAL}{self.name(index)}.zst"

    def name(self, index: int) -> str:
        """The file name of a segment."""
        return segment_name(self.timeline, self.first + index, self.segment_size)

    def after(self, key: str) -> Iterator[str]:
        """Yield the keys after this one that were not deleted."""
        index = bisect_right(self, key)
        while (index := self.gone.find(0, index)) >= 0:
            yield self[index]
            index += 1

    def find(self, key: str) -> int | None:
        """The index of a key that is there."""
        index = bisect_right(self, key) - 1
        return index if index >= 0 and self[index] == key and not self.gone[index] else None


class Content:
    """What the bucket holds: segments by computation, the rest in memory."""

    def __init__(self, segments: Segments) -> None:
        self.segments = segments
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}

    def get(self, key: str) -> bytes | None:
        """An object's bytes; a segment has a header and is otherwise easily compressed."""
        index = self.segments.find(key)
        if index is None:
            return self.objects.get(key)
        head = segment(self.segments.name(index), stated_size=self.segments.segment_size)
        return b"".join(encode([head], method="zstd", level=1))

    def delete(self, key: str) -> None:
        """Delete what may be there."""
        index = self.segments.find(key)
        if index is not None:
            self.segments.gone[index] = 1
        self.objects.pop(key, None)

    def page(self, prefix: str, after: str, delimiter: str, limit: int) -> list[tuple[str, int]]:
        """The next keys with their sizes, or common prefixes with -1."""
        found: list[tuple[str, int]] = []
        keys = self._after(prefix, max(after, prefix and prefix[:-1]))
        while len(found) < limit and (key := next(keys, None)) is not None:
            if key <= after or not key.startswith(prefix):
                if key > prefix:
                    break
                continue
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut >= 0:
                found.append((key[: cut + 1], -1))
                keys = self._after(prefix, key[: cut + 1] + _LAST)
            else:
                found.append((key, len(self.objects[key]) if key in self.objects else STORED_SIZE))
        return found

    def _after(self, prefix: str, after: str) -> Iterator[str]:
        small = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        return merge(small, self.segments.after(after)) if small else self.segments.after(after)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, content: Content, latency: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.latency = latency
        self.lock = Lock()
        self.requests: Counter[str] = Counter()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        if self.path == COUNTS:
            self._answer(json.dumps(self.server.requests).encode())
            self.server.requests.clear()
            return
        key, query = self._asked()
        if not key:
            self._count("LIST")
            self._answer(self._listing(query))
            return
        self._count("GET")
        self._send_object(key)

    def do_HEAD(self) -> None:
        key, _ = self._asked()
        self._count("HEAD")
        self._send_object(key)

    def do_PUT(self) -> None:
        key, query = self._asked()
        body = self._body()
        content = self.server.content
        self._count("PUT")
        with self.server.lock:
            if "uploadId" in query:
                content.parts[query["uploadId"]][int(query["partNumber"])] = body
            elif self._is_taken(key):
                self._refuse(412, "PreconditionFailed")
                return
            else:
                content.objects[key] = body
        self._answer(b"", ETag='"0"')

    def do_POST(self) -> None:
        key, query = self._asked()
        body = self._body()
        content = self.server.content
        self._count("DELETE" if "delete" in query else "PUT")
        with self.server.lock:
            if "delete" in query:
                for found in re.findall(r"<Key>(.*?)</Key>", body.decode()):
                    content.delete(unescape(found))
                self._answer(b"<DeleteResult/>")
                return
            if "uploads" in query:
                upload = os.urandom(8).hex()
                content.parts[upload] = {}
                self._answer(f"<R><UploadId>{upload}</UploadId></R>".encode())
            elif self._is_taken(key):
                self._refuse(412, "PreconditionFailed")
            else:
                parts = content.parts.pop(query["uploadId"])
                content.objects[key] = b"".join(parts[number] for number in sorted(parts))
                self._answer(b"<CompleteMultipartUploadResult/>")

    def _asked(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        key = unquote(parts.path).removeprefix(f"/{BUCKET}").removeprefix("/")
        return key, {name: values[0] for name, values in query.items()}

    def _count(self, operation: str) -> None:
        time.sleep(self.server.latency)
        self.server.requests[operation] += 1

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def _is_taken(self, key: str) -> bool:
        return bool(self.headers.get("if-none-match")) and self.server.content.get(key) is not None

    def _listing(self, query: dict[str, str]) -> bytes:
        """A page; the token, and the first version's marker, is the last key of the page before."""
        after = query.get("continuation-token") or query.get("start-after") or query.get("marker")
        after = after or ""
        if after.endswith("/"):
            after += _LAST
        limit = int(query["max-keys"])
        delimiter = query.get("delimiter", "")
        found = self.server.content.page(query["prefix"], after, delimiter, limit + 1)
        more, found = len(found) > limit, found[:limit]
        last = escape(found[-1][0]) if more else ""
        return "".join(
            (
                f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="{_NAMESPACE}">',
                f"<IsTruncated>{str(more).lower()}</IsTruncated>",
                f"<NextContinuationToken>{last}</NextContinuationToken>" if more else "",
                f"<NextMarker>{last}</NextMarker>" if more else "",
                *(
                    _ENTRY.format(key, n // 60 % 60, n % 60, size)
                    for n, (key, size) in enumerate(found)
                    if size >= 0
                ),
                *(
                    f"<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>"
                    for key, size in found
                    if size < 0
                ),
                "</ListBucketResult>",
            )
        ).encode()

    def _send_object(self, key: str) -> None:
        body = self.server.content.get(key)
        if body is None:
            self._refuse(404, "NoSuchKey")
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        if asked is None:
            self._answer(body, ETag='"0"')
            return
        start, stop = int(asked[1]), min(len(body), int(asked[2] or len(body)) + 1)
        place = f"bytes {start}-{stop - 1}/{len(body)}"
        self._answer(body[start:stop], 206, ETag='"0"', **{"Content-Range": place})

    def log_message(self, *args: object) -> None:
        """Say nothing: what matters is counted."""

    def _refuse(self, status: int, code: str) -> None:
        self._answer(f"<Error><Code>{code}</Code></Error>".encode(), status)

    def _answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Last-Modified", MODIFIED)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@dataclass(frozen=True, kw_only=True)
class S3Stub:
    """A running server; `url` is its endpoint."""

    url: str

    def storage(self, *, part_size: int = 20 << 20, list_version: int = 2) -> Storage:
        """The repository in it, on connections of its own."""
        s3 = S3Options(
            endpoint=self.url,
            access_key_id="key",
            secret_access_key="secret",
            part_size=part_size,
            list_version=list_version,
        )
        return open_storage(f"s3://{BUCKET}/{PREFIX}", StoreOptions(s3=s3))

    def settings(self) -> dict[str, str]:
        """What a settings file says of it."""
        return {
            "repository": f"s3://{BUCKET}/{PREFIX}",
            "s3_endpoint": self.url,
            "s3_region": "us-east-1",
            "s3_access_key_id": "key",
            "s3_secret_access_key": "secret",
        }

    def requests(self) -> dict[str, int]:
        """How many requests of each kind came since this was last asked."""
        with urllib.request.urlopen(self.url + COUNTS, timeout=60) as answer:
            counts: dict[str, int] = json.load(answer)
        return counts


@contextmanager
def s3_stub(segments: Segments, *, latency: float = 0.0) -> Iterator[S3Stub]:
    """Run a server whose bucket holds these segments; each request takes `latency` seconds more."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, segments, latency), daemon=True)
    process.start()
    there.close()
    try:
        yield S3Stub(url=f"http://127.0.0.1:{here.recv()}")
    finally:
        process.kill()
        process.join()
        here.close()


def _serve(there: Connection, segments: Segments, latency: float) -> None:
    server = _Server(Content(segments), latency)
    there.send(server.server_address[1])
    server.serve_forever()
