"""Elements of a page, built so that nothing can be forgotten to be escaped.

What is a plain text becomes text, whatever it holds: the names of backups and hosts come from a
store that others may write to. Only what was built here is markup. A template engine would have to
be told the same, and the engine's hosts would need one (docs/decisions/report.md).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from html import escape
from typing import TypeAlias

_VOID = {"br", "hr", "link", "meta", "rect", "line", "circle", "path", "use", "col"}
_INVISIBLE = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Content: TypeAlias = "str | Iterable[Content] | None"


def tag(name: str, /, *content: Content, **attributes: str | bool | None) -> Markup:
    """An element; an attribute's `_` stands for `-`, one at its end for nothing.

    None leaves a child or an attribute out, True gives an attribute without a value.
    """
    opening = name + "".join(_attribute(key, value) for key, value in attributes.items())
    inner = join(*content)
    if not inner and name in _VOID:
        return Markup(f"<{opening}/>")
    return Markup(f"<{opening}>{inner}</{name}>")


def join(*content: Content) -> Markup:
    """Several contents after each other."""
    return Markup("".join(_text(item) for item in content))


def visible(text: str) -> str:
    """The text with what cannot be seen, or would turn the line around, written out."""
    return "".join(
        letter if unicodedata.category(letter) not in _INVISIBLE else _written(letter)
        for letter in text
    )


def _text(content: Content) -> str:
    if content is None:
        return ""
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return escape(visible(content), quote=True)
    return "".join(map(_text, content))


def _attribute(key: str, value: str | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(visible(value), quote=True)}"'


def _written(letter: str) -> str:
    return letter.encode("unicode_escape", "surrogatepass").decode()
