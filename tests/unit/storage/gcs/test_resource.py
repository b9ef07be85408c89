"""Reading what the server says of objects."""

import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.storage.gcs.resource import parse_page, parse_resource
from backup_core.storage.retry import PassingError

URL = "gs://bucket/main"
RESOURCE = {
    "size": "12",
    "timeCreated": "2026-11-22T12:00:00.123Z",
    "generation": "1700000000000000",
    "crc32c": "AAAAAA==",
    "metadata": {"pitr-writer": "abc"},
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from([*RESOURCE, "items", "prefixes", "name"]), inner)
    ),
    max_leaves=20,
)


def test_a_description_has_numbers_as_text() -> None:
    """The API writes sizes and generations as strings, for readers whose numbers are doubles."""
    found = parse_resource(json.dumps(RESOURCE).encode(), URL)
    assert (found.size, found.generation) == (12, "1700000000000000")
    assert found.created == datetime(2026, 11, 22, 12, 0, 0, 123000, tzinfo=UTC)
    assert (found.checksum, found.writer) == ("AAAAAA==", "abc")


@pytest.mark.parametrize("missing", ["crc32c", "metadata"])
def test_others_leave_fields_out(missing: str) -> None:
    """What another program wrote has no mark, and with a customer's key maybe no checksum."""
    document = {name: value for name, value in RESOURCE.items() if name != missing}
    assert parse_resource(json.dumps(document).encode(), URL).size == 12


def test_a_page_is_put_in_order() -> None:
    """Objects and common prefixes come apart; a mark for a directory is no object."""
    item = {"size": "1", "timeCreated": "2026-11-22T12:00:00Z"}
    document = {
        "items": [{"name": name, **item} for name in ("a-b", "a/", "b")],
        "prefixes": ["a/", "c/"],
        "nextPageToken": "token",
    }
    page = parse_page(json.dumps(document).encode(), URL)
    assert [entry.key for entry in page.entries] == ["a-b", "a/", "b", "c/"]
    assert [entry.modified is None for entry in page.entries] == [False, True, False, True]
    assert page.next_page == "token"


def test_an_empty_page_says_nothing() -> None:
    """A listing without objects is an empty document."""
    page = parse_page(b"{}", URL)
    assert (page.entries, page.next_page) == ((), "")


@given(st.binary(max_size=50) | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_whatever_is_no_such_document_may_pass(document: bytes) -> None:
    """Something between server and client answered, or the answer was cut: it is asked again."""
    for parse in (parse_resource, parse_page):
        with suppress(PassingError):
            parse(document, URL)
