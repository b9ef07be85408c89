"""Timeline history files: by which ancestors, and up to where, a timeline came about.

The file is read as strictly as the server reads it (src/backend/access/transam/timeline.c), for a
history that is half understood sends a recovery down the wrong branch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from backup_core.errors import CorruptError
from backup_core.postgres.lsn import Lsn

_C_SPACE = " \t\n\v\f\r"
_LINE = re.compile(r"([0-9]{1,10})[ \t]+([0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8})(?:[ \t]+(.*))?")


@dataclass(frozen=True, kw_only=True)
class TimelineSwitch:
    """Where the history leaves an ancestor: `timeline` holds the WAL before `end`, exclusive."""

    timeline: int
    end: Lsn
    reason: str


@dataclass(frozen=True, kw_only=True)
class TimelineHistory:
    """The way to `timeline`: its ancestors, oldest first, with ends that never decrease."""

    timeline: int
    switches: tuple[TimelineSwitch, ...]

    @property
    def begin(self) -> Lsn:
        """Where the timeline left its parent; 0 without a parent."""
        return self.switches[-1].end if self.switches else Lsn(0)

    def timeline_at(self, lsn: int) -> int:
        """The timeline whose WAL holds the byte at `lsn` on the way to this one."""
        for switch in self.switches:
            if lsn < switch.end:
                return switch.timeline
        return self.timeline

    def contains(self, timeline: int, lsn: int) -> bool:
        """Tell whether `lsn`, reached on `timeline`, is on the way to this timeline.

        The point where an ancestor was left counts as its own still: a backup may end there.
        """
        if timeline == self.timeline:
            return lsn >= self.begin
        return any(item.timeline == timeline and lsn <= item.end for item in self.switches)


def history_of_first() -> TimelineHistory:
    """The history of timeline 1, which has no history file."""
    return TimelineHistory(timeline=1, switches=())


def parse_history(text: str, timeline: int) -> TimelineHistory:
    """Read the history file of `timeline`; raises CorruptError naming the line.

    Comments and blank lines are passed over. An ancestor's end may be later than its successor's:
    the server writes that when a recovery stops before a switch that its target timeline made. The
    way left the ancestor at the successor's end then, and so says the result.
    """
    switches: list[TimelineSwitch] = []
    for number, line in enumerate(text.split("\n"), start=1):
        content = line.strip(_C_SPACE)
        if not content or content.startswith("#"):
            continue
        switch = _parse_line(content, number, timeline)
        _check_order(switches, switch, number, timeline)
        switches.append(switch)
    return TimelineHistory(timeline=timeline, switches=_as_travelled(switches))


def _parse_line(content: str, number: int, timeline: int) -> TimelineSwitch:
    match = _LINE.fullmatch(content)
    if match is None:
        raise _corrupt(timeline, number, "it is not a timeline, an LSN and a reason")
    return TimelineSwitch(timeline=int(match[1]), end=Lsn.parse(match[2]), reason=match[3] or "")


def _check_order(
    earlier: list[TimelineSwitch], switch: TimelineSwitch, number: int, timeline: int
) -> None:
    if not 1 <= switch.timeline < timeline:
        raise _corrupt(timeline, number, f"{switch.timeline} cannot be an ancestor")
    if switch.end == 0:
        raise _corrupt(timeline, number, f"timeline {switch.timeline} cannot end at 0/0")
    if earlier and switch.timeline <= earlier[-1].timeline:
        raise _corrupt(
            timeline, number, f"{switch.timeline} does not come after {earlier[-1].timeline}"
        )


def _as_travelled(switches: list[TimelineSwitch]) -> tuple[TimelineSwitch, ...]:
    """Lower each end to the lowest that follows."""
    travelled: list[TimelineSwitch] = []
    for switch in reversed(switches):
        end = min(switch.end, travelled[-1].end) if travelled else switch.end
        travelled.append(TimelineSwitch(timeline=switch.timeline, end=end, reason=switch.reason))
    return tuple(reversed(travelled))


def _corrupt(timeline: int, number: int, why: str) -> CorruptError:
    return CorruptError(
        f"line {number} of the history file of timeline {timeline} is damaged: {why}",
        hint="Compare the file with the one in pg_wal of a server that is on this timeline.",
    )
