"""Listings, page by page, in the order of bytes (Cloud Storage JSON API, "Objects: list")."""

from __future__ import annotations

from collections.abc import Iterator

from backup_core.errors import StorageError
from backup_core.storage.base import ObjectInfo
from backup_core.storage.gcs.client import Client
from backup_core.storage.gcs.errors import LIST
from backup_core.storage.gcs.resource import PAGE_FIELDS, Page, parse_page
from backup_core.storage.retry import retried

_DELIMITER = "/"


def list_entries(client: Client, prefix: str, *, deep: bool, after: str) -> Iterator[ObjectInfo]:
    """Yield the objects below `prefix` and after `after`; unless `deep`, by the delimiter.

    The server's offset is the first to be listed, and brings the common prefix in which it lies.
    Raises StorageError if pages do not go on where the last ended, as the API promises.
    """
    last = after.encode()
    beginning = True
    for page in _pages(client, prefix, deep=deep, after=after):
        for entry in page.entries:
            key = entry.key.encode()
            if key > last:
                yield entry
                last, beginning = key, False
            elif not beginning and key != last:
                raise StorageError(
                    f'{client.url} lists "{entry.key}" after "{last.decode()}"',
                    hint="The server does not list in the order of bytes, which GCS promises.",
                )


def _pages(client: Client, prefix: str, *, deep: bool, after: str) -> Iterator[Page]:
    query = {"prefix": prefix, "maxResults": "1000", "fields": PAGE_FIELDS}
    if not deep:
        query["delimiter"] = _DELIMITER
    if after:
        query["startOffset"] = after
    while True:
        page = retried(lambda: _page(client, query), client.policy)
        yield page
        if not page.next_page:
            return
        query["pageToken"] = page.next_page


def _page(client: Client, query: dict[str, str]) -> Page:
    operation = client.operation(f"list gs://{client.bucket}/{query['prefix']}", LIST)
    return parse_page(client.send(operation, "GET", query=query).read(), client.url)
