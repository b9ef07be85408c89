"""Variables that are not settings of ours: WAL-G's and WAL-E's others, and names nobody knows.

Three fates. A variable that would change whether the data is encrypted or where it lies must not
be passed over: going on would store plaintext, or in the wrong place, so it is an error. One that
only tunes wal-g is a warning. An unknown name is a warning with the nearest known one, unless it
speaks of encryption or resembles a name that does, when it is an error too: a misspelt key must not
mean plaintext. What we can do is a setting: see `encryption`, and `stores` for what stores can do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from backup_core.config.locations import SCHEMES
from backup_core.config.table import TABLE
from backup_core.config.table_encryption import ENCRYPTION_ROWS
from backup_core.errors import ConfigError

PREFIXES = ("PITR_", "WALG_", "WALE_")
OWN_NAMES = frozenset(
    name for field, row in TABLE.items() for name in row.environment_names(field)
) | {"PITR_CONFIG"}

_ENCRYPTION_WORDS = frozenset(
    {
        "LIBSODIUM",
        "PGP",
        "GPG",
        "KMS",
        "CSE",
        "CSEK",
        "SSE",
        "ENVELOPE",
        "ENCRYPTION",
        "ENCRYPT",
        "CRYPTO",
        "CIPHER",
        "PASSPHRASE",
        "RECIPIENT",
        "RECIPIENTS",
        "IDENTITY",
    }
)
_OWN_ENCRYPTION_NAMES = tuple(
    name for field, row in ENCRYPTION_ROWS.items() for name in row.environment_names(field)
)
_ENCRYPTION_NAMES = frozenset({"YC_CSE_KMS_KEY_ID"})
_STORE_PREFIXES = {
    "AZ_PREFIX": "azure",
    "WABS_PREFIX": "wabs",
    "SWIFT_PREFIX": "swift",
    "SSH_PREFIX": "ssh",
    "OSS_PREFIX": "oss",
}
_MISPLACING = {
    "STORAGE_PREFIX": "would put the repository elsewhere",
    "TARGET_STORAGE": "would put the repository elsewhere",
    "FAILOVER_STORAGES": "would spread the repository over several stores",
    "CONFIG_PATH": "names a wal-g configuration file, which pitr does not read",
}
_MOVED_ENDPOINT = ("S3_ENDPOINT_SOURCE", "WALG_S3_ENDPOINT_SOURCE", "WALE_S3_ENDPOINT_SOURCE")
_TUNING_REASONS = {
    "PG_WAL_SIZE": "the segment size is read from the WAL itself",
    "PG_WAL_PAGE_SIZE": "the page size is read from the WAL itself",
    "PG_BLOCK_SIZE": "the block size is read from pg_control",
    "DELTA_MAX_STEPS": "every backup is a full one",
    "DELTA_ORIGIN": "every backup is a full one",
    "DELTA_FROM_NAME": "every backup is a full one",
    "DELTA_FROM_USER_DATA": "every backup is a full one",
    "USE_WAL_DELTA": "every backup is a full one",
    "FORCE_WAL_DELTA": "every backup is a full one",
    "PREVENT_WAL_OVERWRITE": "pitr never overwrites a WAL segment",
    "TAR_DISABLE_FSYNC": "a restore is always flushed to disk",
    "WITHOUT_FILES_METADATA": "the files metadata is written, unless the backup is encrypted",
    "LOG_DESTINATION": "logs go to standard error",
    "SYSLOG_FACILITY": "logs go to standard error",
    "UPLOAD_QUEUE": "PITR_UPLOAD_CONCURRENCY bounds what is in flight",
    "DOWNLOAD_FILE_RETRIES": "PITR_MAX_RETRIES counts for downloads too",
    "USE_REVERSE_UNPACK": "pitr plans a restore from the newest layer to the oldest anyway",
    "SKIP_REDUNDANT_TARS": "pitr plans a restore from the newest layer to the oldest anyway",
    "STORE_ALL_CORRUPT_BLOCKS": "every corrupt page is always listed",
    "PREFETCH_DIR": "PITR_SPOOL_DIR is where pitr prefetches",
    "SLOTNAME": "pitr does not stream WAL",
    "S3_SKIP_VALIDATION": "the store is not probed before it is used",
    "S3_RANGE_BATCH_ENABLED": "a download that breaks is always resumed",
    "S3_RANGE_MAX_RETRIES": "WALG_S3_MAX_RETRIES counts for downloads too",
    "S3_MIN_THROTTLING_RETRY_DELAY": "pitr chooses its pauses by itself",
    "S3_MAX_THROTTLING_RETRY_DELAY": "pitr chooses its pauses by itself",
    "S3_ENABLE_VERSIONING": "only the current version of an object is read and deleted",
    "S3_ENDPOINT_SOURCE": "the repository is not on S3",
    "AWS_ROLE_ARN": "name the role in a profile and set AWS_PROFILE",
    "AWS_ROLE_SESSION_NAME": "name the role in a profile and set AWS_PROFILE",
    "AWS_INSTANCE_PROFILE": "the instance's role is used when there are no other credentials",
    "GCS_CONTEXT_TIMEOUT": "PITR_RETRY_TIMEOUT bounds an operation",
}
_ALWAYS_ON = frozenset({"PREVENT_WAL_OVERWRITE", "S3_SKIP_VALIDATION", "S3_RANGE_BATCH_ENABLED"})
_BARE_NAMES = {
    "TOTAL_BG_UPLOADED_LIMIT": "PITR_PUSH_AHEAD_SIZE bounds that",
    "PG_READY_RENAME": "archive_status is the server's",
}
_TUNING_NAMES = frozenset(
    {
        "RETRIES",
        "UPLOAD_WAL_METADATA",
        "DIRECT_IO",
        "DIRECT_IO_BLOCK_COUNT",
        "USE_RATING_COMPOSER",
        "USE_COPY_COMPOSER",
        "USE_DATABASE_COMPOSER",
        "INTEGRITY_MAX_DELAYED_WALS",
        "DISABLE_PARTIAL_RESTORE",
        "DAEMON_WAL_UPLOAD_TIMEOUT",
        "STATSD_ADDRESS",
        "STATSD_EXTRA_TAGS",
        "FETCH_TARGET_USER_DATA",
        "SERIALIZER_TYPE",
        "BACKUP_FROM_REPLICA",
        "S3_ENDPOINT_PORT",
        "S3_DISABLE_100_CONTINUE",
        "S3_LOG_LEVEL",
        "S3_USE_YC_SESSION_TOKEN",
        "GS_ACCESS_KEY_ID",
        "GS_SECRET_ACCESS_KEY",
    }
)
_OTHER_STORES = (
    "AZ_",
    "AZURE_",
    "WABS_",
    "SWIFT_",
    "OS_",
    "SSH_",
    "OSS_",
    "YC_",
    "FAILOVER_",
)
FOREIGN_SUFFIXES = frozenset((*_STORE_PREFIXES, *_MISPLACING, *_TUNING_REASONS, *_TUNING_NAMES))
"""Names of WAL-G's and WAL-E's that are no settings of ours, without the tools' prefixes."""

_OFF = ("0", "false", "f", "no", "off")
_ON = ("1", "true", "t", "yes", "on")


def refuse_encryption(names: Iterable[str]) -> None:
    """Raise ConfigError if a variable asks for encryption in a way that we cannot serve."""
    for name in names:
        if name not in OWN_NAMES and _asks_for_encryption(name):
            near = _nearest(name)
            raise ConfigError(
                f"environment {name} asks for encryption, but is no setting of pitr",
                hint="It refuses rather than store plaintext; "
                + (f'the nearest is "{near}", else ' if near else "")
                + f"unset {name} if plaintext is meant.",
            )


def _asks_for_encryption(name: str) -> bool:
    if not name.startswith(PREFIXES):
        return name in _ENCRYPTION_NAMES
    words = re.split(r"[^A-Z0-9]+", name.upper())
    if name.startswith("PITR_") and "AGE" in words:
        return True
    return not _ENCRYPTION_WORDS.isdisjoint(words) or _resembles_encryption(name)


def _resembles_encryption(name: str) -> bool:
    """Tell whether an unknown name is nearest to one of a key or a scheme."""
    if _is_known(_suffix(name)) or name in _MOVED_ENDPOINT:
        return False
    return _nearest(name) in _OWN_ENCRYPTION_NAMES


def refuse_misplacing(names: Iterable[str]) -> None:
    """Raise ConfigError if a variable says that the repository is not where we would look."""
    for name in names:
        reason = _MISPLACING.get(_suffix(name))
        if reason is not None:
            raise ConfigError(
                f"environment {name} {reason}",
                hint=f"Unset {name} and name the whole place with --repository.",
            )


def refuse_moved_endpoint(names: Iterable[str]) -> None:
    """Raise ConfigError if S3 would be looked for at an address that a service hands out.

    WAL-G reads this one without its prefix too.
    """
    for name in names:
        if name in _MOVED_ENDPOINT:
            raise ConfigError(
                f"environment {name} asks a service where S3 is, which pitr does not do",
                hint=f"Unset {name} and name the place with AWS_ENDPOINT.",
            )


def refuse_other_stores(names: Iterable[str]) -> None:
    """Raise ConfigError if a variable puts the repository into a store that we do not have."""
    for name in names:
        scheme = _STORE_PREFIXES.get(_suffix(name))
        if scheme is not None:
            known = ", ".join(f"{known}://" for known in SCHEMES)
            raise ConfigError(
                f"environment {name} names a {scheme} store, which this build does not have",
                hint=f"Unset {name} or choose a repository with --repository; supported: {known}.",
            )


def warnings(environ: Mapping[str, str]) -> list[str]:
    """Write a sentence for each variable that looks like a setting but has no effect."""
    foreign = sorted(n for n in environ if n.startswith(PREFIXES) and n not in OWN_NAMES)
    return [
        *(text for name in foreign if (text := _warning(name, environ[name]))),
        *(f"{name} has no effect: {why}." for name, why in _BARE_NAMES.items() if name in environ),
    ]


def _warning(name: str, value: str) -> str:
    suffix = _suffix(name)
    if suffix in _TUNING_REASONS:
        return "" if _is_met(suffix, value) else f"{name} has no effect: {_TUNING_REASONS[suffix]}."
    if suffix in _STORE_PREFIXES:
        return f"{name} has no effect: a flag or PITR_REPOSITORY names the repository."
    if suffix in _TUNING_NAMES or suffix.startswith(_OTHER_STORES):
        return f"{name} has no effect: pitr has no such setting."
    near = _nearest(name)
    return f"{name} is not a setting" + (f'; the nearest is "{near}".' if near else ".")


def _is_met(suffix: str, value: str) -> bool:
    """Tell whether pitr does anyway what the variable asks for."""
    if suffix == "LOG_DESTINATION":
        return value == "stderr"
    if suffix in _ALWAYS_ON:
        return value.lower() in _ON
    return value.lower() in _OFF


def _suffix(name: str) -> str:
    """Drop WAL-G's or WAL-E's prefix; empty for any other name."""
    return name[5:] if name.startswith(("WALG_", "WALE_")) else ""


def _is_known(suffix: str) -> bool:
    """Tell whether a name is WAL-G's or WAL-E's, whatever becomes of it."""
    return suffix in FOREIGN_SUFFIXES or suffix.startswith(_OTHER_STORES)


def _nearest(name: str) -> str:
    from difflib import get_close_matches

    known = sorted(OWN_NAMES) + sorted(
        f"WALG_{suffix}" for suffix in (*_STORE_PREFIXES, *_TUNING_REASONS, *_TUNING_NAMES)
    )
    near = get_close_matches(name, known, n=1, cutoff=0.7)
    return near[0] if near else ""
