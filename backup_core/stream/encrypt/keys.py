"""Where a key comes from: a setting's text, a file, or a command's output.

A file that others may read is refused rather than warned about: an archive is as secret as its key.
Keys are read when the first object needs one, once a process.
"""

from __future__ import annotations

import os
import stat
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from backup_core.errors import ConfigError, EncryptionError, PitrError

LONGEST_KEY = 1 << 20
TIMEOUT = 60.0
_PRIVATE = "PGP PRIVATE KEY"
_LEAST_KEY = 25  # characters; names of files without a directory are shorter


@dataclass(frozen=True, kw_only=True)
class KeySource:
    """One of `text`, `path` and `command`; `setting` names it in errors."""

    setting: str
    text: str | None = field(default=None, repr=False)
    path: Path | None = None
    command: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if [self.text, self.path, self.command].count(None) != 2:
            raise ConfigError(f"{self.setting} needs a key, a file or a command, and one of them")


def read_key(source: KeySource, *, secret: bool = True, timeout: float = TIMEOUT) -> str:
    """Return the key's text; unless it is `secret`, others may be able to read its file.

    Raises ConfigError for a file or command that cannot be run or trusted, and for an empty key;
    EncryptionError for a command that gives none.
    """
    if source.text is not None:
        text = source.text
    elif source.path is not None:
        text = _from_file(source, source.path, secret=secret)
    else:
        from backup_core.stream.encrypt.key_command import output_of

        text = _text(
            source,
            output_of(source.command or "", source.setting, longest=LONGEST_KEY, timeout=timeout),
        )
    if not text.strip():
        raise unusable(source, f"the key of {source.setting} is empty")
    return text


def key_lines(text: str) -> Iterator[str]:
    """The lines of a file of age keys, without comments and empty ones."""
    lines = (line.strip() for line in text.splitlines())
    return (line for line in lines if line and not line.startswith("#"))


def unusable(source: KeySource, message: str, hint: str | None = None) -> PitrError:
    """The error for a key that is none: of the settings, or of the command that was to print it."""
    if source.command is None:
        return ConfigError(message, hint=hint)
    return EncryptionError(message, hint="The command must print the secret key and nothing else.")


def read_openpgp_key(source: KeySource) -> str:
    """Return armoured keys, in which literal `\\n` are newlines, as WAL-G has it; raises as above.

    Only a file with a secret key in it has to be closed to others.
    """
    text = read_key(source, secret=False)
    if source.path is not None and _PRIVATE in text:
        text = read_key(source)
    return text.replace("\\n", "\n")


def _from_file(source: KeySource, path: Path, *, secret: bool) -> str:
    setting, shown = source.setting, _shown(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigError(
            f"cannot read the key {shown} of {setting}: {error.strerror}",
            hint="Name the file by its absolute path, without ~."
            if isinstance(error, FileNotFoundError)
            else "Run as the user that owns the key, or give it to the user that runs pitr.",
        ) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(
                f"the key {shown} of {setting} is not a regular file",
                hint="For a key that a program prints, set PITR_KEY_COMMAND.",
            )
        if secret and is_open(status):
            raise ConfigError(
                f"the key {shown} of {setting} is open to others: "
                f"its mode is {stat.S_IMODE(status.st_mode):04o}",
                hint=f"Run chmod 600 {shown}; whoever could read it may have the key.",
            )
        return _text(source, os.read(descriptor, LONGEST_KEY + 1))
    finally:
        os.close(descriptor)


def is_open(status: os.stat_result) -> bool:
    """Whether others may read it; root's may be for a group, as servers keep their TLS keys."""
    by_root = status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IRWXO)
    return not by_root and bool(status.st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _shown(path: Path) -> str:
    """The path, unless somebody gave the key where its file belongs."""
    text = str(path)
    is_key = "/" not in text and len(text) >= _LEAST_KEY
    return "(not shown: it looks like a key and not like a path)" if is_key else text


def _text(source: KeySource, data: bytes) -> str:
    if len(data) > LONGEST_KEY:
        raise unusable(source, f"the key of {source.setting} is longer than {LONGEST_KEY} bytes")
    return data.removeprefix(BOM_UTF8).decode("utf-8", "surrogateescape")
