"""Which moments can be recovered: from when to when, on which timeline, by which backup (pure).

A list of backups and a list of gaps leave the operator to put them together, at the worst time.
Here they are put together, by the same arithmetic that a restore is planned with, and never to more
than is true: a backup counts if its own WAL, all that it is made on and the history of its timeline
are there, and a window ends where the first segment is missing. Between two windows lies what is
lost for good.

A window is what `--target-timeline N` can reach. WAL that a timeline shares with its ancestors is
in the window of each that it leads to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from backup_core.errors import PitrError
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.timeline import TimelineHistory, history_of_first
from backup_core.postgres.wal import last_segment_before, segment_name
from backup_core.repository.chain import chain
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalRange
from backup_core.repository.wal_e import is_offline
from backup_core.verify.continuity import (
    among,
    gaps_among,
    is_on_timeline,
    reach,
    wal_spans,
)

TimeSource = Literal["wal", "backup", "stored"]
"""What tells when a window ends: a transaction in its last WAL, its newest backup's end, or, where
the WAL cannot be read without its key, the store's clock when the last segment came."""


@dataclass(frozen=True, kw_only=True)
class ClusterWal:
    """The archived segments of one cluster; `system_identifier` None if nothing tells it."""

    system_identifier: int | None
    runs: tuple[WalRange, ...]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a repository holds; `segment_size` in bytes.

    `wal` has one entry, unless a cluster followed another under the same prefix. `histories` are
    those that are archived; timeline 1 has none. Of those in `unread` the key is missing, and they
    say no more than that they are timelines. `began` is when pitr first pushed, where known.
    """

    backups: tuple[Backup, ...]
    wal: tuple[ClusterWal, ...]
    histories: Mapping[int, TimelineHistory]
    segment_size: int
    unread: frozenset[int] = frozenset()
    began: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class RecoveryWindow:
    """The moments from the end of the oldest of `backups` to `end_lsn`, exclusive.

    Each of the backups, oldest first, serves the moments from its own end on. `last_segment` is the
    last file on the way. `end_time` is None as long as no WAL was read (verify.ends). A target
    time must lie before it; all that committed until then comes back without a target.
    """

    timeline: int
    system_identifier: int | None
    backups: tuple[Backup, ...]
    end_lsn: Lsn
    last_segment: str
    end_time: datetime | None = None
    end_source: TimeSource | None = None
    last_stored: datetime | None = None

    @property
    def begin_lsn(self) -> Lsn:
        """The earliest LSN that can be recovered."""
        return self.backups[0].finish_lsn

    @property
    def begin_time(self) -> datetime:
        """The earliest moment that can be recovered."""
        return self.backups[0].finish_time

    def backup_for(self, lsn: Lsn) -> Backup | None:
        """The newest backup that recovers this LSN; None outside the window."""
        if lsn >= self.end_lsn:
            return None
        return next((each for each in reversed(self.backups) if each.finish_lsn <= lsn), None)


@dataclass(frozen=True, kw_only=True)
class UnusableBackup:
    """A backup that is in no window, and why."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """What can be recovered, by cluster, timeline and position, and the backups that cannot.

    `oldest_backup` is when the oldest of all ended, `began` as in Facts.
    """

    windows: tuple[RecoveryWindow, ...]
    unusable: tuple[UnusableBackup, ...] = ()
    oldest_backup: datetime | None = None
    began: datetime | None = None

    @property
    def current(self) -> RecoveryWindow | None:
        """The window that reaches the newest moment: of the newest cluster's newest timeline."""
        newest = max(self.windows, key=lambda item: item.backups[-1].finish_time, default=None)
        if newest is None:
            return None
        mine = [item for item in self.windows if item.system_identifier == newest.system_identifier]
        return max(mine, key=lambda item: (item.timeline, item.end_lsn))


def recovery(facts: Facts) -> Recovery:
    """Find every window, and the backups that open none."""
    windows = tuple(window for cluster in facts.wal for window in _windows(facts, cluster))
    used = {backup.name for window in windows for backup in window.backups}
    return Recovery(
        windows=windows,
        unusable=tuple(
            UnusableBackup(name=backup.name, reason=_why_unusable(backup, facts))
            for backup in facts.backups
            if backup.name not in used
        ),
        oldest_backup=min((backup.finish_time for backup in facts.backups), default=None),
        began=facts.began,
    )


def histories_of(facts: Facts) -> Iterator[TimelineHistory]:
    """The timelines that a restore can follow, in their order."""
    yield history_of_first()
    for timeline in sorted(facts.histories):
        if timeline != 1:
            yield facts.histories[timeline]


def is_of(backup: Backup, cluster: ClusterWal) -> bool:
    """Tell whether a backup is of the cluster; WAL-E's do not say, and are."""
    mine = cluster.system_identifier
    return mine is None or backup.system_identifier in (None, mine)


def _windows(facts: Facts, cluster: ClusterWal) -> Iterator[RecoveryWindow]:
    backups = [backup for backup in facts.backups if is_of(backup, cluster)]
    chains = {backup.name: _chain(backup, facts.backups) for backup in backups}
    for history in histories_of(facts):
        reached = [
            (backup, end)
            for backup in backups
            if _is_whole(chains[backup.name], history)
            and (end := reach(backup, history, cluster.runs, facts.segment_size))
            >= backup.finish_lsn
        ]
        for window in _joined(reached, history, cluster, facts.segment_size):
            if not _is_an_ancestors(window, history, facts):
                yield window


def _chain(backup: Backup, backups: Sequence[Backup]) -> tuple[Backup, ...]:
    """What a backup is made on, itself included; nothing if it cannot be restored."""
    if is_offline(backup):
        return ()
    try:
        return chain(backup, {item.name: item for item in backups})
    except PitrError:
        return ()


def _is_whole(backups: Sequence[Backup], history: TimelineHistory) -> bool:
    return bool(backups) and all(is_on_timeline(backup, history) for backup in backups)


def _joined(
    reached: Sequence[tuple[Backup, Lsn]],
    history: TimelineHistory,
    cluster: ClusterWal,
    segment_size: int,
) -> Iterator[RecoveryWindow]:
    """One window for all backups from which the way leads to the same end."""
    ends = sorted({end for _, end in reached})
    for end in ends:
        backups = sorted(
            (backup for backup, its_end in reached if its_end == end),
            key=lambda backup: (backup.finish_lsn, backup.name),
        )
        yield window_of(tuple(backups), end, history, cluster.system_identifier, segment_size)


def window_of(
    backups: tuple[Backup, ...],
    end: Lsn,
    history: TimelineHistory,
    system_identifier: int | None,
    segment_size: int,
) -> RecoveryWindow:
    """The window of these backups, oldest first, up to where WAL is unbroken."""
    last = last_segment_before(end, segment_size)
    return RecoveryWindow(
        timeline=history.timeline,
        system_identifier=system_identifier,
        backups=backups,
        end_lsn=end,
        last_segment=segment_name(history.timeline_at(end - 1), last, segment_size),
    )


def _is_an_ancestors(window: RecoveryWindow, history: TimelineHistory, facts: Facts) -> bool:
    """Tell whether the way breaks off on a timeline that has this window itself."""
    timeline = history.timeline_at(window.end_lsn - 1)
    return timeline != history.timeline and (timeline == 1 or timeline in facts.histories)


def _why_unusable(backup: Backup, facts: Facts) -> str:
    if is_offline(backup):
        return "taken while no server ran: where its WAL begins is known once it is extracted"
    cluster = next((item for item in facts.wal if is_of(backup, item)), None)
    if cluster is None or not cluster.runs:
        return "no WAL of its cluster is archived"
    try:
        chain(backup, {item.name: item for item in facts.backups})
    except PitrError as error:
        return error.message
    history = next((item for item in histories_of(facts) if item.timeline == backup.timeline), None)
    if history is None:
        return f"the history file of its timeline {backup.timeline} is not archived"
    if not is_on_timeline(backup, history):
        return f"the history of timeline {backup.timeline} does not contain it"
    size = facts.segment_size
    spans = wal_spans(backup, history, backup.finish_lsn, among(cluster.runs), size)
    gaps = gaps_among(cluster.runs, spans)
    if not gaps:
        return "a backup that it is made on is not on its timeline"
    first = segment_name(gaps[0].timeline, gaps[0].first, size)
    return f"WAL segment {first}, without which it is not consistent, is missing"
