"""What it takes to look at, and to clean, a repository of many archived segments."""

import shutil
from pathlib import Path

from backup_core.postgres.wal import segment_name
from backup_core.repository import layout
from backup_core.storage.file import FileStorage
from bench.growth import Conditions, Growth, add
from bench.measure import measure
from tests.support.archives import SEGMENT, backup_at
from tests.support.backups import store
from tests.support.environment import clean_environ
from tests.support.segments import segment

WAL_OBJECTS = 100_000
BACKUPS = 30
KEPT = 7
NAMES_A_FILE = 50_000  # by hard links, of which a file system allows only so many
COMMANDS = (("backup-list",), ("wal-show",), ("delete", "retain", str(KEPT)))
"""The last without --confirm: what there is to remove is planned, and nothing is removed."""


def listings(conditions: Conditions, objects: int = WAL_OBJECTS) -> Growth:
    """Time whole calls; `runs` of each, of which the last removes a backup and its WAL."""
    repository = conditions.base / "listed"
    environ = clean_environ() | {"WALG_FILE_PREFIX": str(repository)}
    conditions.say(f"a repository of {objects:,} segments is made")
    _make(repository, environ, conditions, objects)
    found = Growth(name=f"{objects:,} archived segments", amount=1, unit="call")
    for run in range(conditions.runs):
        for words in COMMANDS:
            add(found, " ".join(words), measure([conditions.pitr, *words], env=environ), conditions)
        oldest = ["delete", "retain", str(BACKUPS - 1 - run), "--confirm"]
        sample = measure([conditions.pitr, *oldest], env=environ)
        add(found, f"delete of {objects // BACKUPS:,} segments", sample, conditions)
    shutil.rmtree(repository)
    return found


def _make(repository: Path, environ: dict[str, str], conditions: Conditions, objects: int) -> None:
    """One segment is archived by pitr, the others are that one under other names."""
    (repository / layout.WAL).mkdir(parents=True)
    pushed = conditions.base / segment_name(1, 1, SEGMENT)
    pushed.write_bytes(segment(pushed.name))
    measure([conditions.pitr, "wal-push", pushed], env=environ)
    pushed.unlink()
    first = repository / layout.wal(pushed.name, "zst")
    for number in range(2, objects + 1):
        key = repository / layout.wal(segment_name(1, number, SEGMENT), "zst")
        if number % NAMES_A_FILE:
            key.hardlink_to(first)
        else:
            shutil.copy(first, key)
            first = key
    storage = FileStorage(repository)
    for backup in range(BACKUPS):
        number = 2 + backup * (objects // BACKUPS)
        store(storage, backup_at(1, number * SEGMENT + 40, 100))
