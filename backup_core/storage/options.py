"""How a store is reached, as plain values: what was set has been read and checked elsewhere.

Here and not with the settings, because a store knows nothing of variables and files: a test, or
another program, opens one with the values that it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class S3Options:
    """What S3 needs to be told; sizes in bytes, times in seconds, None for the service's own.

    `endpoint` is `http://` or `https://`, a host and maybe a port; None is AWS. `path_style` None
    is path style if there is an endpoint or a dot in the bucket's name. Without static keys the
    SDK's chain of credentials decides. `sse` is `AES256`, `aws:kms` or `aws:kms:dsse`; `sse_c` is
    the customer's key, 32 bytes. `retention_period` locks each object for that long.
    """

    endpoint: str | None = None
    region: str | None = None
    path_style: bool | None = None
    dual_stack: bool = False
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    ca_cert_file: Path | None = None
    storage_class: str | None = None
    sse: str | None = None
    sse_kms_id: str | None = None
    sse_c: bytes | None = field(default=None, repr=False)
    retention_period: float | None = None
    retention_mode: str = "GOVERNANCE"
    part_size: int = 20 * _MIB
    list_version: int = 2
    delete_batch: int = 1000
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class GcsOptions:
    """What Google Cloud Storage needs to be told; sizes in bytes.

    `emulator` is a URL with its scheme. Without `credentials_file` the application default
    credentials are used. `encryption_key` is the customer's, 32 bytes. `chunk_size` is a multiple
    of 256 KiB, as resumable uploads want it. Without `normalize_prefix` the prefix keeps its
    slashes: object names that WAL-E wrote begin with one. None takes WAL-E's if there are any.
    """

    emulator: str | None = None
    credentials_file: Path | None = None
    encryption_key: bytes | None = field(default=None, repr=False)
    chunk_size: int = 16 * _MIB
    normalize_prefix: bool | None = True


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """What concerns every store, and what only one understands; times in seconds.

    `upload_concurrency` bounds the parts of large objects in flight, of all workers together.
    `request_timeout` is a time without a byte, `retry_timeout` how long one operation is tried
    again, `max_retries` how often. `https_proxy` is the URL of a proxy that leads to https://
    addresses, but not to the hosts and domains in `no_proxy`.
    """

    s3: S3Options = field(default_factory=S3Options)
    gcs: GcsOptions = field(default_factory=GcsOptions)
    connections: int = 8
    upload_concurrency: int = 4
    connect_timeout: float = 5.0
    request_timeout: float = 60.0
    retry_timeout: float = 120.0
    max_retries: int = 15
    https_proxy: str | None = field(default=None, repr=False)
    no_proxy: tuple[str, ...] = ()
