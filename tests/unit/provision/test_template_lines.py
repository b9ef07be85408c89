"""Templates cut into lines: nothing is lost, and each hole knows what it stands for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.content import Content, SecretPart, SecretRef
from provision.template_lines import Line, between, cut, lines_of

SECRET = SecretPart(ref=SecretRef(scheme="env", name="KEY"))
TEXTS = st.text("ab\n\r", max_size=12)
PARTS = st.lists(TEXTS | st.just(SECRET), max_size=6)


def lines(*parts: str | SecretPart, value: str | None) -> tuple[Line, ...]:
    return lines_of(Content.of(*parts), lambda _: value, lambda _: "<key>")


@given(parts=PARTS, value=TEXTS)
def test_the_lines_are_the_bytes(parts: list[str | SecretPart], value: str) -> None:
    """Every known secret is part of a line's key, and no line is more than one."""
    found = lines(*parts, value=value)
    text = Content.of(*parts).reveal(lambda _: value).decode()
    assert [line.key for line in found if line.key != ("",)] == [(each,) for each in cut(text)]


@given(parts=PARTS, value=st.from_regex(r"[c-z\n]{1,9}", fullmatch=True))
def test_no_line_shows_a_secret(parts: list[str | SecretPart], value: str) -> None:
    """Its letters are not those of the texts."""
    shown = "".join(line.shown for line in lines(*parts, value=value)).replace("<key>", "")
    assert set(shown) <= set("ab\n\r line 0123456789")


def test_a_secret_that_is_not_known_parts_the_key() -> None:
    """What stands around it is all that can be compared."""
    (line,) = lines("a=", SECRET, " b=", SECRET, "\n", value=None)
    assert line.key == ("a=", " b=", "\n")
    assert line.shown == "a=<key> b=<key>\n"


def test_a_secret_of_several_lines_is_shown_line_by_line() -> None:
    """So that they can be told apart."""
    assert [line.shown for line in lines("k: ", SECRET, "b", value="1\n2\n")] == [
        "k: <key>\n",
        "<key> line 2\n",
        "b",
    ]


@given(st.lists(st.text("ab", max_size=3), min_size=1, max_size=4), st.data())
def test_what_stands_between_literals_is_found(literals: list[str], data: st.DataObject) -> None:
    """Whatever it is, the pieces make up the text again."""
    gaps = [data.draw(st.text("abc", max_size=3)) for _ in literals[1:]]
    text = literals[0] + "".join(gap + after for gap, after in zip(gaps, literals[1:], strict=True))
    found = between(text, literals)
    assert found is not None
    assert text == literals[0] + "".join(
        gap + after for gap, after in zip(found, literals[1:], strict=True)
    )


@pytest.mark.parametrize(
    ("text", "literals"),
    [("ab", ["a"]), ("aba", ["ab", "ba"]), ("axb", ["a", "y", "b"]), ("xa", ["a", ""])],
)
def test_a_text_that_does_not_fit_has_nothing_between(text: str, literals: list[str]) -> None:
    """Literals do not overlap."""
    assert between(text, literals) is None
