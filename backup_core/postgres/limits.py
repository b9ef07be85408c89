"""The settings that pg_control records, for servers whose configuration is not at hand (pure).

A server refuses to replay WAL with smaller limits than those that it was written with, and
pg_control records exactly these (manual, section 26.4.3).
"""

from __future__ import annotations

import struct

from backup_core.errors import CorruptError
from backup_core.postgres.control import ControlFile

_WAL_LEVELS = ("minimal", "replica", "logical")
_SINCE_12 = 1201
# Where ControlFileData has wal_level; wal_log_hints and the limits follow (pg_control.h).
_OFFSETS = {1100: 164}
_OFFSET = 172
_LIMITS = ("max_connections", "max_worker_processes")
_MORE_LIMITS = ("max_prepared_transactions", "max_locks_per_transaction")


def limits(content: bytes, control: ControlFile) -> dict[str, str]:
    """The settings that pg_control records; CorruptError if they make no sense."""
    names = list(_LIMITS)
    if control.control_version >= _SINCE_12:
        names.append("max_wal_senders")
    names += _MORE_LIMITS
    layout = struct.Struct(f"<I?3x{len(names)}i")
    offset = _OFFSETS.get(control.control_version, _OFFSET)
    level, _, *numbers = layout.unpack_from(content, offset)
    if level >= len(_WAL_LEVELS) or min(numbers) < 0:
        raise CorruptError("pg_control has impossible settings")
    settings = {"wal_level": _WAL_LEVELS[level]}
    return settings | {name: str(value) for name, value in zip(names, numbers, strict=True)}
