"""Archived segments, read and proved: what a listing cannot show.

Each is fetched, decoded, and held against its name, its size, its cluster, and its own pages; then
its records are followed to its end, and by PostgreSQL's own pg_waldump where that is installed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from backup_core.errors import CorruptError, NotFoundError, WalHeaderError
from backup_core.postgres.records import check_pages, is_complete
from backup_core.postgres.wal import (
    SegmentHeader,
    check_segment_header,
    parse_segment_header,
    parse_wal_name,
    segment_name,
)
from backup_core.repository.sealed import UnknownContentError
from backup_core.repository.wal_archive import WalRange, find_wal, read_wal
from backup_core.storage.base import Storage
from backup_core.verify.waldump import Waldump

BATCH = 4
"""Segments that are on disk at once for pg_waldump, and one that links them to those before."""


@dataclass(frozen=True, kw_only=True)
class BadSegment:
    """A segment that is there and is not what it should be."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ContentReport:
    """What was read: segments, their bytes, those that are bad; `dumped` by pg_waldump, as well."""

    checked: int = 0
    size: int = 0
    bad: tuple[BadSegment, ...] = ()
    dumped: int = 0


def check_content(
    storage: Storage,
    runs: Sequence[WalRange],
    *,
    segment_size: int,
    system_identifier: int | None,
    find_waldump: Callable[[str], Waldump | None],
    workers: int,
    advance: Callable[[int], None] = lambda _: None,
) -> ContentReport:
    """Read every segment of the runs; `find_waldump` tells the program for a major version.

    Raises StorageError, and MissingKeyError where what is encrypted cannot be read.
    """
    checked = size = dumped = 0
    bad: list[BadSegment] = []

    def fetch(name: str) -> bytes | BadSegment:
        return _fetch(storage, name, segment_size, system_identifier)

    with (
        tempfile.TemporaryDirectory(prefix="pitr-verify-") as scratch,
        ThreadPoolExecutor(workers, thread_name_prefix="wal") as pool,
    ):
        for names in _batches(runs, segment_size):
            contents = dict(zip(names, pool.map(fetch, names), strict=True))
            whole = {n: data for n, data in contents.items() if isinstance(data, bytes)}
            bad += [item for item in contents.values() if isinstance(item, BadSegment)]
            checked += len(contents)
            size += sum(map(len, whole.values()))
            found = _dump(Path(scratch), whole, names, find_waldump)
            bad += found.bad
            dumped += found.dumped
            for data in whole.values():
                advance(len(data))
    return ContentReport(checked=checked, size=size, bad=tuple(bad), dumped=dumped)


def check_segment(
    data: bytes, name: str, *, segment_size: int, system_identifier: int | None
) -> SegmentHeader:
    """Hold a segment against all that can be known of it; raises WalHeaderError."""
    header = parse_segment_header(data, name=name)
    check_segment_header(parse_wal_name(name), header)
    if system_identifier is not None and header.system_identifier != system_identifier:
        raise WalHeaderError(f"{name} is of another cluster, {header.system_identifier}")
    if len(data) != segment_size or header.segment_size != segment_size:
        raise WalHeaderError(f"{name} holds {len(data)} bytes, a segment has {segment_size}")
    check_pages(data, header, name=name)
    if not is_complete(data, header):
        raise WalHeaderError(f"the records in {name} stop before its end")
    return header


def _fetch(
    storage: Storage, name: str, segment_size: int, system_identifier: int | None
) -> bytes | BadSegment:
    found = find_wal(storage, name)
    if found is None:
        return BadSegment(name=name, reason="it was removed meanwhile")
    try:
        data = b"".join(read_wal(storage, found))
        check_segment(data, name, segment_size=segment_size, system_identifier=system_identifier)
    except (CorruptError, NotFoundError, UnknownContentError) as error:
        return BadSegment(name=name, reason=error.message)
    return data


def _batches(runs: Sequence[WalRange], segment_size: int) -> Iterator[list[str]]:
    for run in runs:
        for first in range(run.first, run.last + 1, BATCH):
            last = min(first + BATCH - 1, run.last)
            yield [segment_name(run.timeline, n, segment_size) for n in range(first, last + 1)]


def _dump(
    scratch: Path,
    whole: dict[str, bytes],
    names: Sequence[str],
    find_waldump: Callable[[str], Waldump | None],
) -> ContentReport:
    """Let pg_waldump follow the records through those of a batch that came through unharmed.

    The last segment of the batch before is still there, if it directly precedes this one.
    """
    keep = names[-1] if names[-1] in whole else None
    waldump = None
    for name in whole:
        (scratch / name).write_bytes(whole[name])
        waldump = waldump or find_waldump(parse_segment_header(whole[name], name=name).major)
    complaints = waldump.follow(scratch) if waldump is not None else {}
    for path in scratch.iterdir():
        if path.name != keep:
            path.unlink()
    return ContentReport(
        bad=tuple(BadSegment(name=name, reason=why) for name, why in complaints.items()),
        dumped=len(whole) if waldump is not None else 0,
    )
