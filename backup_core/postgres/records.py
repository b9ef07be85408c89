"""The WAL records of a segment: when transactions ended, and whether the segment is whole.

A recovery to a time stops at the first commit or abort after it, so the last of them says up to
when a segment leads. The store's clock says only when the segment came, which is hours later if the
archiver had to catch up. Of the record format (src/include/access/xlogrecord.h) no more is read
than it takes to step from record to record and to find these times; it is the same from 9.6 to 18.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from backup_core.errors import WalHeaderError
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.wal import LONG_HEADER_SIZE, SegmentHeader

_SHORT_HEADER = struct.Struct("<HHIQI4x")
_CONTINUES = 0x0001
_RECORD = struct.Struct("<IIQBB")
_RECORD_HEADER_SIZE = 24
_ALIGNMENT = 8
_LOG, _SWITCH = 0, 0x40
_TRANSACTIONS = 1
_OPERATION = 0x70
_ENDS = (0x00, 0x20, 0x30, 0x40)  # commit, abort, and both of a prepared transaction
_SHORT_DATA, _LONG_DATA, _ORIGIN, _TOP_XID = 255, 254, 253, 252
_MICROSECONDS = struct.Struct("<q")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class _Record:
    """A record: where it begins and ends in the payload; `data` None if it goes on beyond it."""

    start: int
    end: int
    manager: int
    info: int
    data: bytes | None


def transaction_ends(segment: bytes, header: SegmentHeader) -> Iterator[tuple[Lsn, datetime]]:
    """Yield where and when the transactions ended whose records lie in this segment, in order.

    A record that goes on in the next segment is not told. The segment is taken to be whole.
    """
    for record in _Payload(segment, header.block_size).records():
        is_end = record.manager == _TRANSACTIONS and record.info & _OPERATION in _ENDS
        time = _time(record.data) if is_end and record.data is not None else None
        if time is not None:
            at = _offset(record.start, header.block_size)
            yield Lsn(header.page_address + at), time


def check_pages(segment: bytes, header: SegmentHeader, *, name: str) -> None:
    """Raise WalHeaderError for a page that is not of this place in the WAL.

    A page of zeros passes: what follows a switch may be empty.
    """
    for at in range(header.block_size, len(segment), header.block_size):
        magic, _, timeline, address, _ = _SHORT_HEADER.unpack_from(segment, at)
        if not magic and not any(segment[at : at + header.block_size]):
            continue
        if magic != header.magic or address != header.page_address + at or timeline == 0:
            raise WalHeaderError(
                f"{name} is damaged at offset {at}: the page there is not of this segment",
                hint="The file may be recycled space that was never filled.",
            )


def is_complete(segment: bytes, header: SegmentHeader) -> bool:
    """Tell whether the records lead to the segment's end, or to a switch to the next one.

    A segment that was still being written, or received, stops in the middle.
    """
    payload = _Payload(segment, header.block_size)
    last = None
    for record in payload.records():
        last = record
    if last is None:
        return payload.first_record() >= payload.size
    if last.manager == _LOG and last.info & 0xF0 == _SWITCH:
        return True
    return _aligned(last.end) + _ALIGNMENT > payload.size


class _Payload:
    """The bytes of the records: every page without its header, whose size is aligned."""

    def __init__(self, segment: bytes, block_size: int) -> None:
        self._segment = segment
        self._block_size = block_size
        view = memoryview(segment)
        pages = [view[LONG_HEADER_SIZE:block_size]]
        for at in range(block_size, len(view), block_size):
            pages.append(view[at + _SHORT_HEADER.size : at + block_size])
        self._bytes = b"".join(pages)
        self.size = len(self._bytes)

    def first_record(self) -> int:
        """Where the first record begins: behind what belongs to the segment before."""
        _, info, _, _, remaining = _SHORT_HEADER.unpack_from(self._segment)
        return _aligned(remaining) if info & _CONTINUES else 0

    def records(self) -> Iterator[_Record]:
        """Yield the records that begin here, up to the first place where none does."""
        at = self.first_record()
        while at + _ALIGNMENT <= self.size:
            length = int.from_bytes(self._bytes[at : at + 4], "little")
            if length < _RECORD_HEADER_SIZE:
                return
            abandoned = self._abandoned_at(at, at + length)
            if abandoned is not None:
                at = abandoned
                continue
            end = at + length
            is_split = end > self.size
            manager = info = -1
            if at + _RECORD_HEADER_SIZE <= self.size:
                _, _, _, info, manager = _RECORD.unpack_from(self._bytes, at)
            data = None if is_split else self._bytes[at:end]
            yield _Record(start=at, end=end, manager=manager, info=info, data=data)
            at = _aligned(end)

    def _abandoned_at(self, start: int, end: int) -> int | None:
        """Where a page begins that should continue a record and does not; None if all do.

        A server that crashed within a record goes on with another on the next page.
        """
        first = self._page(start)
        for page in range(first + 1, self._page(min(end, self.size) - 1) + 1):
            at = page * self._block_size
            if not int.from_bytes(self._segment[at + 2 : at + 4], "little") & _CONTINUES:
                return self._start_of(page)
        return None

    def _page(self, position: int) -> int:
        return _offset(position, self._block_size) // self._block_size

    def _start_of(self, page: int) -> int:
        first = self._block_size - LONG_HEADER_SIZE
        return first + (page - 1) * (self._block_size - _SHORT_HEADER.size)


def _aligned(position: int) -> int:
    return (position + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT


def _offset(position: int, size: int) -> int:
    """Where in the segment a byte of the payload is."""
    first = size - LONG_HEADER_SIZE
    if position < first:
        return position + LONG_HEADER_SIZE
    page, rest = divmod(position - first, size - _SHORT_HEADER.size)
    return (page + 1) * size + _SHORT_HEADER.size + rest


def _time(record: bytes) -> datetime | None:
    """The time at the start of the main data, which is the end of the record."""
    length = _main_length(record)
    if length is None or not _MICROSECONDS.size <= length <= len(record) - _RECORD_HEADER_SIZE:
        return None
    (microseconds,) = _MICROSECONDS.unpack_from(record, len(record) - length)
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return None


def _main_length(record: bytes) -> int | None:
    """Bytes of main data; None for a record with blocks, which the end of no transaction has."""
    at = _RECORD_HEADER_SIZE
    while at + 1 < len(record):
        kind = record[at]
        if kind == _SHORT_DATA:
            return record[at + 1]
        if kind == _LONG_DATA:
            return int.from_bytes(record[at + 1 : at + 5], "little")
        if kind not in (_ORIGIN, _TOP_XID):
            return None
        at += 3 if kind == _ORIGIN else 5
    return None
