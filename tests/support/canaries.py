"""Secrets that are planted everywhere and must not come out anywhere.

Each has a mark of its own in every line, so that a piece of one is found as well as all of it, and
whatever the quoting around it: marks are letters and digits, which no quoting changes.
"""

from __future__ import annotations

import itertools
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from hypothesis import strategies as st

_AWKWARD = st.text("'\"\\%:/+=&$`#*<>{} é✓\U0001f418", max_size=6)


@dataclass(frozen=True)
class Canary:
    """A secret value, and the marks by which it is found."""

    value: str
    marks: tuple[str, ...]

    def seen_in(self, data: bytes) -> Iterator[str]:
        """The forms of it that are in some bytes: plain, base64 at any offset, hexadecimal."""
        for mark in self.marks:
            for form in (mark, mark.encode().hex(), *_base64(mark.encode())):
                if form.encode() in data or form.encode("utf-16-le") in data:
                    yield form


def lines(name: str) -> st.SearchStrategy[Canary]:
    """A password, however hard to quote: it begins and ends with a mark that has `name` in it."""
    first, last = mark(f"{name} first"), mark(f"{name} last")
    return st.builds(lambda text: Canary(f"{first}{text}{last}", (first, last)), _AWKWARD)


def keys(name: str) -> st.SearchStrategy[Canary]:
    """A private key of several lines, each of which has a mark made from `name`."""
    return st.integers(2, 4).map(lambda count: _key([mark(f"{name} {n}") for n in range(count)]))


def mark(name: str) -> str:
    """Fourteen letters and digits that no text has by chance."""
    return f"zq{sha256(name.encode()).hexdigest()[:12]}"


def _key(marks: list[str]) -> Canary:
    body = "\n".join(mark * 4 for mark in marks)
    head = "PRIVATE KEY-----"
    return Canary(f"-----BEGIN {head}\n{body}\n-----END {head}\n", tuple(marks))


def seen(canaries: Iterable[Canary], *outputs: str | bytes) -> list[str]:
    """Every trace of a canary in some outputs; empty is what a test wants."""
    found = itertools.product(canaries, outputs)
    return [
        form
        for canary, output in found
        for form in canary.seen_in(output.encode() if isinstance(output, str) else output)
    ]


def _base64(data: bytes) -> Iterator[str]:
    for offset in range(3):
        text = b64encode(bytes(offset) + data + bytes(2)).decode()
        first, last = (offset * 8 + 5) // 6, (offset + len(data)) * 8 // 6
        yield text[first:last]
