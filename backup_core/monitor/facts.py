"""What is known of a server, its repository and its host, as values.

A part that could not be looked at is None, and what stood in the way is among the troubles under
the part's name, so that a server that is down hides nothing of the repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from backup_core.repository.catalog import Catalog
from backup_core.repository.drills import DrillRecord
from backup_core.verify.ends import Damaged
from backup_core.verify.window import Recovery


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Why something could not be looked at, or does not work, and what to do."""

    message: str
    hint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Archiver:
    """pg_stat_archiver; `runs` is None where the server does not tell (before 14)."""

    archived: int
    last_archived: datetime | None
    failed: int
    last_failed: datetime | None
    last_failed_file: str | None
    runs: bool | None


@dataclass(frozen=True, kw_only=True)
class ReadyFiles:
    """The WAL files that wait to be archived, and since when the oldest does."""

    count: int
    oldest: datetime | None


@dataclass(frozen=True, kw_only=True)
class Pushing:
    """What wal-push left word of in the spool: since when it fails, of which file, and why.

    `failing_since` is None while it does not fail.
    """

    failing_since: datetime | None = None
    last_failed: datetime | None = None
    file: str | None = None
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class ServerFacts:
    """What a running server says of itself; `clock` is its time when it was asked.

    `clock_offset` is that time less this host's, in seconds.
    """

    version: int
    in_recovery: bool
    clock: datetime
    clock_offset: float
    system_identifier: int
    data_directory: str
    settings: Mapping[str, str]
    pending_restart: tuple[str, ...]
    archiver: Archiver
    replayed: datetime | None
    caught_up: bool


@dataclass(frozen=True, kw_only=True)
class RepositoryFacts:
    """What the repository holds; `recovery` is None where it was not asked for.

    `drills` are the newest record of each drill by its name, `drill_proved` when the last drill of
    any name succeeded.
    """

    url: str
    system_identifier: int | None
    catalog: Catalog
    recovery: Recovery | None
    damaged: tuple[Damaged, ...]
    drills: tuple[DrillRecord, ...]
    drill_proved: datetime | None


@dataclass(frozen=True, kw_only=True)
class StoreTrial:
    """The verbs of the store that were tried, and what failed of them, in the store's words.

    `clock` is the store's time less ours, in seconds; None where it does not tell.
    """

    tried: tuple[str, ...]
    failed: Mapping[str, Trouble]
    clock: float | None


@dataclass(frozen=True, kw_only=True)
class Switched:
    """A segment that was finished on purpose, and how long it took to arrive."""

    segment: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Space:
    """A file system that must not fill up; sizes in bytes."""

    place: str
    path: str
    free: int
    total: int

    @property
    def percent(self) -> float:
        """How much of it is free."""
        return 100.0 * self.free / self.total if self.total else 0.0


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything, as far as it could be looked at; `now` is this host's time.

    `pushing` is None where there is no spool, or none that can be read.
    """

    now: datetime
    server: ServerFacts | None = None
    ready: ReadyFiles | None = None
    pushing: Pushing | None = None
    repository: RepositoryFacts | None = None
    trial: StoreTrial | None = None
    switched: Switched | None = None
    encrypted: str | None = None
    spaces: tuple[Space, ...] = ()
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)

    @property
    def failing(self) -> Pushing | None:
        """What the spool tells of a failure; None once the server has archived something since.

        A standby pushes nothing, whatever is left of its days as a primary, but for those that
        always archive.
        """
        pushing, server = self.pushing, self.server
        if pushing is None or pushing.failing_since is None or pushing.last_failed is None:
            return None
        if server is None:
            return pushing
        if server.in_recovery and server.settings.get("archive_mode") != "always":
            return None
        last = server.archiver.last_archived
        return pushing if last is None or last <= pushing.last_failed else None
