"""Deleting in batches: what the server says of each key is what the caller hears of it."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import md5
from itertools import chain
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.storage.base import Storage
from backup_core.storage.options import S3Options, StoreOptions
from backup_core.storage.registry import open_storage
from tests.support.faults import Answer
from tests.support.scripted import Asked, replying, serving

DONE = Answer(status=200, body=b"<DeleteResult/>")


@contextmanager
def deleting(
    reply: Callable[[Asked], Answer], *, batch: int = 1000, max_retries: int = 3
) -> Iterator[Storage]:
    """A repository below `main/` in a bucket whose server answers so."""
    with serving(replying(reply)) as server:
        s3 = S3Options(
            endpoint=server.url.rstrip("/"),
            access_key_id="key",
            secret_access_key="secret",
            delete_batch=batch,
        )
        yield open_storage("s3://bucket/main", StoreOptions(s3=s3, max_retries=max_retries))


def keys_in(asked: Asked) -> list[str]:
    """The whole keys that a request asks to delete."""
    return [key.text or "" for key in ElementTree.fromstring(asked.body).iterfind("Object/Key")]


def failed(key: str, code: str, said: str = "Sorry") -> str:
    """What the server says of a key that it did not delete."""
    return f"<Error><Key>{key}</Key><Code>{code}</Code><Message>{said}</Message></Error>"


def result(*errors: str, namespace: str = "") -> Answer:
    """An answer of 200 with what was not deleted."""
    body = f"<DeleteResult{namespace}>{''.join(errors)}</DeleteResult>"
    return Answer(status=200, body=body.encode())


@given(count=st.integers(0, 60), batch=st.integers(1, 20))
def test_every_key_is_asked_for_once_in_batches(count: int, batch: int) -> None:
    """No request has more keys than the server takes, and none is empty."""
    requests: list[list[str]] = []

    def reply(asked: Asked) -> Answer:
        requests.append(keys_in(asked))
        return DONE

    keys = [f"key{number}" for number in range(count)]
    with deleting(reply, batch=batch) as store:
        assert store.delete(iter(keys)) == dict.fromkeys(keys)
    assert sorted(chain.from_iterable(requests)) == sorted(f"main/{key}" for key in keys)
    assert all(0 < len(request) <= batch for request in requests)


def test_the_request_is_one_that_s3_takes() -> None:
    """A digest of the document, and no more said than has to be."""
    seen: list[Asked] = []

    def reply(asked: Asked) -> Answer:
        seen.append(asked)
        return DONE

    with deleting(reply) as store:
        store.delete(["key"])
    (asked,) = seen
    assert (asked.method, asked.path) == ("POST", "/bucket/?delete=")
    assert asked.headers["content-md5"] == b64encode(md5(asked.body).digest()).decode()
    assert b"<Quiet>true</Quiet>" in asked.body


@pytest.mark.parametrize("key", ["a&b", "<a>", "a\rb", "a\nb", "a b", "é\U0001f418", '"', "]]>"])
def test_odd_keys_survive_the_document(key: str) -> None:
    """The key that the server reads is the key that was meant."""
    seen: list[str] = []

    def reply(asked: Asked) -> Answer:
        seen.extend(keys_in(asked))
        return DONE

    with deleting(reply) as store:
        assert store.delete([key]) == {key: None}
    assert seen == [f"main/{key}"]


@pytest.mark.parametrize("namespace", ["", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'])
def test_a_refused_key_is_reported_and_the_others_are_not(namespace: str) -> None:
    """With the server's code and words."""
    answer = result(failed("main/two", "AccessDenied", "Access Denied"), namespace=namespace)
    with deleting(lambda _: answer) as store:
        assert store.delete(["one", "two", "three"]) == {
            "one": None,
            "two": "AccessDenied: Access Denied",
            "three": None,
        }


def test_a_key_that_is_not_there_counts_as_deleted() -> None:
    """Some servers report it."""
    with deleting(lambda _: result(failed("main/gone", "NoSuchKey"))) as store:
        assert store.delete(["gone"]) == {"gone": None}


@pytest.mark.parametrize("code", ["InternalError", "SlowDown", "ServiceUnavailable"])
def test_keys_in_trouble_are_asked_for_again(code: str) -> None:
    """Only those: what is deleted may have been put again by somebody else."""
    requests: list[list[str]] = []

    def reply(asked: Asked) -> Answer:
        requests.append(keys_in(asked))
        return (
            result(failed("main/b", code), failed("main/c", "AccessDenied"))
            if (len(requests) == 1)
            else DONE
        )

    with deleting(reply) as store:
        outcome = store.delete(["a", "b", "c"])
    assert requests == [["main/a", "main/b", "main/c"], ["main/b"]]
    assert outcome == {"a": None, "b": None, "c": "AccessDenied: Sorry"}


def test_trouble_that_stays_is_reported_for_its_key() -> None:
    """The keys that were deleted stay deleted in the report."""
    with deleting(lambda _: result(failed("main/b", "InternalError")), max_retries=1) as store:
        assert store.delete(["a", "b"]) == {"a": None, "b": "InternalError: Sorry"}


def test_trouble_after_trouble_keeps_what_is_known() -> None:
    """The server deletes some, fails for one, and then refuses to be asked."""
    answers = iter([result(failed("main/b", "InternalError")), Answer(status=403)])
    with deleting(lambda _: next(answers)) as store:
        assert store.delete(["a", "b"]) == {"a": None, "b": "InternalError: Sorry"}


def test_a_refused_request_is_reported_for_each_of_its_keys() -> None:
    """The batches around it are not affected."""

    def reply(asked: Asked) -> Answer:
        if "main/c" in keys_in(asked):
            return Answer(status=403, body=b"<Error><Code>AccessDenied</Code></Error>")
        return DONE

    with deleting(reply, batch=2) as store:
        outcome = store.delete(["a", "b", "c", "d", "e"])
    assert [key for key, reason in outcome.items() if reason] == ["c", "d"]
    assert "AccessDenied" in (outcome["c"] or "")


@pytest.mark.parametrize(
    "body",
    [b"", b"fine", b"<html/>", b"<Error><Code>InternalError</Code></Error>", b"<DeleteResult>"],
    ids=["nothing", "words", "page", "error", "cut"],
)
def test_what_is_no_result_deletes_nothing(body: bytes) -> None:
    """A status of 200 alone proves nothing."""
    with deleting(lambda _: Answer(status=200, body=body), max_retries=0) as store:
        outcome = store.delete(["a", "b"])
    assert all("answered a deletion with" in (reason or "") for reason in outcome.values())
    assert list(outcome) == ["a", "b"]


@pytest.mark.parametrize("stranger", ["", "main/other", "a"])
def test_an_error_for_an_unknown_key_is_an_error_for_all(stranger: str) -> None:
    """Something was not deleted; that it was one of these cannot be excluded."""
    with deleting(lambda _: result(failed(stranger, "AccessDenied"))) as store:
        outcome = store.delete(["b", "c"])
    assert set(outcome) == {"b", "c"}
    assert all(outcome.values())


def test_impossible_keys_are_refused_and_not_sent() -> None:
    """The others of the batch are deleted."""
    seen: list[str] = []

    def reply(asked: Asked) -> Answer:
        seen.extend(keys_in(asked))
        return DONE

    with deleting(reply) as store:
        outcome = store.delete(["a", "../b", "c"])
    assert seen == ["main/a", "main/c"]
    assert outcome["a"] is None
    assert re.search("cannot be the key", outcome["../b"] or "")


def test_a_denied_deletion_hints_at_everything_below_the_prefix() -> None:
    """The permission is wanted for the repository, not for a key that ends in a slash."""
    denied = Answer(status=403, body=b"<Error><Code>AccessDenied</Code></Error>")
    with deleting(lambda _: denied) as store:
        outcome = store.delete(["a"])
    assert "s3://bucket/main/" in (outcome["a"] or "")
