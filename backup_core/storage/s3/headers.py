"""What is said of a new object: its class and encryption, how long it is kept, and who wrote it."""

from __future__ import annotations

import base64
import hashlib
import os
from datetime import UTC, datetime, timedelta

from backup_core.storage.options import S3Options
from backup_core.storage.s3.conditional import WRITER


def object_headers(options: S3Options) -> dict[str, str]:
    """Headers of one new object, with a mark by which its writer knows it again."""
    headers = {
        "x-amz-storage-class": options.storage_class,
        "x-amz-server-side-encryption": options.sse,
        "x-amz-server-side-encryption-aws-kms-key-id": options.sse_kms_id,
    }
    if options.retention_period is not None:
        until = datetime.now(UTC) + timedelta(seconds=options.retention_period)
        headers |= {
            "x-amz-object-lock-mode": options.retention_mode,
            "x-amz-object-lock-retain-until-date": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    said = {name: value for name, value in headers.items() if value is not None}
    return {**said, **customer_key(options), WRITER: os.urandom(16).hex()}


def customer_key(options: S3Options) -> dict[str, str]:
    """The headers of a key that the server uses and forgets (SSE-C); reading needs them too."""
    if options.sse_c is None:
        return {}
    name = "x-amz-server-side-encryption-customer-"
    digest = hashlib.md5(options.sse_c, usedforsecurity=False).digest()
    return {
        f"{name}algorithm": "AES256",
        f"{name}key": base64.b64encode(options.sse_c).decode(),
        f"{name}key-MD5": base64.b64encode(digest).decode(),
    }
