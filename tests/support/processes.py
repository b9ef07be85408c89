"""Process trees as the kernel shows them in /proc, to kill a server as a power cut would."""

import ctypes
import os
import signal
from collections import defaultdict
from pathlib import Path

IPC_RMID = 0


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes below `pid`, parents before children."""
    children = _children_by_parent()
    found: list[int] = []
    level = children[pid]
    while level:
        found.extend(level)
        level = [child for parent in level for child in children[parent]]
    return found


def kill_tree(pid: int) -> None:
    """SIGKILL a process and everything below it; the process is stopped first, so none escapes."""
    _signal(pid, signal.SIGSTOP)
    below = descendants(pid)
    for each in (pid, *below):
        _signal(each, signal.SIGKILL)


def remove_shared_memory(segment: int | None) -> None:
    """Remove a System V shared memory segment; nothing happens when it is None or gone."""
    if segment is not None:
        ctypes.CDLL(None).shmctl(segment, IPC_RMID, None)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _children_by_parent() -> defaultdict[int, list[int]]:
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*"):
        parent = _parent_of(entry)
        if parent is not None:
            children[parent].append(int(entry.name))
    return children


def _parent_of(entry: Path) -> int | None:
    try:
        stat = (entry / "stat").read_text(errors="replace")
    except OSError:
        return None
    # the command's name stands in parentheses and may itself contain anything
    return int(stat.rpartition(")")[2].split()[1])
