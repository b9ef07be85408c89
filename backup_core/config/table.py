"""The table that describes the settings: one field, one row.

A row tells how the field of its name is called, read and shown; loading, `pitr config`, the manual
and the refusal of unknown names all go by it. The rows of the object stores are in `table_stores`,
those of encryption in `table_encryption`, those of the spool in `table_spool`.
"""

from __future__ import annotations

from collections.abc import Mapping

from backup_core.config import locations, values
from backup_core.config.row import Row
from backup_core.config.table_encryption import ENCRYPTION_ROWS
from backup_core.config.table_spool import SPOOL_ROWS
from backup_core.config.table_stores import STORE_ROWS

_LOG_LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "normal": "info",
    "devel": "debug",
}

_CORE_ROWS: dict[str, Row] = {
    "repository": Row(
        parse=locations.repository_url,
        about="Where backups and WAL are kept: `s3://bucket/prefix`, `gs://bucket/prefix`, "
        "`file:///path` or an absolute path.",
        also=tuple(
            f"{prefix}_{kind}_PREFIX"
            for kind in ("S3", "FILE", "GS")
            for prefix in ("WALG", "WALE")
        ),
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
        about="Codec of what is written: `zstd`, `lz4`, `brotli`, `lzma` or `none`.",
        walg="COMPRESSION_METHOD",
    ),
    "zstd_level": Row(
        parse=values.zstd_level,
        about="Compression level of zstd, 1 to 19, or WAL-G's `fastest`, `default`, `better` or "
        "`best` (1, 3, 7, 11).",
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
    "disk_rate_limit": Row(
        parse=values.size_or_off,
        about="Bytes a second, of all workers together, that backup-push reads from the data "
        "directory, or backup-fetch writes to it; units such as `100MB`, 0 is no limit.",
        walg="DISK_RATE_LIMIT",
        default="no limit",
    ),
    "network_rate_limit": Row(
        parse=values.size_or_off,
        about="Bytes a second, of all workers together, that backup-push stores, or backup-fetch "
        "fetches; 0 is no limit. WAL is never held up.",
        walg="NETWORK_RATE_LIMIT",
        default="no limit",
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
    "recovery_window": Row(
        parse=values.period_or_off,
        about="How far back recovery must be possible: `14d`, `48h`. windows tells when it is not, "
        "delete retain keeps what it needs.",
        default="nothing is promised",
        unit="s",
    ),
    "recovery_freshness": Row(
        parse=values.duration_or_off,
        about="How old the newest recoverable moment may be: `15min`.",
        default="nothing is promised",
        unit="s",
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
    "max_wal_age": Row(
        parse=values.duration,
        about="From when on check calls the archiver late: `15min`.",
        unit="s",
    ),
    "max_backup_age": Row(
        parse=values.duration,
        about="From when on check calls the newest backup old: `30h`.",
        unit="s",
    ),
    "max_ready_files": Row(
        parse=values.integer(1, 1_000_000),
        about="How many WAL files may wait to be archived before check complains.",
    ),
    "max_drill_age": Row(
        parse=values.duration,
        about="From when on check misses a drill that proved a restore: `2d`.",
        unit="s",
    ),
    "min_free_percent": Row(
        parse=values.integer(0, 99),
        about="How much of the file systems of WAL and repository must be free, in percent.",
    ),
    "may_delete": Row(
        parse=values.boolean,
        about="Whether this host is to delete from the repository, for retention and the locks of "
        "backups; check tries it only then.",
    ),
    "drill_signing_key_file": Row(
        parse=values.path,
        about="A secret Ed25519 key in PEM that signs the records of drills; only its owner may "
        "read it.",
        default="none",
    ),
    "drill_public_key_file": Row(
        parse=values.path,
        about="The public key in PEM that the signatures of records are checked by.",
        default="that of the signing key",
    ),
}

TABLE: Mapping[str, Row] = _CORE_ROWS | SPOOL_ROWS | STORE_ROWS | ENCRYPTION_ROWS
"""Field name to row, in the order in which settings are shown."""
