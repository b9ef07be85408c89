"""Signed requests to one bucket: where it is, who asks, and what a refusal means."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from backup_core.errors import StorageError
from backup_core.storage.http import Connections, Request, Response
from backup_core.storage.options import StoreOptions
from backup_core.storage.retry import RetryPolicy
from backup_core.storage.s3.credentials import credential_source
from backup_core.storage.s3.errors import Answer, Operation, redirected_region, translate
from backup_core.storage.s3.signing import (
    EMPTY_SHA256,
    UNSIGNED,
    query_string,
    quote_path,
    sign,
)

_DEFAULT_REGION = "us-east-1"
_NOTHING: Mapping[str, str] = {}


class Client:
    """Sends requests to a bucket; safe for threads. Nothing is connected before the first."""

    def __init__(self, bucket: str, url: str, options: StoreOptions) -> None:
        self.bucket = bucket
        self.url = url
        self.policy = RetryPolicy(timeout=options.retry_timeout, max_retries=options.max_retries)
        self._options = options.s3
        self._source = credential_source(options.s3)
        self._region = options.s3.region
        self._server = ""
        self._connections = Connections(
            connect_timeout=options.connect_timeout,
            request_timeout=options.request_timeout,
            idle=options.connections,
            ca_file=options.s3.ca_cert_file,
            proxy=options.https_proxy,
            no_proxy=options.no_proxy,
        )

    @property
    def is_seaweedfs(self) -> bool:
        """Whether the server has said that it is SeaweedFS, which differs in two ways from S3.

        It lists a tree (see listing), and of several completions of multipart uploads to one key
        that arrive together more than one can win (see conditional).
        """
        return self._server.startswith("SeaweedFS")

    def operation(self, words: str, permission: str, key: str | None = None) -> Operation:
        """Describe a request for the messages about it; `key` is the whole one in the bucket."""
        whole = f"arn:aws:s3:::{self.bucket}"
        return Operation(
            words=words if key is None else f"{words} s3://{self.bucket}/{key}",
            permission=permission,
            resource=whole if permission == "s3:ListBucket" else f"{whole}/{_pattern(key)}",
            key=key,
        )

    def send(
        self,
        operation: Operation,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] = _NOTHING,
        headers: Mapping[str, str] = _NOTHING,
        body: Sequence[bytes] = (),
    ) -> Response:
        """Make one attempt and return the answer of a success.

        Raises PassingError, NotFoundError or RefusalError (see translate).
        """
        tried = set()
        while True:
            tried.add(region := self.region())
            response = self._send_once(region, method, key, query, headers, body)
            if response.status < 300:
                self._server = response.headers.get("server", "")
                return response
            answer = Answer(
                status=response.status,
                headers=response.headers,
                body=response.read(),
            )
            other = redirected_region(answer)
            if other is None or other in tried:
                raise translate(answer, operation, url=self.url)
            self._region = other

    def region(self) -> str:
        """The bucket's region, as far as it is known."""
        if self._region is None:
            self._region = self._source.region or _DEFAULT_REGION
        return self._region

    def _send_once(
        self,
        region: str,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Sequence[bytes],
    ) -> Response:
        url = self._base(region) + quote_path(key)
        if query:
            url += "?" + query_string(query)
        signed = sign(
            method,
            url,
            {**self._options.headers, **headers},
            credentials=self._source.current(),
            region=region,
            payload_hash=_payload_hash(url, body),
            now=datetime.now(UTC),
        )
        return self._connections.send(Request(method=method, url=url, headers=signed, body=body))

    def _base(self, region: str) -> str:
        """The bucket's address, with a slash at its end."""
        endpoint = self._options.endpoint or self._aws_endpoint(region)
        parts = urlsplit(endpoint)
        if not parts.hostname:
            raise StorageError(f'"{endpoint}" is not an endpoint', hint="Write https://host:port.")
        path = parts.path.rstrip("/")
        if self._uses_path(parts.hostname):
            return f"{parts.scheme}://{parts.netloc}{path}/{quote_path(self.bucket)}/"
        return f"{parts.scheme}://{self.bucket}.{parts.netloc}{path}/"

    def _aws_endpoint(self, region: str) -> str:
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        stack = "s3.dualstack" if self._options.dual_stack else "s3"
        return f"https://{stack}.{region}.{suffix}"

    def _uses_path(self, host: str) -> bool:
        """A bucket's own host name needs DNS and a certificate, which own servers seldom have."""
        if self._options.path_style is not None:
            return self._options.path_style
        return not host.endswith((".amazonaws.com", ".amazonaws.com.cn")) or "." in self.bucket


def _pattern(key: str | None) -> str:
    """What a policy calls one object, or all below a prefix."""
    return key if key and not key.endswith("/") else f"{key or ''}*"


def _payload_hash(url: str, body: Sequence[bytes]) -> str:
    if not body:
        return EMPTY_SHA256
    if url.startswith("https:"):
        return UNSIGNED
    digest = hashlib.sha256()
    for chunk in body:
        digest.update(chunk)
    return digest.hexdigest()
