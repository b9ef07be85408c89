"""What can be seen, in a data directory, of the server that recovers there.

A worker of one recovery must not go on into the next: it belongs to one start of one server.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PID_FILE = "postmaster.pid"
_SIGNALS = ("recovery.signal", "standby.signal", "recovery.conf")


@dataclass(frozen=True, kw_only=True)
class ServerRun:
    """One run of a server: its process, and the second when it started, as postmaster.pid says."""

    pid: int
    started: int


def running_server(data_dir: str | Path) -> ServerRun | None:
    """The server that runs on a data directory; None if none does."""
    with suppress(OSError, ValueError, IndexError):
        lines = Path(data_dir, _PID_FILE).read_text().splitlines()
        pid = abs(int(lines[0]))
        os.kill(pid, 0)
        return ServerRun(pid=pid, started=int(lines[2]))
    return None


def recovers(data_dir: str | Path) -> bool:
    """Whether a server on this directory is in archive recovery, or is to be."""
    return any(Path(data_dir, name).exists() for name in _SIGNALS)


def pid_file_time(data_dir: str | Path) -> int | None:
    """When postmaster.pid was last written, in nanoseconds; None without a server.

    That is at the start, and again when the server begins to answer queries. The shell takes what
    is older for a leftover.
    """
    with suppress(OSError):
        return Path(data_dir, _PID_FILE).stat().st_mtime_ns
    return None
