"""What an operator can ask to be removed: WAL-G's forms of `delete`, and policies beside them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Point = str | datetime
"""A backup's name, or a time."""
Kind = Literal["any", "full", "find_full"]


@dataclass(frozen=True, kw_only=True)
class Retain:
    """Keep what any of the rules keeps.

    `count` newest backups, counted as `kind` says, and all after them; all from the backup `after`
    on, or what recovery to any moment from that time on needs; the same for a window of this
    length; the newest of each of so many days, weeks, months and years. With `around`, WAL is kept
    around those that are counted, and not onwards from them.
    """

    count: int | None = None
    kind: Kind = "any"
    after: Point | None = None
    window: timedelta | None = None
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    around: bool = False


@dataclass(frozen=True, kw_only=True)
class Before:
    """Remove what is older than a backup, or than the oldest that is not older than a time.

    It has to be a full one, unless `find_full`: then the full one that it is made on counts.
    """

    point: Point
    find_full: bool = False


@dataclass(frozen=True, kw_only=True)
class Target:
    """Remove one backup and all that are made on it; with `find_full` its whole family."""

    name: str
    find_full: bool = False


@dataclass(frozen=True, kw_only=True)
class Everything:
    """Remove all backups and all WAL; with `force` permanent backups, too."""

    force: bool = False


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """Remove WAL that no backup needs, and what is left of backups without a sentinel."""

    wal: bool = True
    backups: bool = True


Request = Retain | Before | Target | Everything | Garbage
