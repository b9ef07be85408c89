"""Requests to one bucket: where it is, who asks, and what a refusal means."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

from backup_core.errors import NotFoundError, PitrError
from backup_core.storage.gcs.credentials import TokenSource, token_source
from backup_core.storage.gcs.errors import (
    LIST,
    UNCLEAR,
    Answer,
    Operation,
    RefusalError,
    translate,
)
from backup_core.storage.http import Connections, Request, Response
from backup_core.storage.options import StoreOptions
from backup_core.storage.retry import RetryPolicy

_SERVICE = "https://storage.googleapis.com"
_NOTHING: Mapping[str, str] = {}


class Client:
    """Sends requests to a bucket; safe for threads. Nothing is connected before the first."""

    def __init__(
        self, bucket: str, url: str, options: StoreOptions, tokens: TokenSource | None = None
    ) -> None:
        """`tokens` replaces the source that the options name; an emulator has none."""
        self.bucket = bucket
        self.url = url
        self.policy = RetryPolicy(timeout=options.retry_timeout, max_retries=options.max_retries)
        self.key_headers = _customer_key(options.gcs.encryption_key)
        self._service = options.gcs.emulator or _SERVICE
        self._tokens = tokens or token_source(options)
        self._connections = Connections(
            connect_timeout=options.connect_timeout,
            request_timeout=options.request_timeout,
            idle=options.connections,
            proxy=options.https_proxy,
            no_proxy=options.no_proxy,
        )

    def operation(self, words: str, permission: str, key: str | None = None) -> Operation:
        """Describe a request for the messages about it; `key` is the whole one in the bucket."""
        return Operation(
            words=words if key is None else f"{words} gs://{self.bucket}/{key}",
            permission=permission,
            bucket=self.bucket,
            key=key,
        )

    def send(
        self,
        operation: Operation,
        method: str,
        *,
        query: Mapping[str, str] = _NOTHING,
        headers: Mapping[str, str] = _NOTHING,
        body: Sequence[bytes] = (),
    ) -> Response:
        """Make one attempt and return the answer of a success.

        A POST goes to the place for uploads, a listing to the bucket's objects, all else to the
        object that the operation names. Raises PassingError, NotFoundError or RefusalError.
        """
        response = self.exchange(method, self._url(operation, method, query), headers, body)
        if response.status < 300:
            return response
        error = self.refusal(response, operation)
        if isinstance(error, RefusalError) and error.reason == UNCLEAR:
            self._check_bucket()
            raise NotFoundError(f'"{operation.key}" is not in {self.url}')
        raise error

    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: Sequence[bytes] = ()
    ) -> Response:
        """Make one attempt and return whatever the answer is; a token refused once is renewed."""
        if self._tokens is None:
            return self._send(method, url, headers, body)
        token = self._tokens.current()
        response = self._send(method, url, {**headers, **_bearer(token)}, body)
        if response.status != 401:
            return response
        response.close()
        token = self._tokens.renewed(token)
        return self._send(method, url, {**headers, **_bearer(token)}, body)

    def refusal(self, response: Response, operation: Operation) -> PitrError:
        """Read an answer that is no success and make the error to raise for it."""
        answer = Answer(status=response.status, headers=response.headers, body=response.read())
        return translate(answer, operation, url=self.url)

    def _check_bucket(self) -> None:
        """Raise unless the bucket is there: an object that is missing with it proves nothing."""
        operation = self.operation(f"list gs://{self.bucket}/", LIST)
        self.send(operation, "GET", query={"maxResults": "1", "fields": "nextPageToken"}).read()

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: Sequence[bytes]
    ) -> Response:
        request = Request(method=method, url=url, headers=headers, body=body)
        return self._connections.send(request)

    def _url(self, operation: Operation, method: str, query: Mapping[str, str]) -> str:
        """The address for an operation; every character of a name but the plain ones is quoted."""
        path = f"/storage/v1/b/{quote(self.bucket, safe='')}/o"
        if method == "POST":
            path = f"/upload{path}"
        elif operation.permission != LIST:
            path = f"{path}/{quote(operation.key or '', safe='')}"
        asked = urlencode(query, quote_via=quote, safe="")
        return f"{self._service}{path}{'?' + asked if asked else ''}"


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _customer_key(key: bytes | None) -> dict[str, str]:
    """The headers of a key that the server uses and forgets."""
    if key is None:
        return {}
    name = "x-goog-encryption-"
    return {
        f"{name}algorithm": "AES256",
        f"{name}key": base64.b64encode(key).decode(),
        f"{name}key-sha256": base64.b64encode(hashlib.sha256(key).digest()).decode(),
    }
