"""An object in parts, several of them on their way at once.

The stream is pulled in the caller's thread while a few threads, shared by all uploads of the
store, send what was pulled. A slot is taken for each part, so the parts in memory are those in the
slots and one a caller. The object appears when the upload is completed, and an upload that fails is
aborted; one whose process was killed stays invisible, and a lifecycle rule removes it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from backup_core import log
from backup_core.errors import PitrError, StorageError
from backup_core.storage.checksum import as_base64, crc32c
from backup_core.storage.parts import Part
from backup_core.storage.retry import retried
from backup_core.storage.s3.client import Client
from backup_core.storage.s3.errors import (
    NO_UPLOAD,
    Answer,
    Operation,
    RefusalError,
    no_etag,
    translate,
)

_SECONDS_TO_END = 5.0


@dataclass(frozen=True, kw_only=True)
class SentPart:
    """A part that the server has confirmed."""

    number: int
    etag: str
    checksum: str


class Slots:
    """The threads that send parts, and how many parts may wait for them."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._free = threading.BoundedSemaphore(count)
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def submit(self, work: Callable[[Part], SentPart], part: Part) -> Future[SentPart]:
        """Run `work(part)` in a thread, once there is a slot for it."""
        self._free.acquire()
        try:
            future = self._threads().submit(work, part)
        except BaseException:
            self._free.release()
            raise
        future.add_done_callback(lambda _: self._free.release())
        return future

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._count, thread_name_prefix="upload")
            return self._pool


class MultipartUpload:
    """One upload of the whole key `key`; the stream is told of by `send`, once."""

    def __init__(
        self, client: Client, slots: Slots, key: str, part_headers: Mapping[str, str]
    ) -> None:
        self._client = client
        self._slots = slots
        self._key = key
        self._part_headers = part_headers
        self._write = client.operation("write", "s3:PutObject", key)
        self._id = ""
        self._checksum = 0
        self._size = 0
        self._given_up = False
        self._may_complete = False

    def begin(self, headers: Mapping[str, str]) -> None:
        """Open the upload; nothing is visible yet."""
        asked = {
            **headers,
            "x-amz-checksum-algorithm": "CRC32C",
            "x-amz-checksum-type": "FULL_OBJECT",
        }
        answer = self._call("POST", {"uploads": ""}, asked)
        self._id = answer.element("UploadId")
        if not self._id:
            raise StorageError(f"{self._client.url} did not name the upload that it began")

    def send(self, parts: Iterator[Part]) -> list[SentPart]:
        """Send all parts; the first error of any, or of the stream, is raised."""
        sent: list[SentPart] = []
        pending: deque[Future[SentPart]] = deque()
        try:
            for part in parts:
                self._checksum = crc32c(part.chunks, self._checksum)
                self._size += part.size
                pending.append(self._slots.submit(self._send_part, part))
                del part  # it belongs to its slot now, while the next is pulled
                while pending and pending[0].done():
                    sent.append(pending.popleft().result())
            while pending:
                sent.append(pending.popleft().result())
        except BaseException:
            self._abandon(pending)
            raise
        return sent

    def _abandon(self, pending: deque[Future[SentPart]]) -> None:
        """Let parts on their way end, for a while: one that ends after the abort may be kept."""
        self._given_up = True
        for future in pending:
            future.cancel()
        wait(pending, timeout=_SECONDS_TO_END)

    def complete(self, sent: list[SentPart], headers: Mapping[str, str]) -> None:
        """Make the object appear, checked by the checksum of all of it."""
        checked = {
            **headers,
            **self._part_headers,
            "x-amz-checksum-type": "FULL_OBJECT",
            "x-amz-checksum-crc32c": as_base64(self._checksum),
            "x-amz-mp-object-size": str(self._size),
        }
        document = "".join(
            f"<Part><PartNumber>{part.number}</PartNumber><ETag>{part.etag}</ETag>"
            f"<ChecksumCRC32C>{part.checksum}</ChecksumCRC32C></Part>"
            for part in sent
        )
        body = f"<CompleteMultipartUpload>{document}</CompleteMultipartUpload>".encode()
        self._may_complete = True
        try:
            self._call("POST", {"uploadId": self._id}, checked, (body,))
        except RefusalError:
            self._may_complete = False
            raise

    def abort(self) -> None:
        """Give the upload up, unless a completion without an answer may be under way.

        Some releases of Ceph spoil an object whose upload is aborted while it is completed.
        """
        if self._id and not self._may_complete:
            abort(self._client, self._key, self._id)

    def fence(self, other: str) -> None:
        """Make sure that another upload of the same key cannot be completed any more."""
        retried(lambda: _abort(self._client, self._key, other), self._client.policy)

    @property
    def id(self) -> str:
        """The server's name for the upload, once it is begun."""
        return self._id

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return self._size

    def _send_part(self, part: Part) -> SentPart:
        return retried(lambda: self._send_part_once(part), self._client.policy)

    def _send_part_once(self, part: Part) -> SentPart:
        if self._given_up:
            raise StorageError(f"the upload of {self._key} was given up")
        checksum = as_base64(crc32c(part.chunks))
        response = self._client.send(
            self._write,
            "PUT",
            self._key,
            query={"partNumber": str(part.number), "uploadId": self._id},
            headers={**self._part_headers, "x-amz-checksum-crc32c": checksum},
            body=part.chunks,
        )
        response.read()
        etag = response.headers.get("etag")
        if etag is None:
            raise no_etag(self._client.url)
        return SentPart(number=part.number, etag=etag, checksum=checksum)

    def _call(
        self,
        method: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: tuple[bytes, ...] = (),
    ) -> Answer:
        return ask(self._client, self._write, method, self._key, query, headers, body)


def ask(
    client: Client,
    operation: Operation,
    method: str,
    key: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    body: tuple[bytes, ...] = (),
) -> Answer:
    """Ask until there is an answer; a completion's refusal may come with a status of 200."""

    def attempt() -> Answer:
        response = client.send(operation, method, key, query=query, headers=headers, body=body)
        answer = Answer(status=200, headers=response.headers, body=response.read())
        if b"<Error" in answer.body:
            raise translate(answer, operation, url=client.url)
        return answer

    return retried(attempt, client.policy)


def abort(client: Client, key: str, upload: str) -> None:
    """Give an upload up; that this may fail is only logged."""
    try:
        _abort(client, key, upload)
    except PitrError as error:
        logger = log.get("storage")
        log.event(logger, log.WARNING, "an upload was not aborted", reason=error.message)


def _abort(client: Client, key: str, upload: str) -> None:
    operation = client.operation("abort an upload of", "s3:AbortMultipartUpload", key)
    try:
        client.send(operation, "DELETE", key, query={"uploadId": upload}).read()
    except RefusalError as error:
        if error.code not in NO_UPLOAD:
            raise
