"""The WAL that a repository holds: one listing, and the arithmetic over it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
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
from backup_core.repository.identity import load_identity
from backup_core.storage.base import ObjectInfo, Storage
from backup_core.stream.compress import decode, head_size

if TYPE_CHECKING:
    from datetime import datetime

    from backup_core.postgres.timeline import TimelineHistory

_END_OF_NAME = "~"
_END_OF_TIMELINE = "G"


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
    yield from wal_objects(storage.list(layout.WAL + prefix, start_after=after))


def wal_objects(listing: Iterable[ObjectInfo]) -> Iterator[WalObject]:
    """Yield the WAL files of a listing, passing over foreign objects."""
    for info in listing:
        found = _parse_key(info.key)
        if found is not None:
            wal, extension = found
            yield WalObject(
                wal=wal, key=info.key, extension=extension, size=info.size, modified=info.modified
            )


def list_segments(
    storage: Storage, timeline: int, first: int, segment_size: int, *, last: int | None = None
) -> Iterator[WalObject]:
    """Yield a timeline's whole segments from number `first` to `last`, or to the end.

    What lies before is not listed: a year of it would take an hour.
    """
    prefix = f"{timeline:08X}"
    before = segment_name(timeline, first - 1, segment_size) + _END_OF_NAME if first else prefix
    for found in list_wal(storage, prefix, start_after=before):
        if found.wal.kind is WalKind.SEGMENT:
            if last is not None and found.wal.segment_number(segment_size) > last:
                return
            yield found


def first_objects(storage: Storage) -> Iterator[WalObject]:
    """Yield the first WAL file of each timeline, which is its history if that is archived.

    One short listing a timeline, however much WAL is on it.
    """
    found = next(list_wal(storage), None)
    while found is not None:
        yield found
        after = f"{found.wal.timeline:08X}{_END_OF_TIMELINE}"
        found = next(list_wal(storage, start_after=after), None)


def some_segment(storage: Storage, firsts: Sequence[WalObject]) -> WalObject | None:
    """A whole segment of the newest timeline that has one; `firsts` are those of first_objects."""
    for item in reversed(firsts):
        found = list_wal(storage, f"{item.wal.timeline:08X}")
        segment = next((each for each in found if each.wal.kind is WalKind.SEGMENT), None)
        if segment is not None:
            return segment
    return None


def _parse_key(key: str) -> tuple[WalName, str] | None:
    """WAL-G long ended a name in a dot where there is no extension."""
    base = key.removeprefix(layout.WAL)
    extension = layout.extension_of(base)
    name = base.removesuffix(f".{extension}")
    try:
        return parse_wal_name(name), extension
    except UsageError:
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
    chunks = decode(
        storage.get(found.key, stop=head_size(found.extension)),
        extension=found.extension,
        name=found.key,
    )
    while len(head) < LONG_HEADER_SIZE and (piece := next(chunks, b"")):
        head += piece
    return parse_segment_header(head, name=found.key)


def archived_segment_size(storage: Storage, segment: WalObject | None) -> int | None:
    """The cluster's segment size in bytes: recorded, or read from this segment; None without both.

    The record may be missing in repositories that other tools or early versions began.
    """
    identity = load_identity(storage)
    if identity is not None and identity.wal_segment_size is not None:
        return identity.wal_segment_size
    return None if segment is None else read_header(storage, segment).segment_size


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
    """The unbroken runs of whole segments, by timeline and position.

    Runs grow as the objects come, so that a year of them in order takes no more memory than a day.
    """
    runs: list[tuple[int, int, int]] = []
    timeline = first = last = -1
    for item in objects:
        if item.wal.kind is not WalKind.SEGMENT:
            continue
        number = item.wal.segment_number(segment_size)
        if item.wal.timeline == timeline and last <= number <= last + 1:
            last = number
            continue
        if timeline >= 0:
            runs.append((timeline, first, last))
        timeline, first, last = item.wal.timeline, number, number
    if timeline >= 0:
        runs.append((timeline, first, last))
    return _joined(runs)


def _joined(runs: list[tuple[int, int, int]]) -> list[WalRange]:
    """Sort the runs and join those that touch: a listing without order makes many of them."""
    found: list[WalRange] = []
    for timeline, first, last in sorted(runs):
        before = found[-1] if found else None
        if before and before.timeline == timeline and first <= before.last + 1:
            last = max(last, before.last)
            first = found.pop().first
        found.append(WalRange(timeline=timeline, first=first, last=last))
    return found


def missing(
    names: Collection[str], timeline: int, first: int, last: int, segment_size: int
) -> list[str]:
    """The segments from number `first` to `last` that are not among `names`."""
    wanted = (segment_name(timeline, number, segment_size) for number in range(first, last + 1))
    return [name for name in wanted if name not in names]
