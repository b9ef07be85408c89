"""Settings files with a secret in them that everybody may read.

A warning, where an open key file is an error: an envdir may have worked for years, and a segment
that is not archived is the greater harm. The group may read, since that is how an envdir is shared
with the server's user (root:postgres, 0640).
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from backup_core.config.table import TABLE

_PUBLIC = "PGP PUBLIC KEY"
_SELDOM_SECRET = {"https_proxy": "@", "s3_headers": "uthorization"}
"""Settings that are masked because they may hold a secret, and what is in those that do."""


def of_file(file: Path, values: Mapping[str, tuple[str, str]]) -> list[str]:
    """Write a sentence if everybody may read this pitr.toml and it sets a secret.

    `values` are by field name, as `file.read` returns them.
    """
    secret = (name for name, (text, _) in values.items() if _is_secret(name, text))
    return _sentences((file, name) for name in list(secret)[:1])


def of_envdir(directory: Path, environ: Mapping[str, str]) -> list[str]:
    """Write a sentence if everybody may read a secret in this directory; `environ` is with it."""
    secret = (
        (directory / variable, name)
        for name, row in TABLE.items()
        for variable in row.environment_names(name)
        if _is_secret(name, environ.get(variable, ""))
    )
    return _sentences((file, name) for file, name in secret if file.is_file())


def is_open(modes: Iterable[int]) -> bool:
    """Tell whether everybody may read a file, by its mode and those of the directories above it."""
    mode, *above = modes
    return bool(mode & stat.S_IROTH) and all(each & stat.S_IXOTH for each in above)


def _is_secret(name: str, text: str) -> bool:
    is_given = bool(text) and _SELDOM_SECRET.get(name, "") in text
    return is_given and TABLE[name].secret and _PUBLIC not in text


def _sentences(found: Iterable[tuple[Path, str]]) -> list[str]:
    """One for all files: the first by its name and mode, the others by their number."""
    exposed = [(file, name) for file, name in found if _is_open(file)]
    if not exposed:
        return []
    file, name = exposed[0]
    more = f" (and {len(exposed) - 1} more in that directory)" if exposed[1:] else ""
    mode = f"{stat.S_IMODE(file.stat().st_mode):04o}"
    return [f"{file} holds a secret ({name}) and everybody may read it: its mode is {mode}{more}."]


def _is_open(file: Path) -> bool:
    try:
        return is_open(_modes(file.resolve()))
    except OSError:
        return False


def _modes(file: Path) -> Iterator[int]:
    status = file.stat()
    yield status.st_mode if stat.S_ISREG(status.st_mode) else 0
    for directory in file.parents:
        yield directory.stat().st_mode
