"""Ways to load settings in a test, each without any file but the one that the test wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backup_core.config import Loaded, Settings, load
from backup_core.errors import ConfigError

REPOSITORY = {"WALG_FILE_PREFIX": "/backups"}
S3 = {"WALG_S3_PREFIX": "s3://bucket/prefix"}
GS = {"WALG_GS_PREFIX": "gs://bucket/prefix"}


def from_environment(**environ: str) -> Loaded:
    """Load from variables alone: an empty file stands for every configuration file."""
    return load(flags={}, environ={"PITR_CONFIG": "/dev/null", **environ}, config_file=None)


def with_repository(**environ: str) -> Settings:
    return from_environment(**REPOSITORY, **environ).settings


def written(directory: Path, text: str) -> Path:
    file = directory / "pitr.toml"
    file.write_text(text, encoding="utf-8")
    return file


def from_file(directory: Path, text: str, **environ: str) -> Loaded:
    return load(flags={}, environ={**REPOSITORY, **environ}, config_file=written(directory, text))


def refusal(parse: Callable[[str], object], text: str) -> str | None:
    """Return the hint with which a text is refused; None if it is read."""
    try:
        parse(text)
    except ConfigError as error:
        return error.hint or ""
    return None
