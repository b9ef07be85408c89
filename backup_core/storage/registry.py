"""From a repository's URL to its store.

Each store's module is imported only when its scheme is asked for, so that archiving into a
directory never pays for the client library of an object store.
"""

from __future__ import annotations

from collections.abc import Callable

from backup_core.errors import ConfigError
from backup_core.storage.base import Storage


def open_storage(url: str) -> Storage:
    """Open the store that `url` names, such as `file:///srv/pitr`.

    Raises ConfigError for a URL that cannot be understood, StorageError if the store refuses.
    """
    scheme, separator, rest = url.partition("://")
    opener = _OPENERS.get(scheme.lower()) if separator else None
    if opener is None:
        known = ", ".join(f"{name}://" for name in sorted(_OPENERS))
        raise ConfigError(
            f'"{url}" is not the URL of a repository',
            hint=f"A repository's URL begins with one of: {known}.",
        )
    return opener(url, rest)


def _open_file(url: str, rest: str) -> Storage:
    from pathlib import Path

    from backup_core.storage.file import FileStorage

    host, slash, path = rest.partition("/")
    if host not in ("", "localhost") or not slash or "\0" in path:
        raise ConfigError(
            f'"{url}" does not name a directory of this host',
            hint='Write the absolute path after "file://", as in file:///srv/pitr; '
            "it is taken literally, nothing in it is percent-encoded.",
        )
    return FileStorage(Path(f"/{path}"))


_OPENERS: dict[str, Callable[[str, str], Storage]] = {"file": _open_file}
