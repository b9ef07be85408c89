"""A text that is quoted for one kind of place, and what all kinds refuse."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from provision.errors import QuotingError

Place = Literal[
    "comment",
    "conninfo",
    "cron",
    "env",
    "logrotate",
    "metric",
    "pg_command",
    "pg_conf",
    "pgpass",
    "sh",
    "sql",
    "systemd",
    "toml",
    "yaml",
]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Quoted:
    """A text as it stands in a place of the kind `sink`."""

    sink: Place
    text: str


@dataclass(frozen=True, kw_only=True)
class Sink:
    """How one kind of place writes any text: `opening`, the escaped text, `closing`.

    `escape` goes by characters, so a text may be escaped in pieces; it raises QuotingError for what
    the place cannot hold. Calling the sink quotes a whole text, which is what a secret's part in a
    content needs.
    """

    place: Place
    escape: Callable[[str], str]
    opening: str = ""
    closing: str = ""

    def __call__(self, text: str) -> str:
        """Return the text as it stands in such a place."""
        return f"{self.opening}{self.escape(text)}{self.closing}"


def join(parts: Iterable[Quoted], separator: str = " ") -> Quoted:
    """Put parts for the same kind of place side by side; raises QuotingError for a mixture."""
    found = tuple(parts)
    places = {part.sink for part in found}
    if len(places) != 1:
        raise QuotingError(f"texts for {', '.join(sorted(places)) or 'no place'} cannot be joined")
    return Quoted(found[0].sink, separator.join(part.text for part in found))


def text_for(place: Place, value: str | Quoted, *, accepts: Iterable[Place] = ()) -> str:
    """Return the text of `value`, which is plain or quoted for a place that `accepts` names."""
    return value if isinstance(value, str) else quoted_text(place, value, accepts=accepts)


def quoted_text(place: Place, value: object, *, accepts: Iterable[Place]) -> str:
    """Return the text of `value`, which must be quoted for a place that `accepts` names."""
    if not isinstance(value, Quoted):
        raise QuotingError(f"a {type(value).__name__} is no command yet", hint="Quote its words.")
    if value.sink not in accepts:
        raise QuotingError(f"{shown(value.text)} is quoted for {value.sink}, not for {place}")
    return value.text


def encodable(text: str, place: str) -> str:
    """Return `text`; refuse NUL, and what is no text in UTF-8."""
    if "\0" in text:
        raise QuotingError(f"{shown(text)} cannot stand in {place}: it has a NUL byte")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise QuotingError(f"{shown(text)} cannot stand in {place}: it is not UTF-8") from None
    return text


def one_line(text: str, place: str) -> str:
    """Return `text`; refuse control characters, among them everything that ends a line."""
    if _CONTROL.search(text):
        raise QuotingError(f"{shown(text)} cannot stand in {place}: it has a control character")
    return encodable(text, place)


def shown(text: str) -> str:
    """A few characters of a text for a message; a secret may stand in it, so only their number."""
    return f"a text of {len(text)} characters"
