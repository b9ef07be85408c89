"""Which WAL the kept backups need (pure).

Recovery from a backup never goes to a lower timeline, and on its own and every later one it can
lead to, it needs all from its start on. So each timeline has one number from which WAL is needed
onwards, and beside that there are the stretches around backups that are kept for themselves. What
is not understood is needed: a timeline whose history is missing, a name that is no segment's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backup_core.postgres.lsn import Lsn
from backup_core.postgres.timeline import TimelineHistory, history_of_first
from backup_core.postgres.wal import segment_of
from backup_core.repository import layout
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalRange
from backup_core.repository.wal_e import is_offline
from backup_core.verify.continuity import among, wal_spans
from backup_core.verify.window import Facts

_EXTENSIONS = "|".join(layout.EXTENSIONS)
_OBJECT = re.compile(
    r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})"
    r"(\.partial|\.[0-9A-F]{8}\.backup|_delta)?"
    rf"(?:\.(?:{_EXTENSIONS}|json))?\.?"
)
_HISTORY = re.compile(r"[0-9A-F]{8}\.history(\.|$)")
_DELTA_GROUP = 16
"""So many segments does a `_delta` object of WAL-G describe, from the one in its name on."""


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """From where WAL is needed onwards; `finish` None for a backup of which only that is known."""

    timeline: int
    first: int
    finish: Lsn | None


@dataclass(frozen=True, kw_only=True)
class WalNeed:
    """What is needed, by number: from `onwards` on, by timeline, and within `stretches`.

    `everything` if a kept backup does not tell where its WAL begins, or there is none to tell.
    """

    onwards: dict[int, int]
    stretches: tuple[WalRange, ...]
    everything: bool = False

    def covers(self, timeline: int, first: int, last: int) -> bool:
        """Tell whether any segment from `first` to `last` is needed."""
        if self.everything:
            return True
        if timeline in self.onwards and last >= self.onwards[timeline]:
            return True
        return any(
            item.timeline == timeline and item.first <= last and first <= item.last
            for item in self.stretches
        )


def anchor_of(backup: Backup, segment_size: int) -> Anchor:
    """The anchor of a backup that can be read."""
    return Anchor(
        timeline=backup.timeline,
        first=segment_of(backup.start_lsn, segment_size),
        finish=backup.finish_lsn,
    )


def anchor_of_name(name: str, segment_size: int) -> Anchor:
    """The anchor of a backup of which only the name is known."""
    log, seg = int(name[13:21], 16), int(name[21:29], 16)
    number = log * ((1 << 32) // segment_size) + seg
    return Anchor(timeline=layout.backup_timeline(name), first=number, finish=None)


def wal_need(
    anchors: Sequence[Anchor], around: Sequence[Backup], facts: Facts, timelines: set[int]
) -> WalNeed:
    """What is needed on these timelines, which are all that have WAL."""
    if not anchors or any(map(is_offline, around)):
        return WalNeed(onwards={}, stretches=(), everything=True)
    onwards = {timeline: _first_needed(timeline, anchors, facts) for timeline in timelines}
    return WalNeed(
        onwards={timeline: first for timeline, first in onwards.items() if first is not None},
        stretches=tuple(span for backup in around for span in _around(backup, facts)),
    )


def _first_needed(timeline: int, anchors: Sequence[Anchor], facts: Facts) -> int | None:
    """The number from which a timeline is needed; None if no way from an anchor leads to it.

    A timeline above all anchors is needed whole: its first backup may be still to come.
    """
    history = _history(timeline, facts)
    leading = [anchor.first for anchor in anchors if _leads_to(anchor, timeline, history)]
    if not leading and timeline > max(anchor.timeline for anchor in anchors):
        return 0
    return min(leading, default=None)


def _history(timeline: int, facts: Facts) -> TimelineHistory | None:
    if timeline == 1:
        return history_of_first()
    return None if timeline in facts.unread else facts.histories.get(timeline)


def _leads_to(anchor: Anchor, timeline: int, history: TimelineHistory | None) -> bool:
    if anchor.timeline >= timeline:
        return anchor.timeline == timeline
    if history is None or anchor.finish is None:
        return True
    return history.contains(anchor.timeline, anchor.finish)


def _around(backup: Backup, facts: Facts) -> tuple[WalRange, ...]:
    """The segments that make a backup consistent."""
    history = _history(backup.timeline, facts) or TimelineHistory(
        timeline=backup.timeline, switches=()
    )
    return wal_spans(backup, history, backup.finish_lsn, among(()), facts.segment_size)


def segments_of(key: str, segment_size: int) -> tuple[int, int, int] | None:
    """The timeline, and the first and last segment that a WAL object concerns; None for others.

    History files are among the others: they are small, and a server that looks for the newest
    timeline must find each of them.
    """
    match = _OBJECT.fullmatch(key.removeprefix(layout.WAL))
    if match is None:
        return None
    timeline, log, seg = (int(match[group], 16) for group in (1, 2, 3))
    per_log = (1 << 32) // segment_size
    if seg >= per_log:
        return None
    number = log * per_log + seg
    return timeline, number, number + (_DELTA_GROUP - 1 if match[4] == "_delta" else 0)


def is_history(key: str) -> bool:
    """Tell whether a WAL object is a timeline's history file."""
    return _HISTORY.match(key.removeprefix(layout.WAL)) is not None


def foreign_runs(facts: Facts, cluster: int | None) -> Iterator[WalRange]:
    """The segments of other clusters, which are none of our business."""
    for item in facts.wal:
        if item.system_identifier != cluster:
            yield from item.runs
