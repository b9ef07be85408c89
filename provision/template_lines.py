"""A file's content cut into lines that know which of their characters are secret.

A difference works on lines, a template on parts, and a secret may be part of a line, several lines
or end in the middle of one. What is cut here is what `redaction` shows and compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from provision.content import Content, SecretPart

Known = Callable[[SecretPart], str | None]
Marker = Callable[[SecretPart], str]


@dataclass(frozen=True, kw_only=True)
class Hole:
    """Where a secret, or one line of it, stands: how it is shown, and its text if it is known."""

    shown: str
    text: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line with its newline: n holes, and n + 1 texts around them that are no secrets."""

    texts: tuple[str, ...]
    holes: tuple[Hole, ...] = ()

    @property
    def shown(self) -> str:
        """The line with the holes as they are shown."""
        return self.filled([hole.shown for hole in self.holes])

    @property
    def key(self) -> tuple[str, ...]:
        """What its bytes are: one text, or several around the secrets that are not known."""
        found = [self.texts[0]]
        for hole, text in zip(self.holes, self.texts[1:], strict=True):
            if hole.text is None:
                found.append(text)
            else:
                found[-1] += hole.text + text
        return tuple(found)

    def filled(self, values: Sequence[str]) -> str:
        """The line with `values` in its holes."""
        pairs = zip(values, self.texts[1:], strict=True)
        return self.texts[0] + "".join(value + text for value, text in pairs)


def lines_of(content: Content, known: Known, marker: Marker) -> tuple[Line, ...]:
    """Cut a content into lines; `known` gives a secret's text as the file has it."""
    texts, holes = [""], list[Hole]()
    found = []
    for piece in _pieces(content, known, marker):
        if isinstance(piece, Hole):
            holes.append(piece)
            texts.append("")
            continue
        texts[-1] += piece
        if piece.endswith("\n"):
            found.append(Line(texts=tuple(texts), holes=tuple(holes)))
            texts, holes = [""], []
    if texts != [""]:
        found.append(Line(texts=tuple(texts), holes=tuple(holes)))
    return tuple(found)


def between(text: str, literals: Sequence[str]) -> tuple[str, ...] | None:
    """Return what stands between the literals if the text consists of these and something between.

    The earliest place of each is taken, so where several fit the cut may be another than was meant.
    """
    first, *middle = literals
    if not middle:
        return () if text == first else None
    last = middle.pop()
    end = len(text) - len(last)
    place = len(first)
    if not text.startswith(first) or end < place or not text.endswith(last):
        return None
    found = []
    for literal in middle:
        start = text.find(literal, place, end)
        if start < 0:
            return None
        found.append(text[place:start])
        place = start + len(literal)
    return (*found, text[place:end])


def cut(text: str) -> list[str]:
    """Cut into lines with their newlines; no other character ends a line in a file on a host."""
    lines = text.split("\n")
    last = lines.pop()
    return [line + "\n" for line in lines] + ([last] if last else [])


def _pieces(content: Content, known: Known, marker: Marker) -> Iterator[str | Hole]:
    for part in content.parts:
        if isinstance(part, str):
            yield from cut(part)
        else:
            yield from _holes(known(part), marker(part))


def _holes(text: str | None, shown: str) -> Iterator[str | Hole]:
    if text is None:
        yield Hole(shown=shown, text=None)
        return
    for number, line in enumerate(text.split("\n")):
        if number:
            yield "\n"
        if line or not number:
            yield Hole(shown=f"{shown} line {number + 1}" if number else shown, text=line)
