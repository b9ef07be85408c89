"""AWS Signature Version 4 for S3, in the header of a request.

The signature covers the method, the path, the query and the headers that S3 asks for, and the
body by its SHA-256, or by the word UNSIGNED-PAYLOAD where TLS and a checksum header guard it
already (Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header").
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlsplit

UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"
_SIGNED = ("host", "content-md5", "x-amz-")  # what S3 asks for: others a proxy may have to change


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """An access key; `session_token` belongs to temporary ones."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def sign(
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    credentials: Credentials,
    region: str,
    payload_hash: str,
    now: datetime,
) -> dict[str, str]:
    """Return `headers` with the host, the date and the authorization added.

    `url` is as it is sent, quoted by quote_path and query_string; `now` is in UTC.
    """
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    sent = {name.lower(): value.strip() for name, value in headers.items()}
    sent |= {
        "host": urlsplit(url).netloc,
        "x-amz-content-sha256": payload_hash,
        "x-amz-date": stamp,
    }
    if credentials.session_token:
        sent["x-amz-security-token"] = credentials.session_token
    signed = {name: value for name, value in sent.items() if name.startswith(_SIGNED)}
    names = ";".join(sorted(signed))
    canonical = _canonical_request(method, url, signed, payload_hash)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join([_ALGORITHM, stamp, scope, digest])
    key = _signing_key(credentials.secret_access_key, stamp[:8], region)
    signature = _hmac(key, to_sign).hex()
    return sent | {
        "authorization": f"{_ALGORITHM} Credential={credentials.access_key_id}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    }


def quote_path(key: str) -> str:
    """Quote a key for a URL's path as the signature wants it."""
    return quote(key, safe="/-_.~")


def query_string(query: Mapping[str, str]) -> str:
    """Write a query as the signature wants it: sorted, every name with an equals sign."""
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query.items()
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def _canonical_request(method: str, url: str, signed: Mapping[str, str], payload_hash: str) -> str:
    parts = urlsplit(url)
    lines = (f"{name}:{' '.join(signed[name].split())}\n" for name in sorted(signed))
    names = ";".join(sorted(signed))
    return "\n".join([method, parts.path or "/", parts.query, "".join(lines), names, payload_hash])


def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
