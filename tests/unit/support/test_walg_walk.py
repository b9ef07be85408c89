"""The archives that tests make are what WAL-G would have made of the same data directory."""

import json
import os
from itertools import chain
from pathlib import Path
from typing import Literal

import pytest

from backup_core.storage.memory import MemoryStorage
from tests.support.pages import new_page
from tests.support.walg_archive import push
from tests.support.walg_backup import Style, WalgBackup, increment
from tests.support.walg_walk import read_directories, read_files

OLD, NEW = 0x1000000, 0x3000000


def page(lsn: int) -> bytes:
    """A page that was changed last at this LSN."""
    return bytes(new_page(b"row", lsn=lsn))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory with what matters, a tablespace included."""
    data_dir, space = tmp_path / "main", tmp_path / "space"
    (data_dir / "pg_tblspc").mkdir(parents=True)
    (space / "PG_14").mkdir(parents=True)
    (data_dir / "pg_tblspc" / "16").symlink_to(space)
    contents = {
        "base/1/10": page(OLD) * 3,
        "base/1/10_fsm": page(OLD),
        "base/1/20": page(OLD),
        "pg_tblspc/16/PG_14/30": page(OLD),
        "global/pg_control": b"control",
        "pg_wal/000000010000000000000001": b"wal",
        "postmaster.pid": b"1",
        "PG_VERSION": b"14\n",
    }
    for name, content in contents.items():
        (data_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (data_dir / name).write_bytes(content)
    return data_dir


def full(data_dir: Path) -> WalgBackup:
    """A full backup that began between the two LSNs."""
    return WalgBackup(start_lsn=0x2000028, finish_lsn=0x2000030, files=read_files(data_dir))


def test_a_full_backup_has_every_file_but_those_left_out(data_dir: Path) -> None:
    """The WAL's directory is there, and empty."""
    found = read_files(data_dir)
    assert sorted(found) == [
        *("PG_VERSION", "base/1/10", "base/1/10_fsm", "base/1/20", "pg_tblspc/16/PG_14/30")
    ]
    assert found["base/1/10"].payload == page(OLD) * 3
    assert "pg_wal" in read_directories(data_dir)


def test_a_delta_has_what_changed(data_dir: Path) -> None:
    """Untouched files are skipped, of main forks the pages of a newer LSN are kept."""
    parent = full(data_dir)
    changed = page(OLD) + page(NEW) + page(OLD) + bytes(8192)
    for name, content in {"base/1/10": changed, "base/1/10_fsm": page(NEW)}.items():
        (data_dir / name).write_bytes(content)
        os.utime(data_dir / name, (2_000_000_000, 2_000_000_000))
    found = read_files(data_dir, parent)
    assert found["base/1/20"].skipped
    assert found["base/1/10"].incremented
    assert found["base/1/10"].payload == increment(changed, [1, 3])
    assert found["base/1/10_fsm"].payload == page(NEW)
    assert not found["base/1/10_fsm"].incremented


def test_the_composers_divide_files_differently(data_dir: Path) -> None:
    """By size, by folder of base/, or by how often they change."""
    parts = {}
    composers: tuple[Literal["regular", "database"], ...] = ("regular", "database")
    for composer in composers:
        storage = MemoryStorage()
        backup = push(storage, full(data_dir), Style(composer=composer))
        listing = f"basebackups_005/{backup.name}/files_metadata.json"
        sets = json.loads(b"".join(storage.get(listing)))["TarFileSets"]
        parts[composer] = [names for tar, names in sets.items() if tar.startswith("part")]
    assert len(parts["regular"]) == 1
    assert len(parts["database"]) == 2
    assert sorted(chain.from_iterable(parts["database"])) == sorted(parts["regular"][0])
