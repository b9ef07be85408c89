"""A JSON document is read piece by piece, and never for something that it is not."""

import json
import tracemalloc
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError
from backup_core.stream.jsonstream import LARGEST_VALUE, JsonReader
from tests.support.streams import SIZES, cut

SCALAR = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
DOCUMENT = st.dictionaries(st.text(), VALUE, max_size=5)
INDENT = st.sampled_from([None, 0, 3])


def walk(chunks: Iterator[bytes]) -> dict[str, object]:
    """Read a document by entering what can be entered, one level deep."""
    reader = JsonReader(chunks, name="document")
    found: dict[str, object] = {}
    for key in reader.members():
        if reader.peek() == "{":
            found[key] = {inner: reader.value() for inner in reader.members()}
        elif reader.peek() == "[":
            found[key] = [reader.value() for _ in reader.elements()]
        else:
            found[key] = reader.value()
    reader.end()
    return found


def read_one(data: bytes) -> object:
    """Read the value of a document's only key."""
    reader = JsonReader([data], name="document")
    values = [reader.value() for _ in reader.members()]
    reader.end()
    return values[0]


@given(document=DOCUMENT, sizes=SIZES, indent=INDENT, ascii_only=st.booleans())
def test_it_reads_what_the_standard_library_reads(
    document: dict[str, object], sizes: Sequence[int], indent: int | None, ascii_only: bool
) -> None:
    """However it is cut into chunks, numbers included."""
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    data = text.encode("utf-8", "surrogatepass")
    assert walk(cut(data, sizes)) == json.loads(data.decode("utf-8", "surrogateescape"))


@given(document=DOCUMENT, sizes=SIZES)
def test_a_value_can_be_passed_over(document: dict[str, object], sizes: Sequence[int]) -> None:
    """Whatever is in it, brackets and quotation marks in strings included."""
    reader = JsonReader(cut(json.dumps([document, 7]).encode(), sizes), name="document")
    seen = []
    for _ in reader.elements():
        if reader.peek() == "{":
            reader.skip()
        else:
            seen.append(reader.value())
    reader.end()
    assert seen == [7]


def test_a_value_is_passed_over_wherever_it_is_cut() -> None:
    """Within a string, an escape or a character, and before a bracket that is in a string."""
    inner = {"[": [{"é\\": '"]"', "]": ["{", {}]}, '\\"', [], 1.5e3], "\U0001f418": "}"}
    data = json.dumps([inner, 7], ensure_ascii=False).encode()
    for at in range(len(data)):
        reader = JsonReader([data[:at], data[at:]], name="document")
        seen = []
        for _ in reader.elements():
            if reader.peek() == "{":
                reader.skip()
            else:
                seen.append(reader.value())
        reader.end()
        assert seen == [7]


@pytest.mark.parametrize("row", [b'"",', b"1,", b'"x",', b"\\n"], ids=repr)
def test_a_hostile_value_takes_no_memory_either(row: bytes) -> None:
    """Neither many small strings nor a long one that is all escapes."""
    whole = row * ((4 << 20) // len(row))
    chunks = [whole[at : at + (1 << 18)] for at in range(0, len(whole), 1 << 18)]
    reader = JsonReader([b'["' if row == b"\\n" else b"[", *chunks], name="document")
    tracemalloc.start()
    try:
        with pytest.raises(CorruptError):
            reader.skip()
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_passing_over_takes_no_memory() -> None:
    """A value far larger than any that may be decoded goes by."""
    row = b'{"a]": [1, "\\"}%s"]},' % (b"x" * 1000)
    rows = (row * 100 for _ in range(2 * LARGEST_VALUE // (100 * len(row))))
    reader = JsonReader(iter([b"[[", *rows, b"0], 5]"]), name="document")
    seen = []
    for place, _ in enumerate(reader.elements()):
        if place == 0:
            reader.skip()
        else:
            seen.append(reader.value())
    assert seen == [5]


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b" ", b"[", b"{", b'{"a"', b'{"a":', b'{"a": 1', b'{"a": 1}x', b'{"a": 01}'),
        *(b'{"a": 1,}', b'{"a" 1}', b'{"a": 1 "b": 2}', b"{1: 2}", b'{"a": NaN}', b'{"a": "\n"}'),
        *(b'{"a": 1.}', b'{"a": -}', b'{"a": .5}', b'{"a": tru}', b'{"a": "\\u12"}', b"nul", b"7"),
    ],
)
def test_what_is_no_such_document_is_corrupt(data: bytes) -> None:
    """The error names the document."""
    with pytest.raises(CorruptError, match="document is not the JSON document"):
        walk(iter([data]))


@pytest.mark.parametrize(
    "value", [b"[" * 100_000, b'"' + b"x" * (LARGEST_VALUE + 3_000_000) + b'"', b"1" * 5000]
)
def test_a_value_that_no_writer_makes_is_corrupt(value: bytes) -> None:
    """Too deep, too long, too large a number: neither memory nor the stack is exhausted."""
    chunks = [value[at : at + 1000] for at in range(0, len(value), 1000)]
    reader = JsonReader([b'{"a": ', *chunks, b"}"], name="document")
    with pytest.raises(CorruptError):
        _ = [reader.value() for _ in reader.members()]


def test_null_is_an_object_or_array_of_nothing() -> None:
    """As Go writes an empty map."""
    reader = JsonReader([b'{"a": null, "b": null}'], name="document")
    found = [
        [*reader.members()] if key == "a" else [*reader.elements()] for key in reader.members()
    ]
    assert found == [[], []]
    assert walk(iter([b"null"])) == {}


def test_integers_are_exact() -> None:
    """A system identifier does not fit a float."""
    assert read_one(b'{"a": 18446744073709551615}') == 18446744073709551615


def test_bytes_that_are_not_utf_8_become_surrogates() -> None:
    """As in the names of files, also where they are cut by a chunk's border or escaped."""
    assert read_one(b'{"a": "caf\xe9"}') == "caf\udce9"
    assert read_one(b'{"a": "caf\\udce9"}') == "caf\udce9"
    assert walk(iter([b'{"caf\xc3', b'\xa9": 1}'])) == {"café": 1}


def test_a_document_that_ends_within_a_character_is_corrupt() -> None:
    """Though nothing but that follows the document."""
    with pytest.raises(CorruptError):
        walk(iter([b'{"a": 1}\xc3']))


@given(document=DOCUMENT, at=st.integers(0, 10_000), bit=st.integers(0, 7), cut_off=st.booleans())
def test_a_damaged_document_is_an_error_or_another_document(
    document: dict[str, object], at: int, bit: int, cut_off: bool
) -> None:
    """There is no other exception, and no hang."""
    data = bytearray(json.dumps(document).encode())
    at %= len(data)
    if cut_off:
        del data[at:]
    else:
        data[at] ^= 1 << bit
    try:
        walk(iter([bytes(data)]))
    except CorruptError:
        pass
    else:
        assert not cut_off
