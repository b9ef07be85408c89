"""A repository in an S3 bucket.

An object that fits into one part is one PUT, a larger one a multipart upload, and so is any that
must not be there where nothing but an upload can be stopped (claims); either becomes visible whole
or not at all. Requests are made by hand (client), because a process a WAL segment cannot pay for
loading the SDK; docs/decisions/object-store-clients.md has the figures.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from email.utils import parsedate_to_datetime
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from backup_core.errors import AlreadyExistsError, NotFoundError, StorageError
from backup_core.storage.base import Chunk, ObjectInfo
from backup_core.storage.checksum import as_base64, crc32c
from backup_core.storage.keys import check_key, check_listing
from backup_core.storage.options import StoreOptions
from backup_core.storage.parts import Part, cut, part_sizes
from backup_core.storage.ranged import Opened, read_range
from backup_core.storage.retry import retried
from backup_core.storage.s3 import conditional
from backup_core.storage.s3.claims import claim, passed_over
from backup_core.storage.s3.client import Client
from backup_core.storage.s3.errors import NO_UPLOAD, RefusalError, no_etag
from backup_core.storage.s3.headers import customer_key, object_headers
from backup_core.storage.s3.listing import Lister

if TYPE_CHECKING:
    from backup_core.storage.s3.upload import MultipartUpload, Slots


class S3Storage:
    """Implements Storage below a prefix of a bucket; safe for threads and processes."""

    def __init__(self, url: str, bucket: str, prefix: str, options: StoreOptions) -> None:
        """Nothing is asked of the server yet; `prefix` has no slash at either end."""
        self.url = url
        self._prefix = f"{prefix}/" if prefix else ""
        self._options = options.s3
        self._client = Client(bucket, url, options)
        self._lister = Lister(self._client, version=options.s3.list_version)
        self._upload_concurrency = options.upload_concurrency
        self._lock = threading.Lock()
        self._made_slots: Slots | None = None
        self._key_headers = customer_key(options.s3)
        self._honours: bool | None = None

    def put(
        self,
        key: str,
        chunks: Iterable[Chunk],
        *,
        if_absent: bool = False,
        size_hint: int | None = None,
    ) -> ObjectInfo:
        """Store the chunks; at least the first part's worth is pulled before a request is made.

        Raises AlreadyExistsError if `if_absent` and the key exists.
        """
        check_key(key)
        parts = cut(chunks, part_sizes(self._options.part_size, size_hint))
        first = next(parts)
        if first.last and not (if_absent and self._honours is False):
            size = first.size
            self._put_whole(key, first, if_absent=if_absent)
        else:
            parts = chain(iter([first]), parts)
            del first  # or it would stay in memory until the last part is sent
            size = self._put_parts(key, parts, if_absent=if_absent)
        return ObjectInfo(key=key, size=size, modified=None)

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
        headers = self._head(key)
        try:
            size = int(headers["content-length"])
            modified = parsedate_to_datetime(headers["last-modified"])
        except (KeyError, ValueError):
            raise StorageError(f'{self.url} does not say size and time of "{key}"') from None
        return ObjectInfo(key=key, size=size, modified=modified)

    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> Iterator[ObjectInfo]:
        """Yield the objects in the order of their keys' bytes, a request a thousand."""
        check_listing(prefix, delimiter)
        after = self._prefix + start_after if start_after else ""
        found = self._lister.entries(self._prefix + prefix, deep=delimiter is None, after=after)
        length = len(self._prefix)
        for entry in found:
            yield ObjectInfo(key=entry.key[length:], size=entry.size, modified=entry.modified)

    def delete(self, keys: Iterable[str]) -> dict[str, str | None]:
        """Delete objects in batches; each key maps to None or to what the server said of it."""
        from backup_core.storage.s3.deletion import delete_keys

        return delete_keys(self._client, self._prefix, keys, batch=self._options.delete_batch)

    def replace_head(self, key: str, head: bytes, start: int) -> bool:
        """Implements Splicer: what stays is copied by the server, if it is worth a request."""
        from backup_core.storage.s3.splice import LEAST_PART, Splice

        check_key(key)
        filled = start + max(0, LEAST_PART - len(head))
        described = self._head(key)
        size, tag = int(described.get("content-length", 0)), described.get("etag", "")
        if size < filled + LEAST_PART or not tag or self._key_headers:
            return False
        beginning = head + b"".join(self.get(key, start=start, stop=filled))
        splice = Splice(self._client, self._prefix + key, size, tag)
        headers = object_headers(self._options)

        def run(_: Mapping[str, str]) -> None:
            splice.run(beginning, filled, headers)

        self._finish(key, run, {}, writer=headers[conditional.WRITER])
        if self.stat(key).size != len(beginning) + size - filled:
            raise StorageError(f"{self.url} has put {key} together to another size than was asked")
        return True

    # Writing

    def _put_whole(self, key: str, part: Part, *, if_absent: bool) -> None:
        headers = object_headers(self._options)
        headers["x-amz-checksum-crc32c"] = as_base64(crc32c(part.chunks))

        def send(more: Mapping[str, str]) -> None:
            self._send_whole(key, part, {**headers, **more})

        if not if_absent:
            send({})
            return
        if not self._create(key, send, writer=headers[conditional.WRITER]):
            self._put_parts(key, iter([part]), if_absent=True)
            return
        if self._honours is None and part.size <= conditional.PROBED_SIZE:
            self._honours = conditional.honours_condition(lambda: send(conditional.IF_ABSENT))
            if self._honours is False:
                conditional.tell(self.url)
                send({conditional.METADATA: conditional.IGNORED})

    def _send_whole(self, key: str, part: Part, headers: Mapping[str, str]) -> None:
        whole = self._prefix + key
        operation = self._client.operation("write", "s3:PutObject", whole)

        def attempt() -> None:
            response = self._client.send(operation, "PUT", whole, headers=headers, body=part.chunks)
            response.read()
            if "etag" not in response.headers:
                raise no_etag(self.url)

        retried(attempt, self._client.policy)

    def _put_parts(self, key: str, parts: Iterator[Part], *, if_absent: bool) -> int:
        from backup_core.storage.s3.upload import MultipartUpload

        if if_absent and self._exists(key):
            raise self._taken(key)
        headers = object_headers(self._options)
        writer = headers[conditional.WRITER]
        upload = MultipartUpload(self._client, self._slots(), self._prefix + key, self._key_headers)
        try:
            upload.begin(headers)
            create = partial(upload.complete, upload.send(parts))
            if if_absent:
                self._create_from(upload, key, create, writer=writer)
            else:
                self._finish(key, create, {}, writer=writer)
        except BaseException:
            upload.abort()
            raise
        return upload.size

    def _slots(self) -> Slots:
        from backup_core.storage.s3.upload import Slots

        with self._lock:
            self._made_slots = self._made_slots or Slots(self._upload_concurrency)
            return self._made_slots

    def _create_from(
        self,
        upload: MultipartUpload,
        key: str,
        create: Callable[[Mapping[str, str]], None],
        *,
        writer: str,
    ) -> None:
        """Complete the upload so that it makes the object only if there is none.

        SeaweedFS refuses completions that come late, only not those that come together: claims keep
        these apart, and there is no need for a fence.
        """
        if self._honours is not False:
            turn: AbstractContextManager[None] = nullcontext()
            if self._client.is_seaweedfs:
                turn = claim(self, key, upload=upload.id)
            with turn:
                if self._create(key, create, writer=writer):
                    return
        with claim(self, key, upload=upload.id, fence=upload.fence):
            if self._exists(key):
                raise self._taken(key)
            try:
                self._finish(key, create, {}, writer=writer)
            except RefusalError as error:
                if error.code not in NO_UPLOAD:
                    raise
                raise (self._taken(key) if self._exists(key) else passed_over(key)) from None

    def _create(
        self, key: str, create: Callable[[Mapping[str, str]], None], *, writer: str
    ) -> bool:
        """Create under the condition; False if the server turns out not to know it."""
        try:
            self._finish(key, create, conditional.IF_ABSENT, writer=writer)
        except RefusalError as error:
            if error.code in conditional.LOST:
                raise self._taken(key) from None
            if not conditional.is_unknown_to_server(error):
                raise
            self._honours = False
            conditional.tell(self.url)
            return False
        return True

    def _finish(
        self,
        key: str,
        create: Callable[[Mapping[str, str]], None],
        condition: Mapping[str, str],
        *,
        writer: str,
    ) -> None:
        """Call `create`; its refusal is none if an earlier attempt of ours made the object."""
        try:
            create(condition)
        except RefusalError as error:
            lost_answer = error.code in (*conditional.LOST, *NO_UPLOAD)
            if not lost_answer or self._writer(key) != writer:
                raise

    def _writer(self, key: str) -> str | None:
        try:
            return self._head(key).get(conditional.WRITER)
        except NotFoundError:
            return None

    def _exists(self, key: str) -> bool:
        try:
            self._head(key)
        except NotFoundError:
            return False
        return True

    def _taken(self, key: str) -> AlreadyExistsError:
        return AlreadyExistsError(f'"{key}" exists already in {self.url}')

    # Reading

    def _open(self, key: str, position: int, stop: int | None, tag: str | None) -> Opened | None:
        whole = self._prefix + key
        headers = {**self._key_headers, "x-amz-checksum-mode": "ENABLED"}
        ranged = position > 0 or stop is not None
        if ranged:
            headers["Range"] = f"bytes={position}-{'' if stop is None else stop - 1}"
        if tag is not None:
            headers["If-Match"] = tag
        try:
            response = self._client.send(
                self._client.operation("read", "s3:GetObject", whole), "GET", whole, headers=headers
            )
        except NotFoundError:
            raise NotFoundError(f'"{key}" is not in {self.url}') from None
        except RefusalError as error:
            if error.status == 416:
                return None
            raise
        self._learn(response.headers)
        begins = response.headers.get("content-range", "")
        if ranged and not begins.startswith(f"bytes {position}-"):
            response.close()
            raise StorageError(f"{self.url} does not answer with the range that was asked for")
        known = response.headers.get("x-amz-checksum-crc32c", "-")
        return Opened(
            response=response,
            tag=response.headers.get("etag", ""),
            checksum=None if ranged or "-" in known else known,
        )

    def _head(self, key: str) -> Mapping[str, str]:
        """Ask for an object's description; what is refused is asked for again by GET.

        The refusal of a HEAD has no document that tells a missing bucket from a missing key.
        """
        whole = self._prefix + key
        operation = self._client.operation("read", "s3:GetObject", whole)

        def attempt() -> Mapping[str, str]:
            try:
                response = self._client.send(operation, "HEAD", whole, headers=self._key_headers)
            except (NotFoundError, RefusalError):
                response = self._client.send(operation, "GET", whole, headers=self._key_headers)
            response.close()
            return response.headers

        try:
            headers = retried(attempt, self._client.policy)
        except NotFoundError:
            raise NotFoundError(f'"{key}" is not in {self.url}') from None
        self._learn(headers)
        return headers

    def _learn(self, headers: Mapping[str, str]) -> None:
        """Take notice of what an earlier process found out about this server."""
        if headers.get(conditional.METADATA) == conditional.IGNORED:
            self._honours = False
