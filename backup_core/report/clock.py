"""When WAL was written, as far as it can be told (pure).

WAL has positions and no times. What ties the two together are the backups, whose servers noted
both at their starts and ends, the ends of windows, which were read from the WAL, and last the
store's clock when it took a segment. The store's clock may be another one, and a copied archive
has the times of the copy, so it only counts where it does not contradict the others.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime

Anchor = tuple[int, datetime]
"""A position, in bytes from the beginning, and the time that belongs to it."""


def anchors(trusted: Iterable[Anchor], stored: Iterable[Anchor]) -> tuple[Anchor, ...]:
    """Those in which time goes on with the positions, which are all different."""
    found: list[Anchor] = []
    for position, time in sorted(trusted):
        if not found or (position > found[-1][0] and time >= found[-1][1]):
            found.append((position, time))
    for position, time in sorted(stored):
        place = bisect_left(found, position, key=lambda anchor: anchor[0])
        before, after = found[:place][-1:], found[place:][:1]
        fits = all(time >= its for _, its in before) and all(
            position < at and time <= its for at, its in after
        )
        if fits:
            found.insert(place, (position, time))
    return tuple(found)


def time_at(position: int, known: Sequence[Anchor]) -> datetime | None:
    """The time of a position: between two anchors in proportion, beyond them that of the last.

    None if there is no anchor.
    """
    if not known:
        return None
    place = bisect_left(known, position, key=lambda anchor: anchor[0])
    if place == len(known):
        return known[-1][1]
    at, time = known[place]
    if place == 0 or at == position:
        return time
    before, earlier = known[place - 1]
    return earlier + (time - earlier) * ((position - before) / (at - before))
