"""Listings, page by page, in the order of bytes.

S3 lists in that order, and its pages are passed on as they come. SeaweedFS lists a directory tree
instead, where `a/b` comes before `a-b`; there each directory is listed by itself, and its
subdirectories wait for their place. A server that mixes its order otherwise is found out and
refused, since half the engine relies on it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import unquote_plus
from xml.etree import ElementTree

from backup_core.errors import StorageError
from backup_core.storage.base import ObjectInfo
from backup_core.storage.retry import PassingError, retried
from backup_core.storage.s3.client import Client

_DELIMITER = "/"


class Lister:
    """Lists the whole keys of a bucket."""

    def __init__(self, client: Client, *, version: int) -> None:
        self._client = client
        self._version = version

    def entries(self, prefix: str, *, deep: bool, after: str) -> Iterator[ObjectInfo]:
        """Yield the objects below `prefix` and after `after`; unless `deep`, by the delimiter."""
        pages = self._pages(prefix, "" if deep else _DELIMITER, after)
        first = [] if self._client.is_seaweedfs else next(pages)
        if self._client.is_seaweedfs:  # which may be known only now
            yield from self._walk(prefix, deep=deep, after=after.encode())
            return
        first = [entry for entry in first if not _is_above(entry, after)]
        yield from _checked(self._client.url, first, after)
        last = first[-1].key if first else ""
        for page in pages:
            yield from _checked(self._client.url, page, max(last, after, key=str.encode))
            last = page[-1].key if page else last

    def _walk(self, prefix: str, *, deep: bool, after: bytes) -> Iterator[ObjectInfo]:
        """Yield the entries of one directory that match, or the objects in and below it."""
        for entry in self._directory(prefix, _start_in_tree(prefix, after.decode())):
            key = entry.key.encode()
            if entry.modified is not None:
                if key > after:
                    yield entry
            elif deep:
                if key > after or after.startswith(key):
                    yield from self._walk(entry.key, deep=True, after=after)
            elif key > after and any(self._walk(entry.key, deep=True, after=b"")):
                yield entry  # a directory stays when the last object in it is deleted

    def _directory(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        """Merge a directory's subdirectories into their places between its objects.

        They arrive where their names stand without the slash, so each is held until a name comes
        that is greater with it.
        """
        waiting: list[tuple[bytes, ObjectInfo]] = []
        for page in self._pages(prefix, _DELIMITER, after):
            for entry in sorted(page, key=lambda entry: entry.key.rstrip(_DELIMITER).encode()):
                if entry.modified is None:
                    heapq.heappush(waiting, (entry.key.encode(), entry))
                    continue
                while waiting and waiting[0][0] < entry.key.encode():
                    yield heapq.heappop(waiting)[1]
                yield entry
        while waiting:
            yield heapq.heappop(waiting)[1]

    def _pages(self, prefix: str, delimiter: str, after: str) -> Iterator[list[ObjectInfo]]:
        """Yield each page's entries, sorted among themselves."""
        query = {"prefix": prefix, "encoding-type": "url", "max-keys": "1000"}
        if delimiter:
            query["delimiter"] = delimiter
        if self._version == 2:
            query["list-type"] = "2"
        if after:
            query["start-after" if self._version == 2 else "marker"] = after
        while True:
            page = retried(lambda: self._page(query), self._client.policy)
            entries = sorted(page.entries(), key=lambda entry: entry.key.encode())
            yield entries
            if page.text("IsTruncated") != "true":
                return
            if self._version == 2:
                query["continuation-token"] = page.text("NextContinuationToken")
                if not query["continuation-token"]:
                    raise StorageError(f"{self._client.url} lists more, but not how to go on")
            else:
                query["marker"] = page.next_marker() or entries[-1].key

    def _page(self, query: dict[str, str]) -> _Page:
        operation = self._client.operation("list", "s3:ListBucket", query["prefix"])
        response = self._client.send(operation, "GET", query=query)
        try:
            page = _Page(response.read())
        except ElementTree.ParseError:
            raise PassingError(
                f"{self._client.url} answered a listing with what is no XML"
            ) from None
        if page.name != "ListBucketResult":
            raise PassingError(f"{self._client.url} answered a listing with <{page.name}>")
        return page


def _is_above(entry: ObjectInfo, after: str) -> bool:
    """Tell whether it is the common prefix of `after` itself, which S3 gives while keys follow."""
    return entry.modified is None and after.startswith(entry.key)


def _start_in_tree(prefix: str, after: str) -> str:
    """Where a tree server may start so that nothing after `after` is passed over.

    It compares names without the slash, so `a` and `a-b` would pass over the directory `a`, whose
    keys come after them: the start is moved before what precedes the first character that is less
    than a slash.
    """
    parent = prefix[: prefix.rfind(_DELIMITER) + 1]
    if not after.startswith(parent):
        return ""
    name = after[len(parent) :].partition(_DELIMITER)[0]
    cut = next((i for i, letter in enumerate(name) if letter < _DELIMITER), len(name))
    return parent + name[: cut - 1] if cut > 1 else ""


class _Page:
    """A page of a listing (Amazon S3 API Reference, "ListObjectsV2").

    Elements are asked for by their full names: a wildcard for the namespace makes the search of
    each a walk in Python, which took more time than all the rest of a listing.
    """

    def __init__(self, document: bytes) -> None:
        self._root = ElementTree.fromstring(document)
        namespace, brace, self.name = self._root.tag.rpartition("}")
        self._namespace = namespace + brace
        self._is_quoted = self.text("EncodingType") == "url"

    def text(self, name: str) -> str:
        """The text of an element of the page, empty if there is none."""
        return self._root.findtext(self._namespace + name, "")

    def entries(self) -> Iterator[ObjectInfo]:
        """Yield objects and common prefixes as they stand, which is not yet their order."""
        name, size, modified = (self._namespace + tag for tag in ("Key", "Size", "LastModified"))
        for element in self._root.iterfind(f"{self._namespace}Contents"):
            key = self._unquoted(element.findtext(name, ""))
            if key.endswith(_DELIMITER):  # a console's or a tree server's mark for a directory
                continue
            yield ObjectInfo(
                key=key,
                size=int(element.findtext(size, "")),
                modified=_moment(element.findtext(modified, "")),
            )
        for element in self._root.iterfind(f"{self._namespace}CommonPrefixes"):
            prefix = self._unquoted(element.findtext(f"{self._namespace}Prefix", ""))
            yield ObjectInfo(key=prefix, size=0, modified=None)

    def next_marker(self) -> str:
        """Where the next page of the first version begins, if this one says."""
        return self._unquoted(self.text("NextMarker"))

    def _unquoted(self, text: str) -> str:
        """A server that does not know encoding-type sends keys as they are, and says nothing."""
        quoted = self._is_quoted and ("%" in text or "+" in text)
        return unquote_plus(text) if quoted else text


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(microsecond=0) if moment.microsecond else moment


def _checked(url: str, page: list[ObjectInfo], last: str) -> list[ObjectInfo]:
    """Raise unless the page goes on where the last ended."""
    if page and page[0].key.encode() <= last.encode():
        raise StorageError(
            f'{url} lists "{page[0].key}" after "{last}"',
            hint="The server does not list in the order of bytes, which S3 promises.",
        )
    return page
