"""A large object as one stream, chunk after chunk, in a resumable session.

The stream is pulled in the caller's thread while one more thread sends what was pulled, so a caller
has two chunks in memory. After trouble the server is asked how far it came, and the chunk in memory
is sent from there. Nothing is written but the object itself, and that appears with its last byte;
WAL-G's chunks are temporary objects that are put together and deleted, for which it needs leave to
delete and a bucket without a retention policy (Cloud Storage documentation, "Resumable uploads").
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from backup_core import log
from backup_core.errors import PitrError, StorageError
from backup_core.storage.checksum import as_base64, crc32c
from backup_core.storage.gcs.client import Client
from backup_core.storage.gcs.errors import CREATE, RefusalError
from backup_core.storage.gcs.resource import FIELDS, Resource, parse_resource
from backup_core.storage.http import Response
from backup_core.storage.parts import Part
from backup_core.storage.retry import Attempts, PassingError, retried

_SECONDS_TO_END = 5.0


@dataclass(frozen=True, kw_only=True)
class _Chunk:
    """A piece of the object from byte `start`; `checksum` is that of all bytes up to its end."""

    start: int
    pieces: tuple[bytes, ...]
    last: bool
    checksum: int

    @property
    def stop(self) -> int:
        return self.start + sum(map(len, self.pieces))

    def from_byte(self, position: int) -> tuple[bytes, ...]:
        """The bytes of the chunk from a position in the object on."""
        skip = position - self.start
        rest = []
        for piece in self.pieces:
            rest.append(piece[skip:] if skip else piece)
            skip = max(0, skip - len(piece))
        return tuple(filter(None, rest))


class ResumableUpload:
    """One upload of the whole key `key`; the stream is told of by `send`, once."""

    def __init__(self, client: Client, key: str) -> None:
        self._client = client
        self._key = key
        self._write = client.operation("write", CREATE, key)
        self._session = ""
        self._checksum = 0
        self._size = 0
        self._given_up = False

    def begin(self, metadata: Mapping[str, object], *, if_absent: bool) -> None:
        """Open the session; nothing is visible yet, and `if_absent` holds to its end."""
        query = {"uploadType": "resumable", "name": self._key, "fields": FIELDS}
        if if_absent:
            query["ifGenerationMatch"] = "0"
        headers = {**self._client.key_headers, "Content-Type": "application/json"}
        body = (json.dumps(metadata).encode(),)

        def attempt() -> str:
            response = self._client.send(
                self._write, "POST", query=query, headers=headers, body=body
            )
            response.read()
            return response.headers.get("location", "")

        self._session = retried(attempt, self._client.policy)
        if not self._session.startswith(("https://", "http://")):
            raise StorageError(f"{self._client.url} did not name the upload that it began")

    def send(self, parts: Iterator[Part]) -> Resource:
        """Send all parts and return the object; the first error, or the stream's, is raised."""
        pool = ThreadPoolExecutor(1, thread_name_prefix="upload")
        pending: list[Future[Resource | None]] = []
        made = None
        try:
            for part in parts:
                chunk = self._next_chunk(part)
                del part  # it belongs to the other thread now, while the next is pulled
                while pending:
                    pending.pop().result()
                pending.append(pool.submit(self._send_chunk, chunk))
                del chunk
            while pending:
                made = pending.pop().result()
        except BaseException:
            self._given_up = True
            wait(pending, timeout=_SECONDS_TO_END)
            raise
        finally:
            pool.shutdown(wait=False)
        if made is None:
            raise StorageError(f"{self._client.url} took all of an upload and made no object of it")
        return made

    @property
    def checksum(self) -> str:
        """The CRC-32C of all that was pulled from the stream, in base64."""
        return as_base64(self._checksum)

    @property
    def size(self) -> int:
        """Bytes pulled from the stream."""
        return self._size

    def cancel(self) -> None:
        """Give the upload up; that this may fail is only logged."""
        if not self._session:
            return
        try:
            self._client.exchange("DELETE", self._session, {"Content-Length": "0"}).close()
        except PitrError as error:
            logger = log.get("storage")
            log.event(logger, log.WARNING, "an upload was not cancelled", reason=error.message)

    def _next_chunk(self, part: Part) -> _Chunk:
        self._checksum = crc32c(part.chunks, self._checksum)
        start = self._size
        self._size += part.size
        return _Chunk(start=start, pieces=part.chunks, last=part.last, checksum=self._checksum)

    def _send_chunk(self, chunk: _Chunk) -> Resource | None:
        """Send until the server has all of a chunk; return the object that the last one makes."""
        attempts = Attempts(self._client.policy)
        position, is_known = chunk.start, True
        while True:
            try:
                came = self._put(chunk, position) if is_known else self._ask()
                if isinstance(came, Resource):
                    return came
                self._check_position(chunk, came)
                if came == chunk.stop and not chunk.last:
                    return None
                if came > position:
                    attempts.progress()
                elif is_known:
                    raise PassingError(f"{self._client.url} took nothing of what was sent")
                position, is_known = came, True
            except PassingError as error:
                if self._given_up:
                    raise
                attempts.pause(error)
                is_known = False

    def _put(self, chunk: _Chunk, position: int) -> Resource | int:
        """Send the chunk from `position` on; return how far the server came, or the object.

        With the last byte goes the checksum of all of them, which the server holds against its own
        (Cloud Storage documentation, "Data validation and change detection with checksums").
        """
        total = str(chunk.stop) if chunk.last else "*"
        place = f"{position}-{chunk.stop - 1}" if position < chunk.stop else "*"
        headers = {**self._client.key_headers, "Content-Range": f"bytes {place}/{total}"}
        if chunk.last:
            headers["X-Goog-Hash"] = f"crc32c={as_base64(chunk.checksum)}"
        body = chunk.from_byte(position)
        return self._progress(self._client.exchange("PUT", self._session, headers, body))

    def _ask(self) -> Resource | int:
        """Ask how far the server came."""
        headers = {**self._client.key_headers, "Content-Range": "bytes */*"}
        return self._progress(self._client.exchange("PUT", self._session, headers))

    def _progress(self, response: Response) -> Resource | int:
        if response.status < 300:
            return parse_resource(response.read(), self._client.url)
        if response.status == 308:
            response.read()
            return _confirmed(response.headers.get("range", ""))
        if response.status in (404, 410):
            response.read()
            raise RefusalError(
                f"cannot {self._write.words}: the server has forgotten the upload",
                hint="Try again.",
                status=response.status,
                reason="",
            )
        raise self._client.refusal(response, self._write)

    def _check_position(self, chunk: _Chunk, came: int) -> None:
        if not chunk.start <= came <= chunk.stop:
            raise StorageError(
                f"cannot {self._write.words}: the server has {came} bytes of the upload, "
                f"which is between {chunk.start} and {chunk.stop}",
                hint="It lost what it had confirmed; try again.",
            )


def _confirmed(value: str) -> int:
    """How many bytes the server has; without a range it has none."""
    match = re.fullmatch(r"(?:bytes=)?0-(\d+)", value)
    return int(match[1]) + 1 if match else 0
