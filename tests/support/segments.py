"""WAL files made to measure, so that archiving is tested without a server.

A segment is known by the long page header that opens it (src/include/access/xlog_internal.h);
what follows is never looked into by an archiver, so it is filled with bytes that differ by `seed`.
"""

import random
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backup_core.postgres.wal import WalName, parse_wal_name
from backup_core.repository.wal_archive import find_wal, read_wal
from backup_core.storage.file import FileStorage

MEBIBYTE = 1 << 20
PG17_MAGIC = 0xD116
SYSTEM_IDENTIFIER = 7_000_000_000_000_000_001
LONG_HEADER = struct.Struct("<HHIQI4xQII")
LONG_HEADER_FLAG = 2
WAL_BLOCK_SIZE = 8192

FIRST = "000000010000000000000001"
SECOND = "000000010000000000000002"
THIRD = "000000010000000000000003"
HISTORY = b"1\t0/3000000\tno recovery target specified\n"
BACKUP_HISTORY = b"START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n"


def segment(
    name: str = FIRST,
    *,
    size: int = MEBIBYTE,
    seed: int = 0,
    system_identifier: int = SYSTEM_IDENTIFIER,
    magic: int = PG17_MAGIC,
    timeline: int | None = None,
    address: int | None = None,
    stated_size: int | None = None,
) -> bytes:
    """Make the segment of this name; `size` in bytes. Every field of its header can be a lie."""
    wal = parse_wal_name(name)
    header = LONG_HEADER.pack(
        magic,
        LONG_HEADER_FLAG,
        wal.timeline if timeline is None else timeline,
        _address(wal, size) if address is None else address,
        0,
        system_identifier,
        size if stated_size is None else stated_size,
        WAL_BLOCK_SIZE,
    )
    return header + _filling(seed, size)[len(header) :]


RECORD = struct.Struct("<IIQBBxxI")
COMMIT, TRANSACTIONS = 0x00, 1
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def segment_of_commits(name: str, *times: datetime, size: int = MEBIBYTE) -> bytes:
    """Make a segment in which transactions were committed at these times, and nothing else."""
    records = b"".join(_commit(time) for time in times)
    head = segment(name, size=size)[: LONG_HEADER.size]
    return (head + records).ljust(size, b"\0")


def _commit(time: datetime) -> bytes:
    microseconds = (time - EPOCH) // timedelta(microseconds=1)
    data = bytes([255, 8]) + struct.pack("<q", microseconds)
    record = RECORD.pack(RECORD.size + len(data), 7, 0, COMMIT, TRANSACTIONS, 0) + data
    return record.ljust(-(-len(record) // 8) * 8, b"\0")


def _address(wal: WalName, size: int) -> int:
    return (wal.log << 32) + wal.seg * size


def _filling(seed: int, size: int) -> bytes:
    """Bytes that compress about twofold; each MiB repeats the first."""
    once = b"".join(
        part + bytes(len(part)) for part in (random.Random(seed).randbytes(512),) * 1024
    )
    return once * max(1, size // len(once))


def wal_file(directory: Path, name: str, content: bytes) -> Path:
    """Write a WAL file into `directory`, which is made if need be."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_bytes(content)
    return path


def archived(repository: Path, name: str) -> bytes | None:
    """The content that the repository holds under a WAL file's name; None if it holds none."""
    storage = FileStorage(repository)
    found = find_wal(storage, name)
    return None if found is None else b"".join(read_wal(storage, found))


def stored_files(repository: Path) -> list[str]:
    """Every file below the repository, the debris of writers included, by its relative path."""
    return sorted(
        path.relative_to(repository).as_posix() for path in repository.rglob("*") if path.is_file()
    )
