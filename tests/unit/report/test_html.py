"""Nothing that is put into a page can be anything but text."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.report.html import Markup, join, tag, visible


class Reader(HTMLParser):
    """Notes the elements, attributes and texts of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(), st.text())
def test_any_text_stays_text(content: str, attribute: str) -> None:
    """As content and as the value of an attribute."""
    reader = Reader()
    reader.feed(tag("p", content, title=attribute))
    reader.close()
    assert reader.tags == [("p", [("title", visible(attribute))])]
    assert reader.text == visible(content)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "a\\u202eb"),
        ("a\x00b\n", "a\\x00b\\n"),
        ("a\ud800", "a\\ud800"),
        ("ordinary — text", "ordinary — text"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    """So that no name looks like another, and every page can be encoded."""
    assert visible(text) == shown
    assert tag("p", text).encode()


def test_only_what_was_built_is_markup() -> None:
    """Joining keeps the two apart."""
    assert join("<b>", tag("b", "x"), [None, "&"]) == "&lt;b&gt;<b>x</b>&amp;"
    assert isinstance(join("x"), Markup)


def test_attributes_that_are_left_out_are_not_written() -> None:
    """None and False; True has no value."""
    assert tag("a", href=None, hidden=True, open=False, class_="x") == '<a hidden class="x"></a>'
