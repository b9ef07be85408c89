"""Give an object another beginning without moving the rest of it.

The parts of an upload may be ranges of an object that the bucket holds (UploadPartCopy), so the
server copies what stays. Only the new beginning is sent, filled up to the least size of a part.
The old object is there until the new one is complete; if it changes meanwhile, nothing happens.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from hashlib import md5

from backup_core.errors import StorageError
from backup_core.storage.s3.client import Client
from backup_core.storage.s3.errors import Answer, RefusalError, no_etag
from backup_core.storage.s3.signing import quote_path
from backup_core.storage.s3.upload import abort, ask

LEAST_PART = 5 << 20
_LARGEST_COPY = 1 << 30


class Splice:
    """One object `key` of `size` bytes, whole keys as the bucket has them, and its entity tag."""

    def __init__(self, client: Client, key: str, size: int, tag: str) -> None:
        self._client = client
        self._key = key
        self._size = size
        self._tag = tag
        self._write = client.operation("write", "s3:PutObject", key)

    def run(self, beginning: bytes, start: int, headers: Mapping[str, str]) -> None:
        """Let the object become `beginning`, at least a part long, and its bytes from `start`."""
        upload = self._call("POST", {"uploads": ""}, headers).element("UploadId")
        if not upload:
            raise StorageError(f"{self._client.url} did not name the upload that it began")
        try:
            etags = [self._send(upload, beginning)]
            for number, (first, last) in enumerate(_ranges(start, self._size), start=2):
                etags.append(self._copy(upload, number, first, last))
        except BaseException:
            abort(self._client, self._key, upload)
            raise
        try:
            self._complete(upload, etags)
        except RefusalError:  # without an answer it may be under way: see MultipartUpload.abort
            abort(self._client, self._key, upload)
            raise

    def _send(self, upload: str, data: bytes) -> str:
        guard = {"content-md5": b64encode(md5(data, usedforsecurity=False).digest()).decode()}
        answer = self._call("PUT", {"partNumber": "1", "uploadId": upload}, guard, (data,))
        etag = answer.headers.get("etag")
        if etag is None:
            raise no_etag(self._client.url)
        return etag

    def _copy(self, upload: str, number: int, first: int, last: int) -> str:
        headers = {
            "x-amz-copy-source": quote_path(f"{self._client.bucket}/{self._key}"),
            "x-amz-copy-source-range": f"bytes={first}-{last}",
            "x-amz-copy-source-if-match": self._tag,
        }
        query = {"partNumber": str(number), "uploadId": upload}
        etag = self._call("PUT", query, headers).element("ETag")
        if not etag:
            raise no_etag(self._client.url)
        return etag

    def _complete(self, upload: str, etags: list[str]) -> None:
        document = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            for number, etag in enumerate(etags, start=1)
        )
        body = f"<CompleteMultipartUpload>{document}</CompleteMultipartUpload>".encode()
        self._call("POST", {"uploadId": upload}, {}, (body,))

    def _call(
        self,
        method: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: tuple[bytes, ...] = (),
    ) -> Answer:
        return ask(self._client, self._write, method, self._key, query, headers, body)


def _ranges(start: int, size: int) -> Iterator[tuple[int, int]]:
    """First and last byte of each part; all but the last are of one size."""
    while start < size:
        stop = min(start + _LARGEST_COPY, size)
        yield start, stop - 1
        start = stop
