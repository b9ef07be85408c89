"""Which files wait to be archived, and which of them is next; archive_status is only read.

The order is the server's own (pgarch.c): timeline histories first, since a standby needs them to
follow, then by name, which is by age within a timeline.
"""

# ruff: noqa: PTH112, PTH118

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

_READY = ".ready"


def status_directory(data_dir: str) -> str | None:
    """Where the server says what waits; None if that is gone."""
    for folder in ("pg_wal", "pg_xlog"):
        path = os.path.join(data_dir, folder, "archive_status")
        if os.path.isdir(path):
            return path
    return None


def waiting(status_dir: str) -> list[str]:
    """The names of the files that wait, the next first; raises OSError if it cannot be read."""
    with os.scandir(status_dir) as entries:
        names = [entry.name for entry in entries]
    return in_order(name.removesuffix(_READY) for name in names if name.endswith(_READY))


def in_order(names: Iterable[str]) -> list[str]:
    """Sort names as the server archives them."""
    return sorted(names, key=lambda name: (not name.endswith(".history"), name))


def has_room(in_flight: Collection[int], size: int, *, workers: int, limit: int) -> bool:
    """Whether a file of `size` bytes may begin beside those in flight, given by their sizes.

    At most `workers` files and `limit` bytes are, but a file larger than the limit goes alone.
    """
    return not in_flight or (len(in_flight) < workers and sum(in_flight) + size <= limit)
