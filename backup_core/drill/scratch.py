"""The directory that a drill may fill and empty.

It is recognised by a mark that only a drill leaves, so that a mistyped path costs nobody a data
directory. A drill that was killed leaves its files, and perhaps its server, to the next one, which
ends and removes them first; a lock, which the kernel gives back with the process, tells a drill
that still runs.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from backup_core.errors import LockHeldError, PitrError, RefusedError

MARK = ".pitr-drill"
_LOCK = ".lock"
_SOCKETS = "sockets"
_LONGEST_SOCKET_DIRECTORY = 85  # 107 bytes hold a socket's path, its name and wal receivers' too
_SECONDS_TO_END = 30.0


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """The places of one drill below its directory."""

    root: Path

    @property
    def data(self) -> Path:
        """The data directory that is restored."""
        return self.root / "data"

    @property
    def tablespaces(self) -> Path:
        """Below which each tablespace goes, by its OID."""
        return self.root / "tablespaces"

    @property
    def log(self) -> Path:
        """What the drill's server said; it stays until the next drill."""
        return self.root / "server.log"

    @property
    def config(self) -> Path:
        """The server's postgresql.conf; pg_hba.conf and pg_ident.conf stand beside it."""
        return self.root / "postgresql.conf"

    @property
    def hba(self) -> Path:
        """The server's pg_hba.conf."""
        return self.root / "pg_hba.conf"

    @property
    def configuration(self) -> tuple[Path, ...]:
        """The three files that the server reads instead of the cluster's."""
        return (self.config, self.hba, self.hba.with_name("pg_ident.conf"))

    @property
    def sockets(self) -> Path:
        """The directory of the server's socket, elsewhere if the path would be too long for one."""
        link = self.root / _SOCKETS
        return link.readlink() if link.is_symlink() else link


@contextmanager
def hold(root: Path) -> Iterator[Scratch]:
    """Hold the directory for one drill, making it if need be.

    Raises RefusedError for one that holds something else, LockHeldError while a drill runs in it,
    PitrError for one that cannot be used.
    """
    lock = _lock(root)
    try:
        yield Scratch(root=root)
    finally:
        lock.close()


def _lock(root: Path) -> TextIO:
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = {path.name for path in root.iterdir()}
        if found and MARK not in found:
            raise RefusedError(
                f"{root} holds something that is no drill's: {min(found)}",
                hint="Name an empty directory, or one that does not exist.",
            )
        root.chmod(0o700)
        (root / MARK).touch()
        lock = (root / _LOCK).open("w")
    except OSError as error:
        raise PitrError(
            f"cannot use {root}: {error.strerror}",
            hint="Name a directory that this user may write to.",
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise LockHeldError(
            f"a drill runs in {root}", hint="Wait for it, or name another directory."
        ) from None
    return lock


def leftovers(scratch: Scratch) -> bool:
    """Tell whether an earlier drill left anything but its log."""
    return scratch.data.exists() or scratch.tablespaces.exists()


def clear(scratch: Scratch) -> None:
    """End a server that still runs there and remove all but the log; raises PitrError."""
    end_server(scratch.data)
    places = [scratch.data, scratch.tablespaces, scratch.sockets]
    try:
        for place in places:
            if place.is_dir():
                shutil.rmtree(place)
        for file in (*scratch.configuration, scratch.root / _SOCKETS):
            file.unlink(missing_ok=True)
    except OSError as error:
        raise PitrError(
            f"cannot remove {error.filename}: {error.strerror}", hint="Remove it yourself."
        ) from None


def make_sockets(scratch: Scratch) -> Path:
    """Make the directory of the socket; a path that is too long gets a short one in /tmp."""
    place = scratch.root / _SOCKETS
    if len(os.fsencode(place)) <= _LONGEST_SOCKET_DIRECTORY:
        place.mkdir(mode=0o700)
        return place
    short = Path(tempfile.mkdtemp(prefix="pitr-drill-", dir="/tmp"))
    place.symlink_to(short)
    return short


def write(path: Path, content: str) -> None:
    """Write a file of the drill's; raises PitrError."""
    try:
        path.write_text(content)
    except OSError as error:
        raise PitrError(f"cannot write {path}: {error.strerror}") from None


def end_server(data_dir: Path) -> None:
    """End the server that runs in the directory, if one does, without a checkpoint."""
    pid = running_server(data_dir)
    if pid is None:
        return
    for number in (signal.SIGQUIT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + _SECONDS_TO_END
        while running_server(data_dir) is not None and time.monotonic() < deadline:
            time.sleep(0.05)


def running_server(data_dir: Path) -> int | None:
    """The postmaster whose working directory this is, as every postmaster's data directory is."""
    try:
        pid = int((data_dir / "postmaster.pid").read_text().split()[0])
        return pid if Path(f"/proc/{pid}/cwd").samefile(data_dir) else None
    except (OSError, ValueError, IndexError):
        return None
