"""Where things are: the repository's URL and the addresses of object stores, in their normal form.

Nothing is percent-quoted or looked up: a key is what the URL says, and a wrong bucket is for the
store to report. Patterns here instead of urllib, which would guess at quoting and cost an import.
"""

from __future__ import annotations

import re

from backup_core.errors import ConfigError

SCHEMES = ("file", "s3", "gs")
"""URL schemes of the stores in this build."""

_KNOWN = ", ".join(f"{name}://" for name in SCHEMES)
_REPOSITORY_HINT = (
    "Give s3://bucket/prefix, gs://bucket/prefix or an absolute path such as file:///var/backups."
)
_ENDPOINT = r"(?:(https?)(?:\+(path|virtualhost|subdomain))?://)?(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:\d{1,5})?(/.*)?"


def repository_url(text: str) -> str:
    """Normalise a repository to a scheme and an absolute path or a bucket and its prefix.

    A bare absolute path and `file://localhost/path` mean the same. Trailing slashes are dropped,
    and doubled ones in an S3 prefix. Those in a gs:// prefix stay, see `without_extra_slashes`.
    """
    if not text.strip():
        raise ConfigError("the repository is empty", hint=_REPOSITORY_HINT)
    if any(ord(character) < 0x20 or character == "\x7f" for character in text):
        raise ConfigError(f"{text!r} has control characters in it", hint=_REPOSITORY_HINT)
    if text.startswith("/"):
        return _directory(text)
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise ConfigError(f'"{text}" is not an absolute path or a URL', hint=_REPOSITORY_HINT)
    if scheme.lower() not in SCHEMES:
        raise ConfigError(f'no store for "{scheme}://" in "{text}"', hint=f"Supported: {_KNOWN}.")
    if scheme.lower() == "file":
        return _file(text, rest)
    url = _bucket(scheme.lower(), rest, text)
    return without_extra_slashes(url) if scheme.lower() == "s3" else url


def _directory(path: str) -> str:
    return "file://" + (path.rstrip("/") or "/")


def _file(url: str, rest: str) -> str:
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost"):
        raise ConfigError(
            f'"{host}" in "{url}" stands where a host name does',
            hint=f"For the directory /{rest} write three slashes: file:///{rest}.",
        )
    if not slash:
        raise ConfigError(f'"{url}" names no directory', hint=_REPOSITORY_HINT)
    return _directory(slash + path)


def _bucket(scheme: str, rest: str, url: str) -> str:
    """Check bucket and prefix; stores have their own rules for names, so only the plainly wrong."""
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise ConfigError(f'"{url}" names no bucket', hint=f"Write {scheme}://bucket/prefix.")
    if any(character.isspace() for character in bucket):
        raise ConfigError(
            f'"{bucket}" in "{url}" cannot be a bucket', hint="A bucket's name has no blanks."
        )
    if not {".", ".."}.isdisjoint(prefix.split("/")):
        raise ConfigError(
            f'"{url}" has "." or ".." in its prefix',
            hint="Write the prefix out; a store knows no directories above.",
        )
    only_slashes = "/" if prefix and not prefix.strip("/") else ""
    kept = prefix.rstrip("/") or only_slashes
    return f"{scheme}://{bucket}/{kept}" if kept else f"{scheme}://{bucket}"


def without_extra_slashes(url: str) -> str:
    """Drop empty parts of the prefix: `gs://bucket//a//b` is `gs://bucket/a/b`."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://" + "/".join(part for part in rest.split("/") if part)


def endpoint(text: str) -> str:
    """Normalise an endpoint to scheme, host and port; without a scheme it is https.

    WAL-E's calling format stays: `https+path://host:9000`, or `virtualhost`, or `subdomain`.
    """
    return _address(text, "https")


def emulator(text: str) -> str:
    """Normalise the address of a GCS emulator to a URL; without a scheme it is http."""
    url = _address(text, "http")
    if "+" in url.partition("://")[0]:
        raise _not_an_address(text)
    return url


def _address(text: str, default_scheme: str) -> str:
    match = re.fullmatch(_ENDPOINT, text, re.IGNORECASE | re.ASCII)
    if match is None or any(character in text for character in "?#@ ") or not text.isprintable():
        raise _not_an_address(text)
    scheme, calling, host, port, path = match.groups(default="")
    if port and not 0 < int(port[1:]) < 65536:
        raise _not_an_address(text)
    calling_format = f"+{calling.lower()}" if calling else ""
    scheme = scheme.lower() or default_scheme
    return f"{scheme}{calling_format}://{host.lower()}{port}{path.rstrip('/')}"


def _not_an_address(text: str) -> ConfigError:
    return ConfigError(
        f'"{text}" is not the address of a service',
        hint="Give scheme, host and port, such as https://store.example.com:9000.",
    )
