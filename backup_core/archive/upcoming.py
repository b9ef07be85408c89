"""What a recovering server will ask for after the segment it asked for just now.

A guess that costs nothing when it is wrong: what is asked for decides. The server takes each
segment from the newest timeline on its way that has begun by then (xlogrecovery.c), so at a switch
the segment in which it lies is the successor's. It follows the newest timeline unless it was told
otherwise; that it was shows when it stays on a timeline beyond the point where the way leaves it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backup_core.errors import NotFoundError
from backup_core.postgres.timeline import TimelineHistory
from backup_core.postgres.wal import WalKind, WalName, segment_of
from backup_core.repository.wal_archive import (
    WalObject,
    first_objects,
    latest_timeline,
    list_segments,
    read_history,
)
from backup_core.storage.base import Storage


@dataclass(frozen=True, kw_only=True)
class Leg:
    """A stretch of the way on one timeline, by segment number; `last` None for all there is."""

    timeline: int
    first: int
    last: int | None


def legs(history: TimelineHistory, timeline: int, number: int, segment_size: int) -> list[Leg]:
    """The way after segment `number` of `timeline` to the end of the history's own timeline.

    Only on `timeline` itself if that segment is not on the way.
    """
    found: list[Leg] = []
    first, on_the_way = number + 1, timeline == history.timeline
    for switch in history.switches:
        successor_takes_over = segment_of(switch.end, segment_size)
        if switch.timeline == timeline:
            on_the_way = number < successor_takes_over
        if switch.timeline >= timeline and first < successor_takes_over:
            found.append(Leg(timeline=switch.timeline, first=first, last=successor_takes_over - 1))
            first = successor_takes_over
    if not on_the_way:
        return [Leg(timeline=timeline, first=number + 1, last=None)]
    return [*found, Leg(timeline=history.timeline, first=first, last=None)]


def upcoming(storage: Storage, wanted: WalName, segment_size: int) -> Iterator[WalObject]:
    """Yield the archived segments after `wanted` in the server's order, to the first that lacks."""
    history = _history(storage, wanted.timeline)
    number = wanted.segment_number(segment_size)
    for leg in legs(history, wanted.timeline, number, segment_size):
        expected = leg.first
        for found in list_segments(storage, leg.timeline, leg.first, segment_size, last=leg.last):
            if found.wal.segment_number(segment_size) != expected:
                return
            yield found
            expected += 1
        if leg.last is not None and expected <= leg.last:
            return


def _history(storage: Storage, timeline: int) -> TimelineHistory:
    """The history of the timeline that a server on `timeline` follows unless told otherwise."""
    timelines = {
        item.wal.timeline for item in first_objects(storage) if item.wal.kind is WalKind.HISTORY
    }
    try:
        return read_history(storage, latest_timeline(timelines, timeline))
    except NotFoundError:
        return TimelineHistory(timeline=timeline, switches=())
