"""A repository in a bucket of Google Cloud Storage.

An object that fits into one chunk is one request, a larger one a resumable upload; either becomes
visible whole or not at all. Requests are made by hand (client), because a process a WAL segment
cannot pay for loading Google's library; docs/decisions/object-store-clients.md has the figures.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING

from backup_core.errors import AlreadyExistsError, NotFoundError, PitrError, StorageError
from backup_core.storage.base import Chunk, ObjectInfo
from backup_core.storage.checksum import as_base64, crc32c
from backup_core.storage.gcs.client import Client
from backup_core.storage.gcs.errors import CHECKSUM, CREATE, DELETE, GET, RefusalError
from backup_core.storage.gcs.resource import FIELDS, WRITER, Resource, parse_resource
from backup_core.storage.keys import check_key, check_listing
from backup_core.storage.options import StoreOptions
from backup_core.storage.parts import Part, cut
from backup_core.storage.ranged import Opened, read_range
from backup_core.storage.retry import PassingError, retried

if TYPE_CHECKING:
    from backup_core.storage.gcs.credentials import TokenSource

_TYPE = "application/octet-stream"
_FORGOTTEN = (404, 410)


class GcsStorage:
    """Implements Storage below a prefix of a bucket; safe for threads and processes."""

    def __init__(
        self,
        url: str,
        bucket: str,
        prefix: str,
        options: StoreOptions,
        tokens: TokenSource | None = None,
    ) -> None:
        """Nothing is asked of the server yet; `prefix` is what names begin with, slashes included.

        `tokens` replaces the credentials that the options name.
        """
        self.url = url
        self._prefix = f"{prefix}/" if prefix and not prefix.endswith("/") else prefix
        self._client = Client(bucket, url, options, tokens)
        self._chunk_size = options.gcs.chunk_size
        self._connections = options.connections

    def put(
        self,
        key: str,
        chunks: Iterable[Chunk],
        *,
        if_absent: bool = False,
        size_hint: int | None = None,  # noqa: ARG002 (part of the seam)
    ) -> ObjectInfo:
        """Store the chunks; at least the first chunk's worth is pulled before a request is made.

        Raises AlreadyExistsError if `if_absent` and the key exists.
        """
        check_key(key)
        parts = cut(chunks, repeat(self._chunk_size))
        first = next(parts)
        if first.last:
            made = self._put_whole(key, first, if_absent=if_absent)
        else:
            parts = chain(iter([first]), parts)
            del first  # or it would stay in memory until the last chunk is sent
            made = self._put_chunks(key, parts, if_absent=if_absent)
        return ObjectInfo(key=key, size=made.size, modified=made.created)

    def get(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield a range; a connection that breaks is taken up again at the byte where it broke.

        An object read whole is held against the checksum that the server keeps of it.
        """
        check_key(key)
        if stop is not None and start >= stop:
            self.stat(key)
            return iter(())
        return read_range(
            lambda position, tag: self._open(key, position, stop, tag),
            self._client.policy,
            name=f"{self.url}/{key}",
            start=start,
        )

    def stat(self, key: str) -> ObjectInfo:
        """Describe one object; raises NotFoundError."""
        check_key(key)
        found = self._describe(key)
        if found is None:
            raise self._not_found(key)
        return ObjectInfo(key=key, size=found.size, modified=found.created)

    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> Iterator[ObjectInfo]:
        """Yield the objects in the order of their keys' bytes, a request a thousand."""
        from backup_core.storage.gcs.listing import list_entries

        check_listing(prefix, delimiter)
        after = self._prefix + start_after if start_after else ""
        whole = self._prefix + prefix
        length = len(self._prefix)
        for entry in list_entries(self._client, whole, deep=delimiter is None, after=after):
            yield ObjectInfo(key=entry.key[length:], size=entry.size, modified=entry.modified)

    def delete(self, keys: Iterable[str]) -> dict[str, str | None]:
        """Delete objects, several at a time; each key maps to None or to what was wrong."""
        from backup_core.storage.gcs.deletion import delete_keys

        return delete_keys(self._client, self._prefix, keys, at_once=self._connections)

    # Writing

    def _put_whole(self, key: str, part: Part, *, if_absent: bool) -> Resource:
        checksum, writer, boundary = as_base64(crc32c(part.chunks)), _mark(), _mark()
        query = {"uploadType": "multipart", "name": self._prefix + key, "fields": FIELDS}
        if if_absent:
            query["ifGenerationMatch"] = "0"
        kind = {"Content-Type": f"multipart/related; boundary={boundary}"}
        headers = {**self._client.key_headers, **kind}
        body = _multipart(boundary, {**self._metadata(key, writer), "crc32c": checksum}, part)
        operation = self._client.operation("write", CREATE, self._prefix + key)

        def attempt() -> Resource:
            try:
                response = self._client.send(
                    operation, "POST", query=query, headers=headers, body=body
                )
            except RefusalError as error:
                if error.reason != CHECKSUM:
                    raise
                raise PassingError(error.message, hint=error.hint) from None
            return parse_resource(response.read(), self.url)

        send = partial(retried, attempt, self._client.policy)
        made = self._made(key, writer, send, if_absent=if_absent)
        return self._verified(key, made, part.size, checksum)

    def _put_chunks(self, key: str, parts: Iterator[Part], *, if_absent: bool) -> Resource:
        from backup_core.storage.gcs.upload import ResumableUpload

        if if_absent and self._describe(key) is not None:
            raise self._taken(key)
        writer = _mark()
        upload = ResumableUpload(self._client, self._prefix + key)

        def send() -> Resource:
            upload.begin(self._metadata(key, writer), if_absent=if_absent)
            return upload.send(parts)

        try:
            made = self._made(key, writer, send, if_absent=if_absent)
        except BaseException:
            upload.cancel()
            raise
        return self._verified(key, made, upload.size, upload.checksum)

    def _made(
        self, key: str, writer: str, create: Callable[[], Resource], *, if_absent: bool
    ) -> Resource:
        """Call `create`; its refusal is none if an attempt whose answer was lost made the object.

        That shows in two ways: the object that must be absent is there, or the server has forgotten
        the upload. Either way the object has our mark, or the race was lost.
        """
        try:
            return create()
        except RefusalError as error:
            if error.status not in (412, *_FORGOTTEN):
                raise
            found = self._describe(key)
            if found is not None and found.writer == writer:
                return found
            if error.status == 412 or (if_absent and found is not None):
                raise self._taken(key) from None
            raise

    def _verified(self, key: str, made: Resource, size: int, checksum: str) -> Resource:
        """Return what was made if it is what was sent, or else delete it again."""
        if made.size == size and made.checksum in (None, checksum):
            return made
        operation = self._client.operation("delete", DELETE, self._prefix + key)
        condition = {"ifGenerationMatch": made.generation}
        with suppress(PitrError):
            retried(
                lambda: self._client.send(operation, "DELETE", query=condition).read(),
                self._client.policy,
            )
        raise StorageError(
            f'"{key}" arrived in {self.url} with another checksum than it was sent with',
            hint="Try again; if it stays so, look for what damages bytes between here and there.",
        )

    def _metadata(self, key: str, writer: str) -> dict[str, object]:
        """What is said of a new object, with a mark by which its writer knows it again."""
        return {"name": self._prefix + key, "contentType": _TYPE, "metadata": {WRITER: writer}}

    def _taken(self, key: str) -> AlreadyExistsError:
        return AlreadyExistsError(f'"{key}" exists already in {self.url}')

    # Reading

    def _open(self, key: str, position: int, stop: int | None, tag: str | None) -> Opened | None:
        headers = {**self._client.key_headers}
        ranged = position > 0 or stop is not None
        if ranged:
            headers["Range"] = f"bytes={position}-{'' if stop is None else stop - 1}"
        query = {"alt": "media"} if tag is None else {"alt": "media", "generation": tag}
        operation = self._client.operation("read", GET, self._prefix + key)
        try:
            response = self._client.send(operation, "GET", query=query, headers=headers)
        except NotFoundError:
            if tag is None:
                raise self._not_found(key) from None
            raise StorageError(
                f'"{key}" was deleted or replaced in {self.url} while it was read'
            ) from None
        except RefusalError as error:
            if error.status == 416:
                return None
            raise
        begins = response.headers.get("content-range", "")
        generation = response.headers.get("x-goog-generation")
        if generation is None or (ranged and not begins.startswith(f"bytes {position}-")):
            response.close()
            raise StorageError(
                f"{self.url} does not answer with the version and the range that were asked for",
                hint="It may not be Google Cloud Storage: check STORAGE_EMULATOR_HOST.",
            )
        checksum = None if ranged else _checksum(response.headers)
        return Opened(response=response, tag=generation, checksum=checksum)

    def _describe(self, key: str) -> Resource | None:
        operation = self._client.operation("read", GET, self._prefix + key)

        def attempt() -> Resource:
            response = self._client.send(
                operation, "GET", query={"fields": FIELDS}, headers=self._client.key_headers
            )
            return parse_resource(response.read(), self.url)

        try:
            return retried(attempt, self._client.policy)
        except NotFoundError:
            return None

    def _not_found(self, key: str) -> NotFoundError:
        return NotFoundError(f'"{key}" is not in {self.url}')


def _mark() -> str:
    return os.urandom(16).hex()


def _multipart(boundary: str, metadata: dict[str, object], part: Part) -> tuple[bytes, ...]:
    """Metadata and bytes in one body (RFC 2387)."""
    head = (
        f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
        f"{json.dumps(metadata)}\r\n--{boundary}\r\nContent-Type: {_TYPE}\r\n\r\n"
    )
    return (head.encode(), *part.chunks, f"\r\n--{boundary}--\r\n".encode())


def _checksum(headers: Mapping[str, str]) -> str | None:
    """The CRC-32C of the stored bytes, unless the server unpacked them on their way."""
    if headers.get("x-goog-stored-content-encoding", "identity") != "identity":
        return None
    hashes = headers.get("x-goog-hash", "").split(",")
    known = [each.strip().partition("=") for each in hashes]
    return next((value for name, _, value in known if name == "crc32c"), None)
