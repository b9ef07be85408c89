"""Values that only object stores know."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.config import store_values
from tests.unit.config.arrange import refusal


@given(key=st.binary(min_size=32, max_size=32))
def test_a_key_in_base64(key: bytes) -> None:
    """Both stores' keys are written in base64."""
    text = b64encode(key).decode()
    assert store_values.key_of_32_bytes(text) == key
    assert store_values.key_in_base64(text) == key


@given(key=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=32, max_size=32))
def test_a_key_as_it_is(key: str) -> None:
    """WAL-G takes 32 characters for the key itself, even if they look like base64."""
    assert store_values.key_of_32_bytes(key) == key.encode()


@pytest.mark.parametrize("text", ["", "short", "x" * 33, b64encode(b"x" * 16).decode(), "é" * 32])
def test_no_key_of_another_length(text: str) -> None:
    """A key is 32 bytes or an error, which does not repeat it."""
    for parse in (store_values.key_of_32_bytes, store_values.key_in_base64):
        hint = refusal(parse, text)
        assert hint
        assert not text or text not in hint


@pytest.mark.parametrize(
    ("text", "size"), [("5MiB", 5 << 20), ("20971520", 20 << 20), ("5GB", 5 << 30)]
)
def test_part_sizes_of_s3(text: str, size: int) -> None:
    """Both ends are allowed."""
    assert store_values.part_size(text) == size


@pytest.mark.parametrize("text", ["5242879", "1", "6GiB", "big"])
def test_sizes_that_s3_refuses_are_refused(text: str) -> None:
    """Sooner here than in the middle of a backup."""
    assert refusal(store_values.part_size, text)


@given(size=st.integers(1, 1 << 40))
def test_a_chunk_is_a_multiple_of_256_kib(size: int) -> None:
    """Rounded down, as little as possible, and never to nothing."""
    chunk = store_values.chunk_size(str(size))
    assert chunk % (256 << 10) == 0
    assert chunk == 256 << 10 or 0 <= size - chunk < 256 << 10


@pytest.mark.parametrize(
    ("text", "seconds"), [("-1", None), ("0", None), ("none", None), ("3650d", 3650 * 86400)]
)
def test_retention(text: str, seconds: float | None) -> None:
    """WAL-G's -1 is no lock, and a lock may last for years."""
    assert store_values.retention(text) == seconds


@pytest.mark.parametrize("text", ["-2", "forever", "40000d"])
def test_no_other_retention(text: str) -> None:
    """More than a century is a slip."""
    assert refusal(store_values.retention, text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "[]", '"a"', '{"a": 1}', '{"a": ""}', '{"": "b"}', '{"a b": "c"}'),
        *('{"a": "b\\r\\nc: d"}', '{"a": "é"}', '{"Host": "x"}', '{"authorization": "x"}'),
        "[" * 100_000,
    ],
)
def test_what_is_no_header_is_refused(text: str) -> None:
    """Nothing that could break a request, or take over one, gets into it."""
    assert refusal(store_values.headers, text)
