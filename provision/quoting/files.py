"""Places with a format of their own: an envdir, logrotate, YAML, TOML, metrics, a comment."""

from __future__ import annotations

import json
import re

from provision.errors import QuotingError
from provision.quoting.base import Quoted, encodable, one_line, shown

_ENV_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
_ENV = "an envdir"
# Linux gives a program no longer argument or variable than 128 KiB; the name needs a part of them.
_ENV_MAX_BYTES = 128 * 1024 - 256
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PATTERN = re.compile(r"[A-Za-z0-9_.*-]*")
_GLOB = re.compile(r"[*?\[\]{}\"\\]")


def escape_env(text: str) -> str:
    """Return a text, or a piece of one, that `envdir` gives to a program as it is."""
    if "\r" in text or "\n" in text:
        raise QuotingError(
            f"{shown(text)} cannot stand in {_ENV}: it has a line break",
            hint="Put it into a file of its own and the file's path into the envdir.",
        )
    if text != text.rstrip(" \t"):
        raise QuotingError(f"{shown(text)} cannot stand in {_ENV}: blanks at its end are lost")
    if len(encodable(text, _ENV).encode()) > _ENV_MAX_BYTES:
        raise QuotingError(f"{shown(text)} cannot stand in {_ENV}: it is longer than 128 KiB")
    return text


def env_value(text: str) -> Quoted:
    """The first and only line of a file in an envdir, without its end."""
    return Quoted("env", escape_env(text))


def env_name(name: str) -> str:
    """Return the name of a variable; raises QuotingError for one that a shell could not use."""
    if not _ENV_NAME.fullmatch(name):
        raise QuotingError(f"{name!r} is not the name of a variable", hint="Write it like PGHOST.")
    return name


def logrotate_path(path: str, pattern: str = "") -> Quoted:
    """A path, quoted; with a pattern such as `*.log`, the files in it that match.

    Raises QuotingError for characters in the path that logrotate would take for a pattern.
    """
    if not path.startswith("/") or _GLOB.search(one_line(path, "a file of logrotate")):
        raise QuotingError(f"{path!r} cannot stand in a file of logrotate")
    if not _PATTERN.fullmatch(pattern):
        raise QuotingError(f"{pattern!r} is not a pattern of file names")
    return Quoted("logrotate", f'"{path}/{pattern}"' if pattern else f'"{path}"')


def logrotate_word(word: str) -> Quoted:
    """A keyword, or the name of a user or a group."""
    if not _WORD.fullmatch(word):
        raise QuotingError(f"{word!r} cannot be a word of logrotate")
    return Quoted("logrotate", word)


def yaml_text(text: str) -> Quoted:
    """A string of YAML in double quotes."""
    return Quoted("yaml", escape_yaml(text))


def escape_yaml(text: str) -> str:
    """Return a string of YAML; JSON's are, as long as they are ASCII."""
    return json.dumps(encodable(text, "YAML"))


def toml_text(text: str) -> Quoted:
    """A basic string of TOML; JSON's are, but for DEL, which TOML wants escaped."""
    return Quoted(
        "toml", json.dumps(encodable(text, "TOML"), ensure_ascii=False).replace("\x7f", "\\u007F")
    )


def metric_label(text: str) -> Quoted:
    """The value of a label in Prometheus' text format, with its quotes."""
    return Quoted("metric", f'"{escape_metric(text)}"')


def escape_metric(text: str) -> str:
    """Escape a text that stands between the quotes of a label."""
    escaped = encodable(text, "a metric").replace("\\", "\\\\").replace('"', '\\"')
    return escaped.replace("\n", "\\n")


def comment(text: str) -> Quoted:
    """Any text on one line, for people; what could end the line or continue it is left out."""
    line = _CONTROL.sub(" ", text).encode(errors="replace").decode()
    return Quoted("comment", line.rstrip("\\ "))
