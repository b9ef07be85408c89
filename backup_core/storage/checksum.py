"""CRC-32C, by which both object stores check bytes on their way (RFC 3720, appendix B.4).

A backup's manifest has it for each file (docs/decisions/digests.md).

google-crc32c computes it at the speed of memory and lets other threads run meanwhile, where a
SHA-256 of every object would cost about as much as compressing it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

import google_crc32c


def crc32c(chunks: Iterable[bytes], start: int = 0) -> int:
    """The checksum of the chunks joined, continuing from that of what came before."""
    checksum = start
    for chunk in chunks:
        checksum = google_crc32c.extend(checksum, chunk)
    return checksum


def as_base64(checksum: int) -> str:
    """The checksum as the stores write it: big-endian, in base64."""
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()
