"""Listings from a server of the test's own, which lists as the S3 API says, or breaks its word."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, quote_plus, urlsplit
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import StorageError
from backup_core.storage.base import Storage
from backup_core.storage.options import S3Options, StoreOptions
from backup_core.storage.registry import open_storage
from tests.support.faults import Answer
from tests.support.scripted import Asked, replying, serving

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
KEYS = st.sets(
    st.text("ab/-.0é\U0001f418", min_size=1, max_size=5).filter(
        lambda key: all(key.split("/")) and not set(key.split("/")) & {".", ".."}
    ),
    max_size=12,
)
Reply = Callable[[Asked], Answer]


@contextmanager
def listing(reply: Reply, *, version: int = 2, max_retries: int = 0) -> Iterator[Storage]:
    """A repository at the root of a bucket whose server answers so."""
    with serving(replying(reply)) as server:
        s3 = S3Options(
            endpoint=server.url.rstrip("/"),
            access_key_id="key",
            secret_access_key="secret",
            list_version=version,
        )
        yield open_storage("s3://bucket", StoreOptions(s3=s3, max_retries=max_retries))


def keys_of(store: Storage, prefix: str = "", delimiter: str | None = None) -> list[str]:
    """The keys of a listing, in its order."""
    return [info.key for info in store.list(prefix, delimiter=delimiter)]


def document(
    keys: list[str],
    *,
    more: str = "",
    last: str = "",
    quoted: bool = True,
    namespace: str = NAMESPACE,
) -> bytes:
    """A page; what ends in a slash is a common prefix."""

    def name(key: str) -> str:
        return quote_plus(key, safe="/") if quoted else escape(key)

    entries = "".join(
        f"<CommonPrefixes><Prefix>{name(key)}</Prefix></CommonPrefixes>"
        if key.endswith("/")
        else f"<Contents><Key>{name(key)}</Key><Size>{len(key)}</Size>"
        "<LastModified>2026-11-22T12:00:00.000Z</LastModified></Contents>"
        for key in keys
    )
    encoding = "<EncodingType>url</EncodingType>" if quoted else ""
    token = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    marker = f"<NextMarker>{name(last)}</NextMarker>" if last else ""
    head = f"<IsTruncated>{'true' if more or last else 'false'}</IsTruncated>{encoding}"
    root = f'<ListBucketResult xmlns="{namespace}">' if namespace else "<ListBucketResult>"
    return f"{root}{head}{token}{marker}{entries}</ListBucketResult>".encode()


def s3_of(stored: set[str], page_size: int) -> Reply:
    """A server that lists these keys as S3 does, so many entries a page, in either version."""

    def reply(asked: Asked) -> Answer:
        query = {name: values[0] for name, values in parse_qs(urlsplit(asked.path).query).items()}
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        token = query.get("continuation-token", "")
        after = bytes.fromhex(token).decode() if token else query.get("start-after", "")
        after = query.get("marker", after)
        entries: list[str] = []
        for key in sorted(stored, key=str.encode):
            if not key.startswith(prefix) or key.encode() <= after.encode():
                continue
            entry = rolled_up(key, prefix) if delimiter else key
            seen_before = (token or "marker" in query) and entry == after
            if entry not in entries and not seen_before:
                entries.append(entry)
        page, rest = entries[:page_size], entries[page_size:]
        if "list-type" in query:
            more = page[-1].encode().hex() if rest else ""
            return Answer(status=200, body=document(page, more=more))
        if rest and not delimiter:  # the first version names the next marker only with one
            text = document(page).replace(b">false<", b">true<")
            return Answer(status=200, body=text)
        return Answer(status=200, body=document(page, last=page[-1] if rest else ""))

    return reply


def rolled_up(key: str, prefix: str) -> str:
    """The key, or the common prefix that stands for it."""
    rest = key[len(prefix) :]
    return prefix + rest[: rest.index("/") + 1] if "/" in rest else key


@given(
    keys=KEYS,
    prefix=st.sampled_from(["", "a", "a/", "a/b", "b-"]),
    after=st.none() | st.text("ab/-0", max_size=4),
    delimiter=st.sampled_from([None, "/"]),
    version=st.sampled_from([1, 2]),
    page_size=st.integers(1, 4),
)
def test_a_listing_is_what_is_stored_however_it_is_paged(
    keys: set[str],
    prefix: str,
    after: str | None,
    delimiter: str | None,
    version: int,
    page_size: int,
) -> None:
    """Both versions of the request, any page size: complete, in order, once."""
    matching = {key for key in keys if key.startswith(prefix)}
    if delimiter:
        matching = {rolled_up(key, prefix) for key in matching}
    expected = [key for key in matching if key.encode() > (after or "").encode()]
    with listing(s3_of(keys, page_size), version=version) as store:
        found = store.list(prefix, delimiter=delimiter, start_after=after)
        assert [info.key for info in found] == sorted(expected, key=str.encode)


def test_a_directory_that_holds_the_start_is_passed_over() -> None:
    """S3 rolls up what follows in it, though the common prefix itself comes before the start."""
    with listing(s3_of({"a/b", "a/c", "b/d", "e"}, 1)) as store:
        found = store.list(delimiter="/", start_after="a/b")
        assert [info.key for info in found] == ["b/", "e"]


def test_size_and_time_are_told() -> None:
    """In bytes, and in a zone; a common prefix has neither."""
    with listing(s3_of({"abc", "dir/key"}, 10)) as store:
        found, above = store.list(delimiter="/")
    assert (found.key, found.size) == ("abc", 3)
    assert found.modified is not None
    assert found.modified.isoformat() == "2026-11-22T12:00:00+00:00"
    assert (above.key, above.size, above.modified) == ("dir/", 0, None)


@pytest.mark.parametrize("namespace", ["", NAMESPACE, "http://other.example/"])
def test_the_namespace_does_not_matter(namespace: str) -> None:
    """Servers disagree about it."""
    body = document(["a", "b/"], namespace=namespace)
    with listing(lambda _: Answer(status=200, body=body)) as store:
        assert keys_of(store) == ["a", "b/"]


def test_keys_are_unquoted_where_the_server_quoted_them() -> None:
    """Blanks come as plus signs, and a plus sign as its number."""
    keys = ["a\rb", "a b", "a%b", "a+b", "é"]
    with listing(lambda _: Answer(status=200, body=document(keys))) as store:
        assert keys_of(store) == keys


def test_keys_are_taken_as_they_are_where_the_server_did_not_quote() -> None:
    """A server that does not know the wish does not confirm it either."""
    keys = ["a b", "a%20b", "a+b", "a<&>b", "é"]
    body = document(keys, quoted=False)
    with listing(lambda _: Answer(status=200, body=body)) as store:
        assert keys_of(store) == keys


def test_marks_for_directories_are_no_objects() -> None:
    """Consoles put empty objects whose keys end in a slash."""
    mark = (
        b"<Contents><Key>a/</Key><Size>0</Size>"
        b"<LastModified>2026-11-22T12:00:00Z</LastModified></Contents><Contents><Key>a/b<"
    )
    body = document(["a/b"]).replace(b"<Contents><Key>a/b<", mark)
    with listing(lambda _: Answer(status=200, body=body)) as store:
        assert keys_of(store) == ["a/b"]


def test_a_listing_out_of_order_is_refused() -> None:
    """Half the engine relies on the order; what comes too late would be taken for absent."""

    def reply(asked: Asked) -> Answer:
        if "continuation-token" in asked.path:
            return Answer(status=200, body=document(["a"]))
        return Answer(status=200, body=document(["b"], more="token"))

    with listing(reply) as store, pytest.raises(StorageError, match='lists "a" after "b"'):
        keys_of(store)


def test_a_server_that_ignores_where_to_start_is_refused() -> None:
    """It would list the whole repository again for every question."""
    reply = s3_of({"a", "b", "c"}, 10)

    def forgetful(asked: Asked) -> Answer:
        path = asked.path.replace("start-after", "start-before")
        return reply(Asked(method="GET", path=path, headers={}, body=b""))

    with listing(forgetful) as store, pytest.raises(StorageError, match='lists "a" after "b"'):
        list(store.list(start_after="b"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"<html><body>welcome</body></html>",
        b"<Error><Code>InternalError</Code></Error>",
        document(["a", "b"])[:-30],
    ],
    ids=["nothing", "words", "page", "error", "cut"],
)
def test_what_is_no_listing_is_not_an_empty_one(body: bytes) -> None:
    """A status of 200 alone proves nothing: an empty listing would mean that there is no backup."""
    with (
        listing(lambda _: Answer(status=200, body=body)) as store,
        pytest.raises(StorageError, match="answered a listing with"),
    ):
        keys_of(store)


def test_a_page_that_fails_is_asked_for_again() -> None:
    """In the middle of a listing, without beginning anew."""
    reply = s3_of({f"{number:03}" for number in range(20)}, 3)
    asked_for: list[str] = []

    def troubled(asked: Asked) -> Answer:
        asked_for.append(asked.path)
        if len(asked_for) % 3 == 0:
            return Answer(status=503, body=b"<Error><Code>SlowDown</Code></Error>")
        return reply(asked)

    with listing(troubled, max_retries=5) as store:
        assert keys_of(store) == [f"{number:03}" for number in range(20)]
    assert len(set(asked_for)) == 7


def test_a_denied_listing_names_the_permission() -> None:
    """Of the bucket, not of an object."""
    body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    with (
        listing(lambda _: Answer(status=403, body=body)) as store,
        pytest.raises(StorageError, match="AccessDenied") as raised,
    ):
        keys_of(store)
    assert raised.value.hint == "Allow s3:ListBucket on arn:aws:s3:::bucket."
