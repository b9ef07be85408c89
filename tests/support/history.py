"""A cluster's life, as far as a repository sees it: WAL, backups, promotions, upgrades, losses.

Everything is stored as a real archiver would leave it, segments with nothing but their headers, and
time passes an hour a segment. No identity is recorded, so more than one cluster can come.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from backup_core.postgres.lsn import Lsn
from backup_core.postgres.timeline import TimelineHistory, TimelineSwitch, history_of_first
from backup_core.postgres.wal import history_name, segment_name
from backup_core.repository import layout
from backup_core.repository.sentinel import Backup
from backup_core.storage.memory import MemoryStorage
from tests.support.archives import SEGMENT
from tests.support.backups import BACKUP, NOON, store, store_delta
from tests.support.segments import LONG_HEADER, LONG_HEADER_FLAG, PG17_MAGIC, WAL_BLOCK_SIZE

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Line:
    """A timeline of one cluster, and the next byte that it will write."""

    system_identifier: int
    history: TimelineHistory
    position: int


class Life:
    """What happened so far; `now` is the clock of the server and of the store."""

    def __init__(self) -> None:
        self.now = NOON
        self.storage = MemoryStorage(lambda: self.now)
        self.current = Line(1001, history_of_first(), SEGMENT + 40)
        self.abandoned: list[Line] = []
        self.backups: list[Backup] = []
        self.timelines = 1

    def archive(self, segments: int) -> None:
        """The server fills so many segments, and all are archived."""
        self.current = self._write(self.current, segments)

    def archive_abandoned(self, segments: int) -> None:
        """A primary that was left behind goes on by itself."""
        if self.abandoned:
            self.abandoned[-1] = self._write(self.abandoned[-1], segments)

    def lose(self, number: int) -> None:
        """An object of WAL vanishes, counted from the newest."""
        keys = [info.key for info in self.storage.list(layout.WAL) if "history" not in info.key]
        if keys:
            self.storage.delete([keys[-1 - number % len(keys)]])

    def promote(self) -> None:
        """A standby takes over inside the segment that was being written."""
        old = self.current
        self.timelines += 1
        end = Lsn(old.position)
        switch = TimelineSwitch(timeline=old.history.timeline, end=end, reason="")
        history = TimelineHistory(timeline=self.timelines, switches=(*old.history.switches, switch))
        text = "".join(f"{item.timeline}\t{item.end}\tpromoted\n" for item in history.switches)
        self.storage.put(layout.wal(history_name(self.timelines), ""), [text.encode()])
        self.abandoned.append(old)
        self.current = Line(old.system_identifier, history, old.position)

    def upgrade(self) -> None:
        """pg_upgrade: another system identifier, timeline 1, from the next segment on."""
        self.archive(1)
        self.abandoned.clear()
        after = (self.current.position // SEGMENT + 1) * SEGMENT
        self.current = Line(self.current.system_identifier + 1, history_of_first(), after + 40)

    def backup(self, *, permanent: bool, delta: bool) -> Backup | None:
        """A base backup that needs two segments; no second one of its name."""
        start = Lsn(self.current.position)
        name = f"base_{segment_name(self.current.history.timeline, start // SEGMENT, SEGMENT)}"
        began = self.now
        parent = self._parent() if delta else None
        self.archive(1)
        backup = replace(
            BACKUP,
            name=name if parent is None else f"{name}_D_{parent.name[5:29]}",
            timeline=self.current.history.timeline,
            start_lsn=start,
            finish_lsn=Lsn(self.current.position),
            start_time=began,
            finish_time=self.now,
            system_identifier=self.current.system_identifier,
            permanent=permanent,
        )
        self.archive(1)
        if any(item.name[:29] == name for item in self.backups):
            return None
        if parent is not None:
            backup = store_delta(self.storage, backup, parent)
        else:
            store(self.storage, backup)
        self.storage.put(layout.partition(backup.name, "part_001", "zst"), [b"files"])
        self.backups.append(backup)
        return backup

    def _parent(self) -> Backup | None:
        mine = [
            item
            for item in self.backups
            if item.system_identifier == self.current.system_identifier
            and self.current.history.contains(item.timeline, item.finish_lsn)
        ]
        return mine[-1] if mine else None

    def _write(self, line: Line, segments: int) -> Line:
        for _ in range(segments):
            self.now += HOUR
            number = line.position // SEGMENT
            name = segment_name(line.history.timeline, number, SEGMENT)
            header = LONG_HEADER.pack(
                *(PG17_MAGIC, LONG_HEADER_FLAG, line.history.timeline, number * SEGMENT, 0),
                *(line.system_identifier, SEGMENT, WAL_BLOCK_SIZE),
            )
            self.storage.put(layout.wal(name, ""), [header])
            line = replace(line, position=(number + 1) * SEGMENT + 40)
        return line
