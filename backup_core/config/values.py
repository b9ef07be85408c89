"""Parsers of single values: text in, typed value out, ConfigError with a hint for anything else.

A message says what is wrong with the text; the loader puts in front where the text came from.
Every source hands over text, the file included, so a value means the same wherever it is set.
Patterns are compiled when used: a process reads few values, and one process starts a segment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from backup_core.errors import ConfigError

_INTEGER = r"[+-]?[0-9]{1,18}"
_SIZE = r"([0-9]{1,18})\s*([A-Za-z]*)"
_SIZE_UNITS = {"": 1, "b": 1} | {
    f"{letter}{tail}": 1 << 10 * power
    for power, letter in enumerate("kmgt", start=1)
    for tail in ("", "b", "ib")
}
_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}"
_DURATION_PART = rf"({_NUMBER})(ns|us|µs|μs|ms|min|s|m|h|d)"
_DURATION_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,  # micro sign
    "μs": 1e-6,  # Greek mu
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_LONGEST = 366 * 86400.0
_LONGEST_PERIOD = 10 * _LONGEST
_TRUE = ("1", "t", "true", "y", "yes", "on")
_FALSE = ("0", "f", "false", "n", "no", "off")
_WALG_LEVELS = {"fastest": 1, "default": 3, "better": 7, "best": 11}
_CODECS = ("zstd", "lz4", "brotli", "lzma", "none")


def compression_method(text: str) -> str:
    """Return the name of a codec that can be written; they are WAL-G's."""
    name = text.lower()
    if name not in _CODECS:
        raise ConfigError(
            f'no codec for writing is named "{text}"', hint=f"Use one of: {', '.join(_CODECS)}."
        )
    return name


def integer(least: int, most: int) -> Callable[[str], int]:
    """Make a parser of whole numbers from `least` to `most`."""

    def parse(text: str) -> int:
        number = int(text) if re.fullmatch(_INTEGER, text) else None
        if number is None or not least <= number <= most:
            raise ConfigError(
                f'"{text}" is not a whole number from {least} to {most}',
                hint=f"Use a number from {least} to {most}.",
            )
        return number

    return parse


def zstd_level(text: str) -> int:
    """Read a number from 1 to 19, or one of WAL-G's four names for its encoder's levels."""
    return _WALG_LEVELS.get(text.lower()) or integer(1, 19)(text)


def size(text: str) -> int:
    """Read bytes: `1073741823`, `512MB`, `1GiB`; units are powers of 1024, as in PostgreSQL."""
    match = re.fullmatch(_SIZE, text)
    unit = _SIZE_UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None or int(match[1]) == 0:
        raise ConfigError(
            f'"{text}" is not a size', hint='Use bytes or a unit: "1073741823", "512MB", "1GiB".'
        )
    return int(match[1]) * unit


def size_or_off(text: str) -> int | None:
    """Read a size; `0` and `none` mean no limit, which is None."""
    return None if text.lower() in ("0", "none") else size(text)


def duration(text: str) -> float:
    """Read a time above zero as seconds: `90`, `30s`, `5min`, and Go's `1m30s`."""
    time = seconds(text)
    if time <= 0:
        raise _not_a_duration(text, _LONGEST)
    return time


def duration_or_off(text: str) -> float | None:
    """Read a time as seconds; `0` and `none` mean no limit, which is None."""
    return None if text.lower() == "none" else seconds(text) or None


def period_or_off(text: str) -> float | None:
    """Read a time of at most ten years as seconds; `0` and `none` mean that there is none."""
    return None if text.lower() == "none" else seconds(text, _LONGEST_PERIOD) or None


def seconds(text: str, longest: float = _LONGEST) -> float:
    """Read a time of at most `longest` seconds; zero is one."""
    spelled = text + "s" if re.fullmatch(_NUMBER, text) else text
    if re.fullmatch(f"(?:{_DURATION_PART})+", spelled) is None:
        raise _not_a_duration(text, longest)
    parts = re.findall(_DURATION_PART, spelled)
    total = sum(float(number) * _DURATION_UNITS[unit] for number, unit in parts)
    if total > longest:
        raise _not_a_duration(text, longest)
    return total


def _not_a_duration(text: str, longest: float) -> ConfigError:
    return ConfigError(
        f'"{text}" is not a duration of at most {longest / 86400:.0f} days',
        hint='Use seconds or units: "90", "30s", "5min", "1m30s".',
    )


def boolean(text: str) -> bool:
    """Read true or false as PostgreSQL and Go write them."""
    if text.lower() not in _TRUE + _FALSE:
        raise ConfigError(f'"{text}" is not true or false', hint='Use "true" or "false".')
    return text.lower() in _TRUE


def choice(meanings: Mapping[str, str]) -> Callable[[str], str]:
    """Make a parser of keywords in any case; `meanings` maps a keyword to the value it sets."""

    def parse(text: str) -> str:
        if text.lower() not in meanings:
            keywords = ", ".join(meanings)
            raise ConfigError(f'"{text}" is not one of {keywords}', hint=f"Use one of {keywords}.")
        return meanings[text.lower()]

    return parse


def json_text(text: str) -> str:
    """Return the text as it is if it is JSON (RFC 8259, so no NaN)."""
    import json

    def refuse(constant: str) -> object:
        raise ValueError(f"{constant} is not JSON")

    try:
        json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise ConfigError(
            f"{text!r} is not JSON", hint="Quote strings inside the value: '\"nightly\"'."
        ) from None
    return text


def path(text: str) -> Path:
    """Read the path of a file or directory."""
    if not text or "\0" in text:
        raise ConfigError(f"{text!r} is not a path", hint="Give the path of a file or directory.")
    return Path(text)


def absolute_path(text: str) -> Path:
    """Read an absolute path that a shell command can name: printable, without `..` in it."""
    found = Path(text)
    if not text.isprintable() or not found.is_absolute() or ".." in found.parts:
        raise ConfigError(
            f"{text!r} is not an absolute path", hint="Begin it with a slash and leave out `..`."
        )
    return found


def line(text: str) -> str:
    """Return text that can be printed on one line."""
    if not text.strip() or not text.isprintable():
        raise ConfigError(f"{text!r} is not a line of text", hint="Use printable characters only.")
    return text


def word(text: str) -> str:
    """Return text without blanks, in ASCII: what goes into a header of a request."""
    if not text.isascii() or not text.isprintable() or not text or " " in text:
        raise ConfigError(f"{text!r} is not one word", hint="Use printable ASCII without blanks.")
    return text
