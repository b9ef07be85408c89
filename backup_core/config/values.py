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

SCHEMES = ("file",)
"""URL schemes of the stores in this build."""

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
_TRUE = ("1", "t", "true", "y", "yes", "on")
_FALSE = ("0", "f", "false", "n", "no", "off")
_REPOSITORY_HINT = "Give an absolute path as a URL, such as file:///var/backups/pg."


def repository_url(text: str) -> str:
    """Normalise a repository to `file://` and an absolute path, in which nothing is quoted.

    A bare absolute path and `file://localhost/path` mean the same; trailing slashes are dropped.
    """
    if not text.strip():
        raise ConfigError("the repository is empty", hint=_REPOSITORY_HINT)
    if any(ord(character) < 0x20 or character == "\x7f" for character in text):
        raise ConfigError(f"{text!r} has control characters in it", hint=_REPOSITORY_HINT)
    path = _file_path(text) if "://" in text and not text.startswith("/") else text
    if not path.startswith("/"):
        raise ConfigError(f'"{text}" is not an absolute path or a URL', hint=_REPOSITORY_HINT)
    return "file://" + (path.rstrip("/") or "/")


def _file_path(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise ConfigError(f'no store for "{scheme}://" in "{url}"', hint=f"Supported: {known}.")
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost"):
        raise ConfigError(
            f'"{host}" in "{url}" stands where a host name does',
            hint=f"For the directory /{rest} write three slashes: file:///{rest}.",
        )
    return slash + path


_WRITABLE_CODECS = ("zstd", "none")
_FOREIGN_CODECS = ("lz4", "lzma", "brotli")


def compression_method(text: str) -> str:
    """Return `zstd` or `none`; WAL-G's other codecs are refused by name."""
    name = text.lower()
    if name in _WRITABLE_CODECS:
        return name
    if name in _FOREIGN_CODECS:
        raise ConfigError(
            f"this build cannot write {name}, only zstd and none",
            hint="Set WALG_COMPRESSION_METHOD=zstd; wal-g tells codecs apart by file name.",
        )
    raise ConfigError(f'no codec is named "{text}"', hint="Use zstd or none.")


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


def size(text: str) -> int:
    """Read bytes: `1073741823`, `512MB`, `1GiB`; units are powers of 1024, as in PostgreSQL."""
    match = re.fullmatch(_SIZE, text)
    unit = _SIZE_UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None or int(match[1]) == 0:
        raise ConfigError(
            f'"{text}" is not a size', hint='Use bytes or a unit: "1073741823", "512MB", "1GiB".'
        )
    return int(match[1]) * unit


def duration(text: str) -> float:
    """Read a time above zero as seconds: `90`, `30s`, `5min`, and Go's `1m30s`."""
    seconds = _seconds(text)
    if seconds <= 0:
        raise _not_a_duration(text)
    return seconds


def duration_or_off(text: str) -> float | None:
    """Read a time as seconds; `0` and `none` mean no limit, which is None."""
    return None if text.lower() == "none" else _seconds(text) or None


def _seconds(text: str) -> float:
    spelled = text + "s" if re.fullmatch(_NUMBER, text) else text
    if re.fullmatch(f"(?:{_DURATION_PART})+", spelled) is None:
        raise _not_a_duration(text)
    parts = re.findall(_DURATION_PART, spelled)
    seconds = sum(float(number) * _DURATION_UNITS[unit] for number, unit in parts)
    if seconds > _LONGEST:
        raise _not_a_duration(text)
    return seconds


def _not_a_duration(text: str) -> ConfigError:
    return ConfigError(
        f'"{text}" is not a duration of at most 366 days',
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
    """Read the path of a directory."""
    if not text or "\0" in text:
        raise ConfigError(f"{text!r} is not a path", hint="Give the path of a directory.")
    return Path(text)
