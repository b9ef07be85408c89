"""Parsers of values that only object stores know: keys, sizes of parts, headers, retention.

Most are secret, so no hint here repeats what was given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from backup_core.config import values
from backup_core.errors import ConfigError

_KEY_BYTES = 32
_CHUNK = 256 << 10
_LEAST_PART = 5 << 20
_LARGEST_PART = 5 << 30
_LONGEST_RETENTION = 100 * 366 * 86400.0
_HEADERS_HINT = 'Give a JSON object of strings: {"X-Purpose": "backup"}.'
_OWN_HEADERS = {"authorization", "content-length", "host", "transfer-encoding"}


def key_of_32_bytes(text: str) -> bytes:
    """Read a key of 32 bytes in base64, or as it is; 32 characters cannot be base64 of 32 bytes."""
    key = _base64(text)
    if key is None or len(key) != _KEY_BYTES:
        key = text.encode("utf-8", "surrogateescape")
    if len(key) != _KEY_BYTES:
        raise ConfigError(
            "the key does not have 32 bytes",
            hint="Make a key with: openssl rand -base64 32",
        )
    return key


def key_in_base64(text: str) -> bytes:
    """Read a key of 32 bytes in base64."""
    key = _base64(text)
    if key is None or len(key) != _KEY_BYTES:
        raise ConfigError(
            "the key is not base64 of 32 bytes",
            hint="Make a key with: openssl rand -base64 32",
        )
    return key


def _base64(text: str) -> bytes | None:
    from binascii import Error, a2b_base64

    try:
        return a2b_base64(text.encode("ascii"), strict_mode=True)
    except (Error, UnicodeEncodeError):
        return None


def part_size(text: str) -> int:
    """Read the size of a part of a multipart upload, within what S3 takes."""
    number = values.size(text)
    if not _LEAST_PART <= number <= _LARGEST_PART:
        raise ConfigError(
            f'"{text}" is not a size from 5MiB to 5GiB',
            hint="S3 takes parts of 5MiB to 5GiB; 20MiB is a good size.",
        )
    return number


def chunk_size(text: str) -> int:
    """Read the size of an upload's chunk, rounded down to 256 KiB but not to nothing."""
    return max(values.size(text) // _CHUNK, 1) * _CHUNK


def retention(text: str) -> float | None:
    """Read how long objects are locked, up to a century; 0, `none` and WAL-G's -1 are no lock."""
    if text.lower() in ("-1", "none"):
        return None
    return values.seconds(text, _LONGEST_RETENTION) or None


def headers(text: str) -> Mapping[str, str]:
    """Read a JSON object of header fields; those that make up the request itself are refused."""
    import json

    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ConfigError("the headers are not a JSON object", hint=_HEADERS_HINT)
    for name, value in fields.items():
        _check_header(name, value)
    return fields


def _check_header(name: str, value: object) -> None:
    if re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) is None:
        raise ConfigError("a header's name is not one of HTTP", hint=_HEADERS_HINT)
    if name.lower() in _OWN_HEADERS:
        raise ConfigError(
            f"{name} is not a header to add", hint="Leave out what every request has by itself."
        )
    if (
        not isinstance(value, str)
        or re.fullmatch(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", value) is None
    ):
        raise ConfigError(f"the value of {name} is not printable ASCII", hint=_HEADERS_HINT)


def proxy(text: str) -> str:
    """Read the address of a proxy, with its credentials if it wants any: `http://user:pw@host`."""
    scheme, separator, rest = text.rpartition("://")
    if scheme.lower() not in ("", "http") or not rest.strip("/") or (separator and not scheme):
        raise ConfigError(
            "this is not the address of a proxy",
            hint="Give http://host:port, or http://user:password@host:port.",
        )
    return f"http://{rest.rstrip('/')}"


def hosts(text: str) -> tuple[str, ...]:
    """Read hosts and domains separated by commas; `*` is every host."""
    return tuple(host.strip().lower().lstrip(".") for host in text.split(",") if host.strip(" ."))
