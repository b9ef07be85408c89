"""From extracted files to a data directory that a server may start on.

The order is the safety: everything else is durable before `global/pg_control` is renamed into
place, and no server starts without that file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from backup_core.errors import PitrError
from backup_core.postgres.manifest import ManifestFile, crc32c_text, replace_file
from backup_core.postgres.recovery import (
    RecoveryConfig,
    Settings,
    quote_setting,
    rewrite_auto_conf,
)
from backup_core.restore import tree
from backup_core.restore.plan import TablespacePlacement
from backup_core.storage.checksum import crc32c

_CONTROL = "global/pg_control"

# What initdb makes and a server needs, but other tools leave out where it was a link, or empty
# (initdb.c); directories that hold data are not here, for without them the backup is damaged.
_EMPTY_DIRECTORIES = (
    *("pg_commit_ts", "pg_dynshmem", "pg_logical/mappings", "pg_logical/snapshots", "pg_notify"),
    *("pg_replslot", "pg_serial", "pg_snapshots", "pg_stat", "pg_stat_tmp", "pg_subtrans"),
    *("pg_tblspc", "pg_twophase"),
)
_PG_WAL_SINCE = 10
_SUMMARIES_SINCE = 17


def make_directories(data_dir: Path, major: int) -> None:
    """Make the directories that a server of this major version needs, where they are missing."""
    wal = "pg_wal" if major >= _PG_WAL_SINCE else "pg_xlog"
    names = [*_EMPTY_DIRECTORIES, f"{wal}/archive_status"]
    if major >= _SUMMARIES_SINCE:
        names.append(f"{wal}/summaries")
    mode = data_dir.stat().st_mode & 0o750
    for name in names:
        try:
            tree.make_missing(tree.Place(root=data_dir, parts=tuple(name.split("/"))), mode)
        except OSError as error:
            raise PitrError(f"cannot make {data_dir / name}: {error.strerror}") from None


def link_tablespaces(data_dir: Path, placements: Sequence[TablespacePlacement]) -> None:
    """Make the symbolic links of the tablespaces."""
    for placement in placements:
        link = data_dir / "pg_tblspc" / str(placement.oid)
        link.parent.mkdir(exist_ok=True, mode=0o700)
        link.symlink_to(placement.location)


def map_tablespaces(tablespace_map: bytes, placements: Sequence[TablespacePlacement]) -> bytes:
    """Give the server's tablespace_map the new locations.

    Its lines are `oid location`, with backslashes before backslashes and newlines (9.6 to 14
    escape newlines only, which is the same for locations without backslashes).
    """
    if not tablespace_map:
        return b""
    lines = [
        f"{item.oid} ".encode()
        + os.fsencode(item.location).replace(b"\\", b"\\\\").replace(b"\n", b"\\\n")
        + b"\n"
        for item in placements
    ]
    return b"".join(lines)


def describe_map(manifest: bytes, tablespace_map: bytes) -> bytes:
    """Let the restored backup_manifest describe the rewritten tablespace_map."""
    return replace_file(
        manifest,
        ManifestFile(
            path="tablespace_map",
            size=len(tablespace_map),
            modified=datetime.now(UTC),
            checksum=crc32c_text(crc32c([tablespace_map])),
        ),
    )


def write_recovery(data_dir: Path, config: RecoveryConfig) -> None:
    """Write the recovery settings and the signal file for the backup's version."""
    if config.signal == "recovery.conf":
        lines = [f"{name} = {quote_setting(value)}\n" for name, value in config.settings]
        write_file(data_dir / "recovery.conf", "".join(lines).encode())
        _add_to_auto_conf(data_dir, config.server_settings)
        return
    _add_to_auto_conf(data_dir, config.settings)
    write_file(data_dir / config.signal, b"")


def _add_to_auto_conf(data_dir: Path, settings: Settings) -> None:
    if settings:
        auto_conf = data_dir / "postgresql.auto.conf"
        existing = os.fsdecode(auto_conf.read_bytes()) if auto_conf.exists() else ""
        write_file(auto_conf, os.fsencode(rewrite_auto_conf(existing, settings)))


def write_missing(data_dir: Path, files: Mapping[str, bytes]) -> list[str]:
    """Write those of the files that the directory does not have; return their names."""
    written = [name for name in files if not os.path.lexists(data_dir / name)]
    for name in written:
        write_file(data_dir / name, files[name])
    return written


def write_file(path: Path, content: bytes) -> None:
    """Write a small file, readable by the owner only."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        raise PitrError(f"cannot write {path}: {error.strerror}") from None


def place_control(data_dir: Path, content: bytes) -> None:
    """Write pg_control beside its place, make it durable, and rename it into place."""
    final = data_dir / _CONTROL
    temporary = final.with_name("pg_control.pitr-tmp")
    write_file(temporary, content)
    for path in (temporary, temporary.parent):
        _fsync(path)
    temporary.rename(final)
    _fsync(final.parent)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
