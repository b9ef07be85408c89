"""One event, one line on standard error: key=value for people and grep, JSON for collectors.

Built on stdlib logging, so a host program can route or silence the `pitr` loggers as it does all
others. The keys are those that WAL-E's operators grep for: action, key, prefix, rate, seg, state
and pid. An event never spans lines, and what looks like a password is masked here as well, because
messages of servers and libraries quote connection strings.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from typing import TextIO

DEBUG, INFO, WARNING, ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR

_LEVELS = {"debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR}
_ROOT = "pitr"
_NOT_BARE = frozenset(" \"'=\\")
_SECRET_NAMES = ("passw", "passphrase", "secret", "token", "credential")
_SECRET_IN_TEXT = (
    r"(?P<url>://[^/\s:@]*):\S+(?=@)"
    r"|(?P<assigned>(?:password|passphrase|secret|token)\w{0,20}\s*=\s*)"
    r"(?:'(?:[^'\\]|\\.)*'|[^\s&,;]+)"
)
_MASK = "***"


def configure(level: str, format: str, stream: TextIO) -> None:  # noqa: A002
    """Send events at or above `level` to `stream`; called once, by the command line.

    `level` is debug, info, warning or error; `format` is text or json.
    """
    handler = _Handler(stream)
    handler.setFormatter(_JsonFormatter() if format == "json" else _TextFormatter())
    logger = logging.getLogger(_ROOT)
    logger.handlers[:] = [handler]
    logger.setLevel(_LEVELS[level])
    logger.propagate = False


def get(name: str) -> logging.Logger:
    """Return the logger `pitr.name`, the name being that of a command or a part."""
    return logging.getLogger(f"{_ROOT}.{name}")


def event(logger: logging.Logger, level: int, message: str, /, **fields: object) -> None:
    """Log a message with fields, in their order; a field that is None is left out."""
    if logger.isEnabledFor(level):
        present = {name: value for name, value in fields.items() if value is not None}
        logger.log(level, "%s", message, extra={"fields": present})


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Lose the line: a full disk or a closed pipe under the log must not stop archiving."""


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        pairs = {"msg": _quote(_masked(record.getMessage()))}
        for name, value in _fields(record, taken=("msg", "pid")):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            pairs[name] = text if _is_bare(text) else _quote(text)
        pairs["pid"] = str(os.getpid())
        body = " ".join(f"{name}={text}" for name, text in pairs.items())
        return f"{_timestamp(record.created)} {record.levelname} {record.name}: {body}"


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        import json

        document: dict[str, object] = {
            "time": _timestamp(record.created),
            "level": record.levelname,
            "logger": record.name,
            "msg": _masked(record.getMessage()),
        }
        document.update(_fields(record, taken=(*document, "pid")))
        document["pid"] = os.getpid()
        return json.dumps(document)


def _timestamp(seconds: float) -> str:
    """Write an instant in UTC with milliseconds (RFC 3339)."""
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{milliseconds:03d}Z"


def _fields(record: logging.LogRecord, *, taken: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    """Yield an event's fields, masked; one whose name the line itself uses gets an underscore."""
    fields: Mapping[str, object] = getattr(record, "fields", {})
    for name, value in fields.items():
        yield (f"{name}_" if name in taken else name), _safe(name, value)
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        yield "error", _masked(f"{type(error).__name__}: {error}")


def _safe(name: str, value: object) -> object:
    if any(word in name.lower() for word in _SECRET_NAMES):
        return _MASK
    return value if isinstance(value, bool | int | float) else _masked(str(value))


def _masked(text: str) -> str:
    if "@" not in text and "=" not in text:
        return text  # nearly every line; the pattern is not even compiled for it
    return re.sub(_SECRET_IN_TEXT, lambda m: _kept(m) + _MASK, text, flags=re.IGNORECASE)


def _kept(match: re.Match[str]) -> str:
    return f"{match['url']}:" if match["url"] is not None else match["assigned"]


def _is_bare(text: str) -> bool:
    return bool(text) and text.isprintable() and _NOT_BARE.isdisjoint(text)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    if not escaped.isprintable():
        escaped = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in escaped)
    return f'"{escaped}"'
