"""How a backup is taken, and how its caller hears of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PushOptions:
    """How to take the backup; times in seconds, sizes in bytes.

    `resume` goes on with an interrupted backup, if there is one. `list_files` writes WAL-G's list
    of files, which stock wal-g needs in plain for its own deltas.
    """

    method: str = "zstd"
    level: int = 3
    workers: int = 2
    partition_threshold: int = (1 << 30) - 1
    verify_checksums: bool = True
    fail_on_corrupt_page: bool = False
    archive_timeout: float = 60.0
    stop_timeout: float | None = None
    alive_interval: float | None = 60.0
    permanent: bool = False
    resume: bool = False
    list_files: bool = True
    user_data: object = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How the caller hears of it: a step's name, the bytes to come, the bytes done, a warning."""

    step: Callable[[str], None] = lambda _: None
    total: Callable[[int], None] = lambda _: None
    advance: Callable[[int], None] = lambda _: None
    warn: Callable[[str], None] = lambda _: None
