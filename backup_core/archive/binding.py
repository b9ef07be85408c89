"""Which cluster and which repository a spool belongs to, and whether it can be trusted.

A marker in the spool makes PostgreSQL remove WAL, so whoever can write there can lose it: the
directory must be the server's user's own. It must not be inside the data directory, where a copy
of the cluster would take it along. And it serves one cluster: what it holds for another, or for
another repository, is thrown away before it is used.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from backup_core.archive.spool import FOLDERS, OWNER, Spool
from backup_core.errors import ConfigError, PitrError
from backup_core.postgres.control import read_control

_RECORD = "owner"
_OTHERS_MAY_NOT = 0o027


class SpoolError(PitrError):
    """The spool cannot be used now; archiving goes on without it."""


@dataclass(frozen=True, kw_only=True)
class Binding:
    """What a spool is for; `data_directory` with all links resolved."""

    system_identifier: int
    data_directory: str
    repository: str


def binding_of(data_dir: str | Path, repository: str) -> Binding:
    """The binding of a cluster; raises what reading its control file raises."""
    return Binding(
        system_identifier=read_control(Path(data_dir))[1].system_identifier,
        data_directory=os.path.realpath(data_dir),
        repository=repository,
    )


def check_directory(root: Path, data_dir: str | Path | None) -> None:
    """Make the spool directory if it is missing, and refuse one that could make WAL get lost.

    Raises ConfigError for a place inside the data directory and for one that others can write to,
    SpoolError if it cannot be made.
    """
    if data_dir is not None:
        _check_place(root, Path(data_dir))
    try:
        with suppress(FileExistsError):
            root.mkdir(mode=0o700)
        status = root.stat()
        _check_parent(root)
    except OSError as error:
        raise SpoolError(
            f"cannot use the spool {root}: {error.strerror}",
            hint=f"Make it as root: install -d -m 700 -o postgres -g postgres {root}",
        ) from None
    if not stat.S_ISDIR(status.st_mode):
        raise ConfigError(f"the spool {root} is not a directory")
    if status.st_uid != os.geteuid() or status.st_mode & _OTHERS_MAY_NOT:
        raise ConfigError(
            f"the spool {root} is open to others: its owner is user {status.st_uid}, its mode "
            f"{stat.S_IMODE(status.st_mode):o}",
            hint="It must belong to the server's user and have mode 700: who can write there can "
            "make PostgreSQL remove WAL that is not archived.",
        )


def _check_parent(root: Path) -> None:
    mode = root.resolve().parent.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise ConfigError(
            f"the spool {root} lies in a directory that everybody can write to",
            hint="Choose a place such as /var/spool/pitr.",
        )


def _check_place(root: Path, data_dir: Path) -> None:
    spool = root.resolve()
    cluster = [data_dir.resolve(), *((data_dir / name).resolve() for name in ("pg_wal", "pg_xlog"))]
    if any(spool == place or place in spool.parents for place in cluster):
        raise ConfigError(
            f"the spool {root} lies in the data directory {data_dir}",
            hint="Choose a place outside, such as /var/spool/pitr: what is in the data directory "
            "comes along with copies of it and with pg_rewind.",
        )
    if cluster[0].is_relative_to(spool):
        raise ConfigError(f"the data directory {data_dir} lies in the spool {root}")


def bind(spool: Spool, binding: Binding) -> bool:
    """Let the spool be this cluster's; what it held for another binding is thrown away.

    Returns whether it was thrown away. Raises SpoolError if the spool is another cluster's whose
    data directory is still there, or cannot be written.
    """
    try:
        found = bound_to(spool)
        if found == binding and spool.serves(binding.data_directory):
            return False
        refuse_living(spool, binding.data_directory)
        if not spool.try_lock(OWNER):
            raise SpoolError(f"another process is binding the spool {spool.root}")
        try:
            _rebind(spool, binding)
        finally:
            spool.unlock(OWNER)
    except OSError as error:
        raise SpoolError(
            f"cannot use the spool {spool.root}: {error.strerror}",
            hint="Check its space and permissions.",
        ) from None
    return True


def bound_to(spool: Spool) -> Binding | None:
    """What the spool is bound to; None for a new one and for a record that cannot be read."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        document = json.loads(Path(spool.path(_RECORD)).read_bytes())
        return Binding(
            system_identifier=int(document["system_identifier"]),
            data_directory=str(document["data_directory"]),
            repository=str(document["repository"]),
        )
    return None


def version_of(spool: Spool) -> tuple[int, int] | None:
    """Changes whenever the spool is bound anew, or is gone (None)."""
    with suppress(OSError):
        status = Path(spool.path(_RECORD)).stat()
        return status.st_ino, status.st_mtime_ns
    return None


def empty(spool: Spool) -> None:
    """Throw away everything, the binding too: the next call binds anew, and workers end."""
    Path(spool.path(_RECORD)).unlink(missing_ok=True)
    for folder in FOLDERS:
        _clear(Path(spool.path(folder)))


def refuse_living(spool: Spool, data_directory: str) -> None:
    """Raise SpoolError if the spool is that of a cluster elsewhere which is still there."""
    found = bound_to(spool)
    if found is None or found.data_directory == data_directory:
        return
    try:
        living = read_control(Path(found.data_directory))[1].system_identifier
    except (PitrError, OSError):
        return
    if living == found.system_identifier:
        raise SpoolError(
            f"the spool {spool.root} is that of the cluster in {found.data_directory}",
            hint="Give each cluster a spool of its own. If that one was moved away from there, "
            f"remove {spool.path(_RECORD)}.",
        )


def _rebind(spool: Spool, binding: Binding) -> None:
    empty(spool)
    for folder in FOLDERS:
        Path(spool.path(folder)).mkdir(mode=0o700, exist_ok=True)
    link = Path(spool.path("pgdata"))
    for path, make in (
        (link, lambda new: new.symlink_to(binding.data_directory)),
        (Path(spool.path(_RECORD)), lambda new: _write(new, json.dumps(asdict(binding)))),
    ):
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        make(temporary)
        temporary.replace(path)


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n")
    path.chmod(0o600)


def _clear(folder: Path) -> None:
    """Remove a folder's files; a folder that is something else is removed itself."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
        return
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
