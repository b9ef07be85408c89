"""Reading one large JSON document piece by piece.

The standard library's decoder wants a whole text, so it is given one member at a time, which it
decodes in C. The streaming libraries refuse names that are not UTF-8, which archives hold
(docs/decisions/delta-restore.md).
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import NoReturn

from backup_core.errors import CorruptError

LARGEST_VALUE = 16 << 20
"""Characters that one decoded value may have: a bound for memory, far above what is written."""

_SPACE = re.compile(r"[ \t\n\r]*")
_KEY = re.compile(r'[ \t\n\r]*"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*')
# What may be passed over up to a bracket. The repetitions are bounded, for the engine remembers
# each; possessive ones, which it need not, match wrongly in Python 3.11 before 3.11.5.
_PLAIN = r'[^"\[\]{}]*'
_STRING = r'"[^"\\]*(?:\\.[^"\\]*){0,100}"'
_RUN = re.compile(rf"{_PLAIN}(?:{_STRING}{_PLAIN}){{0,1000}}", re.DOTALL)
_AFTER_NUMBER = frozenset(" \t\n\r,]}")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


class JsonReader:
    """Walks a document, an object in UTF-8, from front to back; every error is CorruptError.

    Bytes that are not UTF-8 become surrogates, as in file names. Whoever enters an object or an
    array takes each value of it, by `value`, by `skip` or by entering it.
    """

    def __init__(self, chunks: Iterable[bytes], *, name: str) -> None:
        self._texts = _decoded(chunks)
        self._decode = json.JSONDecoder(parse_constant=_refuse).raw_decode
        self._text = ""
        self._at = 0
        self._name = name

    def members(self) -> Iterator[str]:
        """Enter an object, or null: yield each key, after which its value must be taken."""
        more = self._enter("{", "}")
        while more:
            if plain := _KEY.match(self._text, self._at):
                self._at = plain.end()
                yield plain[1]
            else:
                yield self._key()
            more = self._pass(",}") == ","

    def elements(self) -> Iterator[None]:
        """Enter an array, or null: stop before each value, which must be taken."""
        more = self._enter("[", "]")
        while more:
            yield
            more = self._pass(",]") == ","

    def value(self) -> object:
        """Decode the value that comes next; at most LARGEST_VALUE characters."""
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except RecursionError:
                self.fail()
            except ValueError:  # damaged, or after spaces, or not all of it is here
                pass
            else:
                if not isinstance(value, int | float) or self._text[end : end + 1] in _AFTER_NUMBER:
                    self._at = end
                    return value
            if not self._pass_space() and not self._read_on():
                self.fail()

    def skip(self) -> None:
        """Pass over the value that comes next, however large, without decoding it."""
        if self.peek() not in ("{", "["):
            self.value()
            return
        depth = 0
        while True:
            run = _RUN.match(self._text, self._at)
            self._at = run.end() if run else self._at
            match self._text[self._at : self._at + 1]:
                case "":
                    _ = self._read_on() or self.fail()
                case '"':  # cut by the border of a chunk, or longer than the pattern takes
                    self.value()
                case bracket:
                    self._at += 1
                    depth += 1 if bracket in "{[" else -1
                    if not depth:
                        return

    def peek(self) -> str:
        """The character that comes next after spaces; empty at the end of the document."""
        while True:
            self._pass_space()
            if self._at < len(self._text) or not self._read_on():
                return self._text[self._at : self._at + 1]

    def end(self) -> None:
        """Raise CorruptError unless the document ends here."""
        if self.peek():
            self.fail()

    def fail(self) -> NoReturn:
        """Raise the CorruptError that stands for whatever is wrong here."""
        raise CorruptError(f"{self._name} is not the JSON document that it should be")

    def _enter(self, opening: str, closing: str) -> bool:
        """Tell whether the object or array that begins here has anything in it; null has not."""
        if self.peek() == "n":
            self.value()
            return False
        self._pass(opening)
        if self.peek() != closing:
            return True
        self._at += 1
        return False

    def _key(self) -> str:
        """A key with escapes, or one that is cut by a chunk's border."""
        key = self.value() if self.peek() == '"' else self.fail()
        self._pass(":")
        return str(key)

    def _pass(self, expected: str) -> str:
        found = self._text[self._at : self._at + 1]
        if not found or found not in expected:
            found = self.peek()
        if not found or found not in expected:
            self.fail()
        self._at += 1
        return found

    def _pass_space(self) -> bool:
        """Tell whether there were spaces."""
        space = _SPACE.match(self._text, self._at)
        before, self._at = self._at, space.end() if space else self._at
        return self._at > before

    def _read_on(self) -> bool:
        """Get as much text again as is waiting, so that a long value is not tried too often."""
        waiting = len(self._text) - self._at
        if waiting > LARGEST_VALUE:
            self.fail()
        texts = [self._text[self._at :]]
        wanted = max(1, min(waiting, LARGEST_VALUE + 1 - waiting))
        while wanted > 0 and (text := next(self._texts, "")):
            texts.append(text)
            wanted -= len(text)
        self._text, self._at = "".join(texts), 0
        return len(texts) > 1


def _decoded(chunks: Iterable[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    for chunk in chunks:
        if text := decoder.decode(chunk):
            yield text
    if text := decoder.decode(b"", final=True):
        yield text
