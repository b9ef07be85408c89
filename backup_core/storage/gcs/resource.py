"""What the server says of objects, read from its JSON (Cloud Storage JSON API, "Objects").

What is not such a document came from something between the server and us, which may be gone at the
next attempt.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from backup_core.storage.base import ObjectInfo
from backup_core.storage.retry import PassingError

FIELDS = "size,timeCreated,generation,crc32c,metadata"
PAGE_FIELDS = "items(name,size,timeCreated),prefixes,nextPageToken"
WRITER = "pitr-writer"
_DELIMITER = "/"
_WRONG = (KeyError, ValueError, TypeError, AttributeError)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One version of an object; `checksum` is its CRC-32C in base64, `writer` the mark we left."""

    size: int
    created: datetime
    generation: str
    checksum: str | None
    writer: str | None


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of a listing, in the order of whole keys; `next_page` is empty on the last."""

    entries: tuple[ObjectInfo, ...]
    next_page: str


def parse_resource(document: bytes, url: str) -> Resource:
    """Read the description of an object; raises PassingError if it is none."""
    try:
        found = json.loads(document)
        return Resource(
            size=int(found["size"]),
            created=datetime.fromisoformat(found["timeCreated"]),
            generation=str(found["generation"]),
            checksum=found.get("crc32c"),
            writer=found.get("metadata", {}).get(WRITER),
        )
    except _WRONG:
        raise PassingError(f"{url} answered with what describes no object") from None


def parse_page(document: bytes, url: str) -> Page:
    """Read a page of a listing; raises PassingError if it is none.

    Objects and common prefixes come apart, each in order. An object whose name ends in the
    delimiter is a console's mark for a directory and no key of ours.
    """
    try:
        found = json.loads(document)
        entries = [
            ObjectInfo(
                key=item["name"],
                size=int(item["size"]),
                modified=datetime.fromisoformat(item["timeCreated"]),
            )
            for item in found.get("items", ())
            if not item["name"].endswith(_DELIMITER)
        ]
        entries += [
            ObjectInfo(key=str(prefix), size=0, modified=None)
            for prefix in found.get("prefixes", ())
        ]
        return Page(
            entries=tuple(sorted(entries, key=lambda entry: entry.key.encode())),
            next_page=str(found.get("nextPageToken", "")),
        )
    except _WRONG:
        raise PassingError(f"{url} answered a listing with what is none") from None
