"""A configuration that a restored server starts with, where the backup holds none (pure).

WAL-E never stores the configuration files. The server refuses to replay WAL with smaller limits
than those it was written with, and pg_control records exactly these (manual, section 26.4.3), so
nothing has to be guessed and nothing else is set.
"""

from __future__ import annotations

import struct

from backup_core.errors import CorruptError
from backup_core.postgres.control import ControlFile
from backup_core.postgres.recovery import quote_setting

CONFIG_FILES = ("postgresql.conf", "pg_hba.conf", "pg_ident.conf")

_WAL_LEVELS = ("minimal", "replica", "logical")
_SINCE_12 = 1201
# Where ControlFileData has wal_level; wal_log_hints and the limits follow (pg_control.h).
_OFFSETS = {1100: 164}
_OFFSET = 172
_LIMITS = ("max_connections", "max_worker_processes")
_MORE_LIMITS = ("max_prepared_transactions", "max_locks_per_transaction")
_HEAD = "# Written by pitr backup-fetch --minimal-config, for the backup holds no {name}.\n"


def minimal_files(content: bytes, control: ControlFile) -> dict[str, bytes]:
    """The three configuration files by name, made from pg_control's `content` and its meaning.

    Connections are allowed through the local socket, to whom the operating system says they are.
    """
    settings = [
        f"{name} = {quote_setting(value)}\n" for name, value in limits(content, control).items()
    ]
    bodies = {
        "postgresql.conf": "".join(settings),
        "pg_hba.conf": "local all all peer\n",
        "pg_ident.conf": "",
    }
    return {name: (_HEAD.format(name=name) + body).encode() for name, body in bodies.items()}


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
