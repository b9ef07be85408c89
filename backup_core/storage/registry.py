"""From a repository's URL to its store.

Each store's module is imported only when its scheme is asked for, so that archiving into a
directory never pays for the client library of an object store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from backup_core.errors import ConfigError
from backup_core.storage.base import Storage

if TYPE_CHECKING:
    from backup_core.storage.options import StoreOptions


def open_storage(url: str, options: StoreOptions | None = None) -> Storage:
    """Open the store that `url` names, such as `file:///srv/pitr` or `s3://bucket/prefix`.

    Raises ConfigError for a URL that cannot be understood, StorageError if a directory is not
    there. Nothing is asked of an object store before it is used, but for a prefix that is WAL-E's.
    """
    scheme, separator, rest = url.partition("://")
    opener = _OPENERS.get(scheme.lower()) if separator else None
    if opener is None:
        known = ", ".join(f"{name}://" for name in sorted(_OPENERS))
        raise ConfigError(
            f'"{url}" is not the URL of a repository',
            hint=f"A repository's URL begins with one of: {known}.",
        )
    return opener(url, rest, options)


def _open_file(url: str, rest: str, _: StoreOptions | None) -> Storage:
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


def _open_s3(url: str, rest: str, options: StoreOptions | None) -> Storage:
    from backup_core.storage.options import StoreOptions
    from backup_core.storage.s3 import S3Storage

    bucket, prefix = _bucket(url, rest)
    return S3Storage(url.rstrip("/"), bucket, prefix.strip("/"), options or StoreOptions())


def _open_gs(url: str, rest: str, options: StoreOptions | None) -> Storage:
    """Open a bucket; where WAL-E wrote, the prefix begins with a slash, which is then kept.

    Whether it did is asked of the bucket if the options leave that open.
    """
    from backup_core.storage.gcs import GcsStorage
    from backup_core.storage.options import StoreOptions

    options = options or StoreOptions()
    bucket, prefix = _bucket(url, rest)
    if options.gcs.normalize_prefix is False:
        return GcsStorage(url.rstrip("/"), bucket, prefix, options)
    prefix = "/".join(filter(None, prefix.split("/")))
    if options.gcs.normalize_prefix is None:
        slashed = GcsStorage(f"gs://{bucket}//{prefix}", bucket, f"/{prefix}", options)
        if next(slashed.list(), None) is not None:
            return slashed
    return GcsStorage(url.rstrip("/"), bucket, prefix, options)


def _bucket(url: str, rest: str) -> tuple[str, str]:
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        scheme = url.partition("://")[0]
        raise ConfigError(f'"{url}" names no bucket', hint=f"Write it as {scheme}://bucket/prefix.")
    return bucket, prefix


_OPENERS: dict[str, Callable[[str, str, StoreOptions | None], Storage]] = {
    "file": _open_file,
    "gs": _open_gs,
    "s3": _open_s3,
}
