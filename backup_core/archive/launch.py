"""Leaving a process behind that neither the server nor the caller waits for.

It gets a session of its own, no terminal, and none of the caller's descriptors: the server's log
collector ends when the last one who can write to its pipe has ended, and what holds a lock of the
server's must not outlive it. The caller ends soon, and the new process then belongs to init.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

_MODULE = "backup_core"


def leave_behind(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Start `pitr` with these arguments, detached; that it could not be started raises OSError."""
    command = [sys.executable, "-P", "-m", _MODULE, *arguments]
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        *((os.POSIX_SPAWN_CLOSE, number) for number in _inherited()),
    ]
    os.posix_spawn(sys.executable, command, environ, file_actions=actions, setsid=True)


def _inherited() -> list[int]:
    """The descriptors beyond standard error that a new process would have too."""
    found = []
    for name in os.listdir("/dev/fd"):  # noqa: PTH208
        with suppress(OSError, ValueError):
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
    return found
