"""When transactions ended, from the WAL records of a segment.

A recovery to a time stops at the first commit or abort after it, so the last of them says up to
when a segment leads. The store's clock says only when the segment came, which is hours later if the
archiver had to catch up. Of the record format (src/include/access/xlogrecord.h) no more is read
than it takes to step from record to record and to find these times; it is the same from 9.6 to 18.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from backup_core.postgres.lsn import Lsn
from backup_core.postgres.wal import LONG_HEADER_SIZE, SegmentHeader

_SHORT_HEADER_SIZE = 24
_FIRST_IS_CONTINUATION = 0x0001
_REMAINING = struct.Struct("<I")
_REMAINING_AT = 16
_RECORD = struct.Struct("<IIQBB")
_RECORD_HEADER_SIZE = 24
_ALIGNMENT = 8
_TRANSACTIONS = 1
_OPERATION = 0x70
_ENDS = (0x00, 0x20, 0x30, 0x40)  # commit, abort, and both of a prepared transaction
_SHORT_DATA, _LONG_DATA, _ORIGIN, _TOP_XID = 255, 254, 253, 252
_MICROSECONDS = struct.Struct("<q")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def transaction_ends(segment: bytes, header: SegmentHeader) -> Iterator[tuple[Lsn, datetime]]:
    """Yield where and when the transactions ended whose records lie in this segment, in order.

    A record that goes on in the next segment is not told. The segment is taken to be whole.
    """
    size = header.block_size
    payload = _without_headers(segment, size)
    position = _aligned(_continuation(segment))
    while position + _RECORD_HEADER_SIZE <= len(payload):
        length, _, _, info, manager = _RECORD.unpack_from(payload, position)
        end = position + length
        if length < _RECORD_HEADER_SIZE or end > len(payload):
            return  # the rest is zeros, or continued
        if manager == _TRANSACTIONS and info & _OPERATION in _ENDS:
            time = _time(payload[position:end])
            if time is not None:
                yield Lsn(header.page_address + _offset(position, size)), time
        position = _aligned(end)


def _without_headers(segment: bytes, size: int) -> bytes:
    """The bytes of the records: every page without its header, whose size is aligned."""
    view = memoryview(segment)
    pages = [view[LONG_HEADER_SIZE:size]]
    pages += [view[at + _SHORT_HEADER_SIZE : at + size] for at in range(size, len(view), size)]
    return b"".join(pages)


def _continuation(segment: bytes) -> int:
    """How many bytes at the beginning belong to a record of the segment before."""
    info = int.from_bytes(segment[2:4], "little")
    (remaining,) = _REMAINING.unpack_from(segment, _REMAINING_AT)
    return int(remaining) if info & _FIRST_IS_CONTINUATION else 0


def _aligned(position: int) -> int:
    return (position + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT


def _offset(position: int, size: int) -> int:
    """Where in the segment a byte of the payload is."""
    first = size - LONG_HEADER_SIZE
    if position < first:
        return position + LONG_HEADER_SIZE
    page, rest = divmod(position - first, size - _SHORT_HEADER_SIZE)
    return (page + 1) * size + _SHORT_HEADER_SIZE + rest


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
