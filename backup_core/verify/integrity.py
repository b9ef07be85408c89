"""Whether all WAL that is needed is there (pure).

Needed is what leads from the oldest backup to now, and what makes each backup consistent that is
kept for itself. What is not there may be on its way: an archiver that is behind is trouble of
another kind than a hole, and what the server itself says about it decides. The words are WAL-G's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

from backup_core.postgres.lsn import Lsn
from backup_core.postgres.timeline import TimelineHistory
from backup_core.postgres.wal import parse_wal_name, segment_of
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalRange
from backup_core.repository.wal_e import is_offline
from backup_core.verify.continuity import among, gaps_among, is_on_timeline, wal_spans
from backup_core.verify.window import ClusterWal, Facts, histories_of, is_of

_IN_FLIGHT = 16
"""So many segments behind the newest may still come, where no server says which it handed over."""

Verdict = Literal["OK", "WARNING", "FAILURE"]


class Status(Enum):
    """What became of segments."""

    FOUND = "FOUND"
    UPLOADING = "MISSING_UPLOADING"
    LOST = "MISSING_LOST"


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where the server is: it writes on `timeline` at `lsn`; `archived` is its last archived file.

    `lsn` is exclusive; `archived` None if the server archived nothing since its counters began.
    """

    timeline: int
    lsn: Lsn
    archived: str | None = None


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Consecutive segments that share a status."""

    wal: WalRange
    status: Status


@dataclass(frozen=True, kw_only=True)
class Integrity:
    """The needed segments in the order of recovery; `timeline` is the one that is followed.

    `highest` is the highest timeline in the archive, `oldest` the backup from which the way begins.
    """

    timeline: int
    highest: int
    oldest: Backup | None
    stretches: tuple[Stretch, ...]
    position: Position | None = None

    @property
    def verdict(self) -> Verdict:
        """FAILURE if WAL is lost, WARNING if some is on its way or there is no backup."""
        statuses = {stretch.status for stretch in self.stretches}
        if Status.LOST in statuses:
            return "FAILURE"
        return "WARNING" if Status.UPLOADING in statuses or self.oldest is None else "OK"

    @property
    def timeline_verdict(self) -> Verdict:
        """FAILURE if the archive knows a newer timeline than the server is on."""
        if self.position is None:
            return "OK"
        return "OK" if self.highest <= self.position.timeline else "FAILURE"


def integrity(
    facts: Facts, cluster: ClusterWal, position: Position | None, *, oldest: str | None = None
) -> Integrity:
    """Look for every segment that is needed; `oldest` names the backup to begin from."""
    histories = {history.timeline: history for history in histories_of(facts)}
    highest = max([run.timeline for run in cluster.runs] + list(facts.histories), default=1)
    timeline = position.timeline if position else _newest(cluster, histories)
    history = histories.get(timeline, TimelineHistory(timeline=timeline, switches=()))
    backups = [b for b in facts.backups if is_of(b, cluster) and not is_offline(b)]
    on_the_way = [b for b in backups if is_on_timeline(b, history)]
    if oldest is not None:
        on_the_way = [b for b in on_the_way if b.name == oldest]
    starts = [b for b in on_the_way if not b.permanent] or on_the_way[-1:]
    first = min(starts, key=lambda b: b.start_lsn, default=None)
    stretches = [] if first is None else list(_way(first, history, facts, cluster, position))
    if oldest is None:
        aside = [b for b in backups if b not in starts]
        stretches += [item for b in aside for item in _own(b, histories, facts, cluster)]
    return Integrity(
        timeline=timeline,
        highest=highest,
        oldest=first,
        stretches=tuple(stretches),
        position=position,
    )


def _newest(cluster: ClusterWal, histories: dict[int, TimelineHistory]) -> int:
    """The highest timeline that has WAL and can be followed."""
    return max((run.timeline for run in cluster.runs if run.timeline in histories), default=1)


def _way(
    first: Backup,
    history: TimelineHistory,
    facts: Facts,
    cluster: ClusterWal,
    position: Position | None,
) -> Iterator[Stretch]:
    size = facts.segment_size
    goal = None
    if position is not None:
        # the segment that is being written is not due yet
        goal = Lsn(max(segment_of(position.lsn, size) * size, first.finish_lsn))
    spans = wal_spans(first, history, goal, among(cluster.runs), size)
    for stretch in _split(spans, cluster):
        if stretch.status is Status.FOUND:
            yield stretch
        else:
            yield from _judged(stretch.wal, spans[-1], cluster, position, size)


def _judged(
    gap: WalRange,
    last: WalRange,
    cluster: ClusterWal,
    position: Position | None,
    size: int,
) -> Iterator[Stretch]:
    """A gap's part that is lost, and the part that may still come."""
    border = gap.last + 1
    if gap.timeline == last.timeline:
        border = _first_pending(gap, cluster, position, size)
    if border > gap.first:
        lost = replace(gap, last=min(border - 1, gap.last))
        yield Stretch(wal=lost, status=Status.LOST)
    if border <= gap.last:
        yield Stretch(wal=replace(gap, first=max(border, gap.first)), status=Status.UPLOADING)


def _first_pending(gap: WalRange, cluster: ClusterWal, position: Position | None, size: int) -> int:
    """The first segment of the last timeline that the archiver may not have stored yet."""
    if position is not None and position.archived is not None:
        archived = parse_wal_name(position.archived)
        if archived.timeline == gap.timeline and archived.log + archived.seg:
            return archived.segment_number(size) + 1
    newest = max(
        (run.last for run in cluster.runs if run.timeline == gap.timeline), default=gap.first - 1
    )
    return newest + 1 - _IN_FLIGHT if newest > gap.last else gap.first


def _own(
    backup: Backup,
    histories: dict[int, TimelineHistory],
    facts: Facts,
    cluster: ClusterWal,
) -> Iterator[Stretch]:
    """What makes a backup consistent."""
    history = histories.get(backup.timeline, TimelineHistory(timeline=backup.timeline, switches=()))
    runs = among(cluster.runs)
    spans = wal_spans(backup, history, backup.finish_lsn, runs, facts.segment_size)
    yield from _split(spans, cluster)


def _split(spans: Sequence[WalRange], cluster: ClusterWal) -> Iterator[Stretch]:
    """The spans as found and missing parts; what is missing counts as lost."""
    for span in spans:
        at = span.first
        for gap in gaps_among(cluster.runs, [span]):
            if gap.first > at:
                found = replace(span, first=at, last=gap.first - 1)
                yield Stretch(wal=found, status=Status.FOUND)
            yield Stretch(wal=gap, status=Status.LOST)
            at = gap.last + 1
        if at <= span.last:
            yield Stretch(wal=replace(span, first=at), status=Status.FOUND)
