"""Settings and the table that describes them: one field, one row.

Settings is what the rest of the program sees, plain and typed; a row tells how the field of its
name is called, read and shown. To add a setting, add the field and its row, nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backup_core.config import values
from backup_core.errors import ConfigError


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting in force; times in seconds, sizes in bytes, None for "no limit" or "not set".

    `repository` is `scheme://` and a path in which nothing is percent-quoted.
    """

    repository: str
    pgdata: Path | None = None
    compression_method: str = "zstd"
    zstd_level: int = 3
    upload_disk_concurrency: int = field(default_factory=lambda: min(4, _processors()))
    download_concurrency: int = field(default_factory=lambda: min(8, 2 * _processors()))
    tar_size_threshold: int = 1073741823
    verify_page_checksums: bool = True
    fail_on_corrupt_page: bool = False
    archive_timeout: float = 60.0
    stop_backup_timeout: float | None = None
    alive_check_interval: float | None = 60.0
    sentinel_user_data: str | None = None
    log_level: str = "info"
    log_format: str = "text"


@dataclass(frozen=True, kw_only=True)
class Row:
    """How one setting is called, read and shown.

    `walg` is WAL-G's name without its prefix, `also` are names without one, such as PGDATA; `flag`
    is the option of the commands that take the setting, where it is not the field's name;
    `default` says in words what a default value would not; `unit` follows a number when shown.
    """

    parse: Callable[[str], object]
    about: str
    walg: str = ""
    also: tuple[str, ...] = ()
    flag: str = ""
    default: str = ""
    unit: str = ""
    secret: bool = False

    def environment_names(self, name: str) -> tuple[str, ...]:
        """List the variables that set the field `name`, the strongest first."""
        walg = (f"WALG_{self.walg}", f"WALE_{self.walg}") if self.walg else ()
        return (f"PITR_{name.upper()}", *walg, *self.also)

    def read(self, text: str, origin: str) -> object:
        """Parse a value; a ConfigError says where it came from, and never what a secret is."""
        try:
            return self.parse(text)
        except ConfigError as error:
            reason = "the value cannot be used" if self.secret else error.message
            raise ConfigError(f"{origin}: {reason}", hint=error.hint) from None

    def show(self, value: object) -> str:
        """Write a value as text that `parse` reads back; empty for None, masked if secret."""
        if value is None:
            return ""
        if self.secret:
            return "********"
        if isinstance(value, bool):
            return str(value).lower()
        return f"{value:.15g}{self.unit}" if isinstance(value, float) else f"{value}{self.unit}"


_LOG_LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "normal": "info",
    "devel": "debug",
}

TABLE: Mapping[str, Row] = {
    "repository": Row(
        parse=values.repository_url,
        about="Where backups and WAL are kept: `file:///path` or an absolute path.",
        walg="FILE_PREFIX",
        default="none, it must be set",
    ),
    "pgdata": Row(
        parse=values.path,
        about="The data directory to back up.",
        also=("PGDATA",),
        default="not set",
    ),
    "compression_method": Row(
        parse=values.compression_method,
        about="Codec of what is written: `zstd` or `none`.",
        walg="COMPRESSION_METHOD",
    ),
    "zstd_level": Row(
        parse=values.integer(1, 19),
        about="Compression level of zstd, 1 to 19.",
        walg="ZSTD_LEVEL",
    ),
    "upload_disk_concurrency": Row(
        parse=values.integer(1, 256),
        about="Workers of backup-push that read and upload, 1 to 256.",
        walg="UPLOAD_DISK_CONCURRENCY",
        flag="workers",
        default="number of processors, at most 4",
    ),
    "download_concurrency": Row(
        parse=values.integer(1, 256),
        about="Workers of backup-fetch that download and write, 1 to 256.",
        walg="DOWNLOAD_CONCURRENCY",
        flag="workers",
        default="twice the number of processors, at most 8",
    ),
    "tar_size_threshold": Row(
        parse=values.size,
        about="Size before compression at which a tar partition is closed; units such as `512MB`.",
        walg="TAR_SIZE_THRESHOLD",
    ),
    "verify_page_checksums": Row(
        parse=values.boolean,
        about="Whether backup-push verifies page checksums, if the cluster has them.",
        walg="VERIFY_PAGE_CHECKSUMS",
    ),
    "fail_on_corrupt_page": Row(
        parse=values.boolean,
        about="Whether backup-push refuses the backup when it finds a corrupt page.",
    ),
    "archive_timeout": Row(
        parse=values.duration,
        about="How long backup-push waits for a WAL segment to be archived: `30s`, `5min`.",
        unit="s",
    ),
    "stop_backup_timeout": Row(
        parse=values.duration_or_off,
        about="How long the server may take to end a backup; 0 is no limit.",
        walg="STOP_BACKUP_TIMEOUT",
        default="no limit",
        unit="s",
    ),
    "alive_check_interval": Row(
        parse=values.duration_or_off,
        about="How often backup-push checks that its server connection is alive; 0 is never.",
        walg="ALIVE_CHECK_INTERVAL",
        unit="s",
    ),
    "sentinel_user_data": Row(
        parse=values.json_text,
        about="JSON that is kept with each new backup.",
        walg="SENTINEL_USER_DATA",
        flag="add-user-data",
        default="not set",
    ),
    "log_level": Row(
        parse=values.choice(_LOG_LEVELS),
        about="`debug`, `info`, `warning` or `error`; WAL-G's `NORMAL` and `DEVEL` work too.",
        walg="LOG_LEVEL",
    ),
    "log_format": Row(
        parse=values.choice({"text": "text", "json": "json"}),
        about="`text` for key=value lines, `json` for one JSON object a line.",
    ),
}
"""Field name to row, in the order in which settings are shown."""
