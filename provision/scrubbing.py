"""The last line of defence: known secrets are taken out of whatever leaves the program.

Outputs are made of references and fingerprints, so there is nothing to take out. But a library's
exception, a log record or a server's answer may repeat what it was given, whole or in the spelling
of where it stood: base64 at any offset, a URL, JSON, a shell's, PostgreSQL's or Python's quotes.

All spellings are found in one pass: they are looked up by their first characters, so the time grows
with the text and not with the number of secrets. Overlapping finds become one.
"""

from __future__ import annotations

import io
import json
import logging
import threading
from base64 import b64encode
from collections.abc import Iterable, Iterator
from html import escape
from typing import TextIO
from urllib.parse import quote, quote_plus

REDACTED = "<redacted>"
SHORTEST = 4
_SHORTEST_LINE = 8
_ARMOUR = "-----"


class Scrubber:
    """Replaces every known secret in a text; it may learn more at any time, from any thread.

    A value shorter than four characters is not looked for: it would be found in every other word,
    and the holes would tell what it is. `Secrets` gives out none. A value of several lines is also
    looked for line by line, for that is how it would be printed.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._known: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()
        for value in values:
            self.learn(value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def learn(self, value: str) -> None:
        """Look for a value from now on."""
        with self._lock:
            for form in spellings(value):
                start = form[:SHORTEST]
                self._known[start] = self._known.get(start, frozenset()) | {form}

    def scrub(self, text: str) -> str:
        """Return the text with `<redacted>` in place of every secret that is known."""
        pieces, done = [], 0
        for start, end in _joined(self._found(text)):
            pieces += [text[done:start], REDACTED]
            done = end
        return "".join([*pieces, text[done:]]) if done else text

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        known = self._known
        if not known:
            return
        for start in range(len(text) - SHORTEST + 1):
            forms = known.get(text[start : start + SHORTEST])
            if forms is None:
                continue
            sizes = [len(form) for form in forms if text.startswith(form, start)]
            if sizes:
                yield start, start + max(sizes)


class ScrubbedStream(io.TextIOBase):
    """A text stream that passes on scrubbed lines; an unfinished line waits for `flush` or its end.

    A secret whose halves are parted by a flush is not recognised.
    """

    def __init__(self, stream: TextIO, scrubber: Scrubber) -> None:
        self._stream = stream
        self._scrubber = scrubber
        self._pending: list[str] = []

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream below."""
        return self._stream.encoding

    def write(self, text: str, /) -> int:
        """Take a text; lines that it completes are passed on."""
        whole, newline, rest = text.rpartition("\n")
        if newline:
            self._pass_on(whole + newline)
        if rest:
            self._pending.append(rest)
        return len(text)

    def flush(self) -> None:
        """Pass on an unfinished line too."""
        self._pass_on("")
        self._stream.flush()

    def writable(self) -> bool:
        """It is for writing."""
        return True

    def isatty(self) -> bool:
        """Whether the stream below is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The descriptor of the stream below."""
        return self._stream.fileno()

    def _pass_on(self, text: str) -> None:
        pending, self._pending = "".join(self._pending) + text, []
        if pending:
            self._stream.write(self._scrubber.scrub(pending))


class ScrubbingFormatter(logging.Formatter):
    """Scrubs what another formatter makes of a record, its traceback included."""

    def __init__(self, formatter: logging.Formatter, scrubber: Scrubber) -> None:
        super().__init__()
        self._formatter = formatter
        self._scrubber = scrubber

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text without secrets."""
        return self._scrubber.scrub(self._formatter.format(record))


def spellings(value: str) -> frozenset[str]:
    """Every form in which a value may turn up, itself included; none of a value that is too short.

    Lines of a value count on their own from eight characters on, a PEM file's first and last not:
    everyone has these.
    """
    lines = (line.strip() for line in value.splitlines())
    parts = [line for line in lines if len(line) >= _SHORTEST_LINE and _ARMOUR not in line]
    return frozenset(
        form
        for text in (value, value.strip(), *parts)
        if len(text) >= SHORTEST
        for form in _forms(text)
        if len(form) >= SHORTEST
    )


def _forms(text: str) -> Iterator[str]:
    data = text.encode(errors="surrogatepass")
    yield text
    yield from _base64(data)
    yield from (data.hex(), data.hex().upper())
    for encoded in (quote(data, safe=""), quote(data), quote_plus(data)):
        yield encoded
        yield _lower_escapes(encoded)
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    yield from (repr(text)[1:-1], repr(data)[2:-1], ascii(text)[1:-1])
    yield from (escape(text), escape(text, quote=False))
    doubled = text.replace("\\", "\\\\")
    for inside in ("'\\''", "'\"'\"'", "''", "\\'"):  # sh, shlex.quote, SQL and settings, conninfo
        yield text.replace("'", inside)
        yield doubled.replace("'", inside)
    yield doubled.replace('"', '\\"')
    yield doubled.replace(":", "\\:")  # .pgpass
    yield text.replace("%", "\\%")  # crontab
    yield text.replace("%", "%%")  # systemd, PostgreSQL's commands


def _base64(data: bytes) -> Iterator[str]:
    """What is certain of the base64 of anything that holds `data`, at each of three offsets."""
    for offset in range(3):
        letters = b64encode(bytes(offset) + data + bytes(2)).decode()
        first = (offset * 8 + 5) // 6
        last = (offset + len(data)) * 8 // 6
        core = letters[first:last]
        yield from (core, core.translate({ord("+"): "-", ord("/"): "_"}))


def _lower_escapes(encoded: str) -> str:
    """The same with `%c3` for `%C3`."""
    head, *rest = encoded.split("%")
    return "%".join([head, *(part[:2].lower() + part[2:] for part in rest)])


def _joined(found: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans in order of their starts, those that touch or overlap as one."""
    begin = end = 0
    for start, stop in found:
        if start > end:
            if end:
                yield begin, end
            begin = start
        end = max(end, stop)
    if end:
        yield begin, end
