"""WAL file names and the header of a WAL segment, for every segment size.

A segment's name is timeline, log id and segment within the log id, eight hexadecimal digits each;
a log id covers 4 GiB, so names depend on the segment size. The size is never configured: the long
page header that opens each segment tells it (src/include/access/xlog_internal.h).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import Enum

from backup_core.errors import UsageError, WalHeaderError
from backup_core.postgres.lsn import Lsn

LOG_ID_SIZE = 1 << 32
MIN_SEGMENT_SIZE = 1 << 20
MAX_SEGMENT_SIZE = 1 << 30
DEFAULT_SEGMENT_SIZE = 16 << 20

# XLOG_PAGE_MAGIC of each major version (xlog_internal.h).
MAGIC_TO_MAJOR = {
    0xD093: "9.6",
    0xD097: "10",
    0xD098: "11",
    0xD101: "12",
    0xD106: "13",
    0xD10D: "14",
    0xD110: "15",
    0xD113: "16",
    0xD116: "17",
    0xD118: "18",
}

_NAME = re.compile(
    r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(?:(\.partial)|\.([0-9A-F]{8})\.backup)?"
)
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")
_LONG_HEADER = struct.Struct("<HHIQI4xQII")
_XLP_LONG_HEADER = 0x0002
LONG_HEADER_SIZE = _LONG_HEADER.size


class WalKind(Enum):
    """What the archiver hands over (manual, section 26.3.1)."""

    SEGMENT = "segment"
    PARTIAL = "partial"
    BACKUP = "backup"
    HISTORY = "history"


@dataclass(frozen=True, kw_only=True)
class WalName:
    """A parsed WAL file name; `log` and `seg` are zero for a timeline history file."""

    name: str
    kind: WalKind
    timeline: int
    log: int = 0
    seg: int = 0

    def segment_number(self, segment_size: int) -> int:
        """The segment's number since the start of the WAL; raises WalHeaderError if impossible."""
        per_log = LOG_ID_SIZE // segment_size
        if self.seg >= per_log:
            raise WalHeaderError(
                f"{self.name} cannot be a segment of {segment_size} bytes: "
                f"its last eight digits must be below {per_log:08X}"
            )
        return self.log * per_log + self.seg


def parse_wal_name(name: str) -> WalName:
    """Parse the name of a file that PostgreSQL archives; raises UsageError for any other name."""
    if history := _HISTORY.fullmatch(name):
        return WalName(name=name, kind=WalKind.HISTORY, timeline=int(history[1], 16))
    match = _NAME.fullmatch(name)
    if match is None:
        raise UsageError(
            f'"{name}" is not the name of a WAL file',
            hint="Names look like 000000010000000000000001, with .partial, .XXXXXXXX.backup "
            "or, for a timeline, 00000002.history.",
        )
    kind = WalKind.PARTIAL if match[4] else WalKind.BACKUP if match[5] else WalKind.SEGMENT
    timeline, log, seg = (int(match[i], 16) for i in (1, 2, 3))
    return WalName(name=name, kind=kind, timeline=timeline, log=log, seg=seg)


def segment_name(timeline: int, number: int, segment_size: int) -> str:
    """The file name of segment `number` on `timeline`."""
    per_log = LOG_ID_SIZE // segment_size
    return f"{timeline:08X}{number // per_log:08X}{number % per_log:08X}"


def segment_of(lsn: int, segment_size: int) -> int:
    """The number of the segment that holds the byte at `lsn`."""
    return lsn // segment_size


def last_segment_before(lsn: int, segment_size: int) -> int:
    """The number of the segment that holds the last byte before `lsn` (an exclusive end)."""
    return (lsn - 1) // segment_size


def history_name(timeline: int) -> str:
    """The name of a timeline's history file."""
    return f"{timeline:08X}.history"


@dataclass(frozen=True, kw_only=True)
class SegmentHeader:
    """The long page header at the start of a WAL segment; sizes in bytes."""

    magic: int
    timeline: int
    page_address: Lsn
    system_identifier: int
    segment_size: int
    block_size: int

    @property
    def major(self) -> str:
        """The PostgreSQL major version that wrote the segment."""
        return MAGIC_TO_MAJOR[self.magic]


def parse_segment_header(data: bytes, *, name: str) -> SegmentHeader:
    """Read the long page header; raises WalHeaderError naming `name` for anything else."""
    if len(data) < LONG_HEADER_SIZE:
        raise WalHeaderError(f"{name} is too short to be a WAL segment: {len(data)} bytes")
    magic, info, timeline, address, _, system, size, block = _LONG_HEADER.unpack_from(data)
    if magic not in MAGIC_TO_MAJOR:
        raise WalHeaderError(
            f"{name} is not a WAL segment of PostgreSQL 9.6 to 18: page magic 0x{magic:04X}"
        )
    if not info & _XLP_LONG_HEADER:
        raise WalHeaderError(f"{name} does not begin with a long WAL page header")
    if not MIN_SEGMENT_SIZE <= size <= MAX_SEGMENT_SIZE or size & (size - 1):
        raise WalHeaderError(f"{name} states an impossible WAL segment size: {size} bytes")
    return SegmentHeader(
        magic=magic,
        timeline=timeline,
        page_address=Lsn(address),
        system_identifier=system,
        segment_size=size,
        block_size=block,
    )


def check_segment_header(name: WalName, header: SegmentHeader) -> None:
    """Raise WalHeaderError unless a segment with this header may bear this name.

    The first page may carry an older timeline than the name: a promoted server begins its new
    timeline with a copy of the old one's last segment.
    """
    number = name.segment_number(header.segment_size)
    if header.page_address != number * header.segment_size:
        raise WalHeaderError(
            f"{name.name} holds other WAL than its name says: it begins at {header.page_address}, "
            f"the name means {Lsn(number * header.segment_size)}",
            hint="The file may be recycled space that was never filled, or may have been renamed.",
        )
    if not 1 <= header.timeline <= name.timeline:
        raise WalHeaderError(
            f"{name.name} holds WAL of timeline {header.timeline}, "
            f"the name means timeline {name.timeline}"
        )
