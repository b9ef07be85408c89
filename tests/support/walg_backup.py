"""A backup by WAL-G as a value, and the increments in it."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

PAGE = 8192
EXTENSIONS = {"lz4": ".lz4", "zstd": ".zst", "lzma": ".lzma", "brotli": ".br", "none": ""}


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a backup is written.

    `files` tells where the list of files goes: its own object, the sentinel (early versions), or
    nowhere (`--without-files-metadata`). `remote` is a backup by BASE_BACKUP.
    """

    method: str = "lz4"
    composer: Literal["regular", "rating", "database"] = "regular"
    files: Literal["object", "sentinel", "nowhere"] = "object"
    remote: bool = False
    threshold: int = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What a backup holds of a file: `payload` None is not in any partition."""

    payload: bytes | None
    incremented: bool = False
    skipped: bool = False
    mtime_ns: int = 0
    mode: int = 0o600
    updates: int = 0


@dataclass(frozen=True, kw_only=True)
class WalgBackup:
    """One backup to write; paths in `files` and `directories` are relative, without a slash."""

    start_lsn: int
    finish_lsn: int
    files: Mapping[str, Stored]
    directories: Sequence[str] = ("", "base", "base/1", "global", "pg_wal")
    control: bytes = b"control"
    label: bytes = b"START WAL LOCATION: 0/2000028\n"
    tablespace_map: bytes = b""
    parent: WalgBackup | None = None
    timeline: int = 1
    segment_size: int = 16 << 20
    system_identifier: int = 7_300_000_000_000_000_001
    pg_version: int = 140005
    data_dir: str = "/var/lib/postgresql/14/main"
    tablespaces: Mapping[int, str] = field(default_factory=dict)

    @property
    def segment(self) -> str:
        """The WAL file that the backup begins in."""
        log, number = divmod(self.start_lsn // self.segment_size, (1 << 32) // self.segment_size)
        return f"{self.timeline:08X}{log:08X}{number:08X}"

    @property
    def name(self) -> str:
        """The backup's name; of its ancestors only the parent is in it."""
        return f"base_{self.segment}" + (f"_D_{self.parent.segment}" if self.parent else "")

    @property
    def root(self) -> WalgBackup:
        """The full backup at the end of the chain."""
        return self.parent.root if self.parent else self

    @property
    def depth(self) -> int:
        """The number of backups below this one."""
        return self.parent.depth + 1 if self.parent else 0


def increment(content: bytes, blocks: Sequence[int], *, page_size: int = PAGE) -> bytes:
    """The increment of a file that carries these blocks."""
    head = struct.pack(f"<4sQI{len(blocks)}I", b"wi1U", len(content), len(blocks), *blocks)
    return head + b"".join(content[at * page_size : (at + 1) * page_size] for at in blocks)


def changed_since(content: bytes, lsn: int) -> list[int] | None:
    """The pages that are new or not older than `lsn`; None for what does not look like pages."""
    found = []
    for block in range(len(content) // PAGE):
        high, low, _, flags, lower, upper, special, layout = struct.unpack_from(
            "<IIHHHHHH", content, block * PAGE
        )
        page_lsn = high << 32 | low
        if upper == 0:
            found.append(block)
        elif (
            flags > 7 or not lower <= upper <= special <= PAGE or layout & 0xFF > 5 or not page_lsn
        ):
            return None
        elif page_lsn >= lsn:
            found.append(block)
    return found
