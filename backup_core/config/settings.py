"""Settings: what the rest of the program sees, plain and typed.

Flat, with the stores' settings in it, so that each has one name on every way in. To add a setting,
add the field here and its row in one of the tables, in the same place, and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting in force; times in seconds, sizes in bytes, None for "no limit" or "not set".

    `repository` is `scheme://` and a path, or a bucket and its prefix, in which nothing is
    percent-quoted. `s3_endpoint` keeps WAL-E's calling format, as in `https+path://host`.
    `gcs_normalize_prefix` None leaves it to what the bucket holds. `encryption` is the scheme for
    what is written, settled from the keys if it was not named.
    """

    repository: str
    pgdata: Path | None = None
    compression_method: str = "zstd"
    zstd_level: int = 3
    upload_disk_concurrency: int = field(default_factory=lambda: min(4, _processors()))
    download_concurrency: int = field(default_factory=lambda: min(8, 2 * _processors()))
    tar_size_threshold: int = 1073741823
    disk_rate_limit: int | None = None
    network_rate_limit: int | None = None
    verify_page_checksums: bool = True
    fail_on_corrupt_page: bool = False
    archive_timeout: float = 60.0
    stop_backup_timeout: float | None = None
    alive_check_interval: float | None = 60.0
    sentinel_user_data: str | None = None
    recovery_window: float | None = None
    recovery_freshness: float | None = None
    log_level: str = "info"
    log_format: str = "text"
    max_wal_age: float = 900.0
    max_backup_age: float = 108000.0
    max_ready_files: int = 2000
    max_drill_age: float = 172800.0
    min_free_percent: int = 10
    may_delete: bool = True
    drill_signing_key_file: Path | None = None
    drill_public_key_file: Path | None = None
    spool_dir: Path | None = None
    push_ahead_workers: int = 4
    push_ahead_size: int = 256 << 20
    prefetch_workers: int = 4
    prefetch_size: int = 256 << 20
    s3_endpoint: str | None = None
    s3_region: str | None = None
    s3_path_style: bool | None = None
    s3_dual_stack: bool = False
    s3_access_key_id: str | None = None
    s3_secret_access_key: str | None = field(default=None, repr=False)
    s3_session_token: str | None = field(default=None, repr=False)
    s3_profile: str | None = None
    s3_ca_cert_file: Path | None = None
    s3_storage_class: str | None = None
    s3_sse: str | None = None
    s3_sse_kms_id: str | None = None
    s3_sse_c: bytes | None = field(default=None, repr=False)
    s3_retention_period: float | None = None
    s3_retention_mode: str = "GOVERNANCE"
    s3_max_part_size: int = 20 << 20
    s3_use_list_objects_v1: bool = False
    s3_delete_batch_size: int = 1000
    s3_headers: Mapping[str, str] | None = field(default=None, repr=False)
    gcs_emulator: str | None = None
    gcs_credentials_file: Path | None = None
    gcs_encryption_key: bytes | None = field(default=None, repr=False)
    gcs_max_chunk_size: int = 16 << 20
    gcs_normalize_prefix: bool | None = True
    upload_concurrency: int = 4
    connect_timeout: float = 5.0
    request_timeout: float = 60.0
    retry_timeout: float = 120.0
    max_retries: int = 15
    https_proxy: str | None = field(default=None, repr=False)
    no_proxy: tuple[str, ...] = ()
    encryption: str = "none"
    require_encryption: bool = False
    compat: str = "none"
    age_recipients: tuple[str, ...] = ()
    age_recipients_file: Path | None = None
    age_identity: str | None = field(default=None, repr=False)
    age_identity_file: Path | None = None
    key_command: str | None = None
    libsodium_key: str | None = field(default=None, repr=False)
    libsodium_key_file: Path | None = None
    libsodium_key_transform: str = "none"
    pgp_key: str | None = field(default=None, repr=False)
    pgp_key_file: Path | None = None
    pgp_key_passphrase: str | None = field(default=None, repr=False)
    gpg_key_id: str | None = None
    gpg_program: str = "gpg"
