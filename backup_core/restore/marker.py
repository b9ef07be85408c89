"""The note in a data directory that a restore has begun there and not ended.

By it a restore that was interrupted can be told from a directory that somebody needs. It is written
before anything else and removed when pg_control is in its place; beside one it means nothing.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from backup_core.errors import PitrError

NAME = "pitr-restore.json"


@dataclass(frozen=True, kw_only=True)
class Marker:
    """Which backup is being restored."""

    backup: str


def read_marker(data_dir: Path) -> Marker | None:
    """What was being restored into the directory when it was interrupted; None for nothing."""
    try:
        return Marker(backup=str(json.loads((data_dir / NAME).read_bytes())["backup"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_marker(data_dir: Path, backup: str) -> None:
    """Take note, durably, that a restore of the backup begins."""
    try:
        with (data_dir / NAME).open("w") as file:
            file.write(json.dumps(asdict(Marker(backup=backup))) + "\n")
            file.flush()
            os.fsync(file.fileno())
        sync_directory(data_dir)
    except OSError as error:
        raise PitrError(
            f"cannot write {data_dir / NAME}: {error.strerror}",
            hint="Run as the user that will own the data directory.",
        ) from None


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_marker(data_dir: Path) -> None:
    """The restore has ended."""
    with suppress(FileNotFoundError):
        (data_dir / NAME).unlink()
