"""The WAL that a repository holds: one listing, and the arithmetic over it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backup_core.errors import CorruptError, NotFoundError, UsageError
from backup_core.postgres.wal import (
    LONG_HEADER_SIZE,
    SegmentHeader,
    WalKind,
    WalName,
    history_name,
    parse_segment_header,
    parse_wal_name,
    segment_name,
)
from backup_core.repository import layout
from backup_core.storage.base import Storage
from backup_core.stream.compress import decode

if TYPE_CHECKING:
    from datetime import datetime

    from backup_core.postgres.timeline import TimelineHistory

EXTENSIONS = ("zst", "lz4", "lzma", "br", "gz", "lzo", "")
_HEAD = 128 << 10


@dataclass(frozen=True, kw_only=True)
class WalObject:
    """One archived WAL file; `size` is the stored size in bytes."""

    wal: WalName
    key: str
    extension: str
    size: int
    modified: datetime | None


@dataclass(frozen=True, kw_only=True)
class WalRange:
    """Consecutive segments of one timeline, by number, both ends included."""

    timeline: int
    first: int
    last: int

    @property
    def count(self) -> int:
        """How many segments the range spans."""
        return self.last - self.first + 1


def list_wal(
    storage: Storage, prefix: str = "", *, start_after: str | None = None
) -> Iterator[WalObject]:
    """Yield archived WAL files whose names start with `prefix`, passing over foreign objects."""
    after = None if start_after is None else layout.WAL + start_after
    for info in storage.list(layout.WAL + prefix, start_after=after):
        found = _parse_key(info.key)
        if found is not None:
            wal, extension = found
            yield WalObject(
                wal=wal, key=info.key, extension=extension, size=info.size, modified=info.modified
            )


def _parse_key(key: str) -> tuple[WalName, str] | None:
    base = key.removeprefix(layout.WAL)
    name, dot, extension = base.rpartition(".")
    for candidate, ending in ((base, ""), (name, extension)):
        if ending in EXTENSIONS and (not ending or dot):
            try:
                return parse_wal_name(candidate), ending
            except UsageError:
                continue
    return None


def find_wal(storage: Storage, name: str) -> WalObject | None:
    """Find a WAL file under whichever codec stored it, by one listing; None if absent."""
    return next((found for found in list_wal(storage, name) if found.wal.name == name), None)


def read_wal(storage: Storage, found: WalObject) -> Iterator[bytes]:
    """Yield the file's original bytes."""
    return decode(storage.get(found.key), extension=found.extension, name=found.key)


def read_header(storage: Storage, found: WalObject) -> SegmentHeader:
    """Read a segment's page header by fetching no more than the object's beginning."""
    head = b""
    chunks = decode(storage.get(found.key, stop=_HEAD), extension=found.extension, name=found.key)
    while len(head) < LONG_HEADER_SIZE and (piece := next(chunks, b"")):
        head += piece
    return parse_segment_header(head, name=found.key)


def read_history(storage: Storage, timeline: int) -> TimelineHistory:
    """Read a timeline's history; raises NotFoundError if a timeline above 1 has none."""
    from backup_core.postgres.timeline import history_of_first, parse_history

    if timeline == 1:
        return history_of_first()
    name = history_name(timeline)
    found = find_wal(storage, name)
    if found is None:
        raise NotFoundError(
            f"{storage.url} holds no {name}",
            hint="The history file is archived when a server is promoted; if that server still "
            f"exists, run pitr wal-push pg_wal/{name} there.",
        )
    try:
        text = b"".join(read_wal(storage, found)).decode()
    except UnicodeDecodeError:
        raise CorruptError(f"{found.key} is not a timeline history file") from None
    return parse_history(text, timeline)


def latest_timeline(timelines: Collection[int], start: int) -> int:
    """The timeline that the server would follow as "latest" from `start`.

    The server asks for the next history file until one is missing, so a hole hides what is above.
    """
    while start + 1 in timelines:
        start += 1
    return start


def ranges(objects: Iterable[WalObject], segment_size: int) -> list[WalRange]:
    """The unbroken runs of whole segments, by timeline and position."""
    found: list[WalRange] = []
    numbers = sorted(
        {
            (item.wal.timeline, item.wal.segment_number(segment_size))
            for item in objects
            if item.wal.kind is WalKind.SEGMENT
        }
    )
    for timeline, number in numbers:
        if found and (found[-1].timeline, found[-1].last) == (timeline, number - 1):
            found[-1] = WalRange(timeline=timeline, first=found[-1].first, last=number)
        else:
            found.append(WalRange(timeline=timeline, first=number, last=number))
    return found


def missing(
    names: Collection[str], timeline: int, first: int, last: int, segment_size: int
) -> list[str]:
    """The segments from number `first` to `last` that are not among `names`."""
    wanted = (segment_name(timeline, number, segment_size) for number in range(first, last + 1))
    return [name for name in wanted if name not in names]
