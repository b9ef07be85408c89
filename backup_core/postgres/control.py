"""The control file, global/pg_control: which cluster this is and how its files are laid out.

Read from disk and not asked of the server, because archiving and restoring happen without a
connection. The layout follows the control version, not the major version, and has no length or
offset fields, so each is a row of a table (src/include/catalog/pg_control.h; 64-bit little-endian
builds).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from backup_core.errors import CorruptError, NotFoundError, PitrError, RefusedError
from backup_core.postgres.lsn import Lsn

CONTROL_FILE = "global/pg_control"

# DBState, in the words of pg_controldata.
STATES = (
    "starting up",
    "shut down",
    "shut down in recovery",
    "shutting down",
    "in crash recovery",
    "in archive recovery",
    "in production",
)

# CATALOG_VERSION_NO of each release (catversion.h); it never changes within a major version.
CATALOG_TO_MAJOR = {
    201608131: "9.6",
    201707211: "10",
    201809051: "11",
    201909212: "12",
    202007201: "13",
    202107181: "14",
    202209061: "15",
    202307071: "16",
    202406281: "17",
    202506291: "18",
}


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Byte offsets: CheckPoint's copy, blcksz and what follows it, data_checksum_version, crc."""

    checkpoint_copy: int
    sizes: int
    checksum_version: int
    crc: int


_LAYOUTS = {
    960: _Layout(checkpoint_copy=48, sizes=216, checksum_version=252, crc=256),
    1002: _Layout(checkpoint_copy=48, sizes=216, checksum_version=252, crc=288),
    1100: _Layout(checkpoint_copy=40, sizes=208, checksum_version=244, crc=280),
    1201: _Layout(checkpoint_copy=40, sizes=216, checksum_version=252, crc=288),
    1300: _Layout(checkpoint_copy=40, sizes=216, checksum_version=252, crc=288),
    1700: _Layout(checkpoint_copy=40, sizes=216, checksum_version=252, crc=288),
    1800: _Layout(checkpoint_copy=40, sizes=216, checksum_version=252, crc=292),
}

# system identifier, control version, catalog version, state, checkpoint
_HEAD = struct.Struct("<QIII4x8xQ")
_CHECKPOINT = struct.Struct("<QI")  # redo, timeline
_SIZES = struct.Struct("<4I")  # blcksz, relseg_size, xlog_blcksz, xlog_seg_size
_U32 = struct.Struct("<I")
_REREAD_PAUSE = 0.05


@dataclass(frozen=True, kw_only=True)
class ControlFile:
    """What pg_control says; sizes in bytes, `relation_segment_blocks` in blocks.

    `state` is in pg_controldata's words; `data_checksum_version` is 0 without page checksums.
    """

    system_identifier: int
    control_version: int
    catalog_version: int
    major: str
    state: str
    checkpoint: Lsn
    redo: Lsn
    timeline: int
    block_size: int
    relation_segment_blocks: int
    wal_block_size: int
    wal_segment_size: int
    data_checksum_version: int


def read_control(
    data_dir: Path, *, attempts: int = 5, sleep: Callable[[float], None] = time.sleep
) -> tuple[bytes, ControlFile]:
    """Read a data directory's pg_control, again while a server's write makes its CRC fail.

    Returns the file's bytes, whole, and what they say. Raises NotFoundError if there is none,
    CorruptError if the CRC fails every time, RefusedError for an unsupported version.
    """
    path = data_dir / CONTROL_FILE
    for _ in range(attempts - 1):
        data = _read(path)
        try:
            return data, parse_control(data, path=str(path))
        except CorruptError:
            sleep(_REREAD_PAUSE)
    data = _read(path)
    return data, parse_control(data, path=str(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(
            f"{path.parent.parent} is no PostgreSQL data directory: it has no {CONTROL_FILE}",
            hint="Name the directory that the server's data_directory setting shows.",
        ) from None
    except OSError as error:
        raise PitrError(
            f"cannot read {path}: {error.strerror}",
            hint="Run as the user that owns the data directory.",
        ) from None


def parse_control(data: bytes, *, path: str) -> ControlFile:
    """Read the bytes of a pg_control of 9.6 to 18; `path` names it in errors.

    Raises RefusedError for another version or byte order, CorruptError if the CRC does not hold.
    """
    if len(data) < _HEAD.size:
        raise CorruptError(f"{path} is too short to be a control file: {len(data)} bytes")
    system_identifier, version, catalog, state, checkpoint = _HEAD.unpack_from(data)
    layout = _LAYOUTS.get(version)
    if layout is None:
        raise _unknown_version(path, version)
    _check_crc(data, layout, path)
    redo, timeline = _CHECKPOINT.unpack_from(data, layout.checkpoint_copy)
    block, segment_blocks, wal_block, wal_segment = _SIZES.unpack_from(data, layout.sizes)
    return ControlFile(
        system_identifier=system_identifier,
        control_version=version,
        catalog_version=catalog,
        major=_major(path, catalog),
        state=_state(path, state),
        checkpoint=Lsn(checkpoint),
        redo=Lsn(redo),
        timeline=timeline,
        block_size=block,
        relation_segment_blocks=segment_blocks,
        wal_block_size=wal_block,
        wal_segment_size=wal_segment,
        data_checksum_version=_U32.unpack_from(data, layout.checksum_version)[0],
    )


def _unknown_version(path: str, version: int) -> RefusedError:
    swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
    if swapped in _LAYOUTS:
        return RefusedError(f"{path} is of a cluster from a big-endian machine")
    return RefusedError(
        f"{path} has control version {version}, which is none of PostgreSQL 9.6 to 18",
        hint="Use a release of this program that knows the server's version.",
    )


def _check_crc(data: bytes, layout: _Layout, path: str) -> None:
    end = layout.crc + _U32.size
    if len(data) < end:
        raise CorruptError(f"{path} is too short to be a control file: {len(data)} bytes")
    (stored,) = _U32.unpack_from(data, layout.crc)
    computed = crc32c(data[: layout.crc])
    if stored != computed:
        raise CorruptError(
            f"{path} is damaged: its CRC is {computed:08X}, it says {stored:08X}",
            hint="Let pg_controldata judge it as well; the cluster may have to be restored.",
        )


def _major(path: str, catalog: int) -> str:
    if catalog not in CATALOG_TO_MAJOR:
        raise RefusedError(
            f"{path} has catalog version {catalog}, which is none of PostgreSQL 9.6 to 18",
            hint="Clusters of beta releases and of forks are not supported.",
        )
    return CATALOG_TO_MAJOR[catalog]


def _state(path: str, state: int) -> str:
    if state >= len(STATES):
        raise CorruptError(f"{path} is damaged: there is no cluster state {state}")
    return STATES[state]


def crc32c(data: bytes) -> int:
    """The CRC-32C (Castagnoli) that PostgreSQL uses; slow, meant for a few hundred bytes."""
    table = _crc32c_table()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


@cache
def _crc32c_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)
