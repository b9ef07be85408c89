"""Read a data directory as WAL-G does when it takes a full or a delta backup."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.walg_backup import PAGE, Stored, WalgBackup, changed_since, increment

KEPT_EMPTY = {"log", "pg_log", "pg_xlog", "pg_wal", "pgsql_tmp", "pg_dynshmem", "pg_notify"} | {
    *("pg_replslot", "pg_serial", "pg_stat_tmp", "pg_snapshots", "pg_subtrans"),
}
LEFT_OUT = {"postgresql.auto.conf.tmp", "postmaster.pid", "postmaster.opts", "recovery.conf"} | {
    "standby.signal"
}
_MAIN_FORK = re.compile(r"(base|pg_tblspc)/.*?\d+([.]\d+)?")


def read_files(data_dir: Path, parent: WalgBackup | None = None) -> dict[str, Stored]:
    """Every regular file that a backup holds, but pg_control; as a delta where there is a parent.

    A file is skipped if its time of modification is the parent's to the nanosecond, and an
    increment if it consists of pages; the rest is stored whole.
    """
    return {
        name: _store(name, path, parent)
        for name, path in _walk(data_dir, "")
        if path.is_file() and path.name != "pg_control"
    }


def read_directories(data_dir: Path) -> list[str]:
    """Every directory that a backup holds, the data directory itself as an empty name."""
    return ["", *(name for name, path in _walk(data_dir, "") if path.is_dir())]


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path, name = Path(entry.path), prefix + entry.name
        if entry.name in LEFT_OUT or (entry.is_symlink() and prefix != "pg_tblspc/"):
            continue
        if entry.name in KEPT_EMPTY and not entry.is_dir():
            continue
        yield name, path
        if entry.is_dir() and entry.name not in KEPT_EMPTY:
            yield from _walk(path, name + "/")


def _store(name: str, path: Path, parent: WalgBackup | None) -> Stored:
    state = path.stat()
    before = parent.files.get(name) if parent else None
    if before and before.mtime_ns == state.st_mtime_ns:
        return Stored(payload=None, skipped=True, mtime_ns=state.st_mtime_ns)
    content = path.read_bytes()
    blocks = None
    if parent and before and content and not len(content) % PAGE and _MAIN_FORK.fullmatch(name):
        blocks = changed_since(content, parent.start_lsn)
    return Stored(
        payload=content if blocks is None else increment(content, blocks),
        incremented=blocks is not None,
        mtime_ns=state.st_mtime_ns,
        mode=state.st_mode & 0o777,
    )
