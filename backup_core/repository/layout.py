"""Every key of a repository is built here.

WAL-G's layout, version 005, which is WAL-E's (docs/repository-format.md). What only pitr knows has
lower-case names under `pitr/`, or names that wal-g passes over inside a backup's own folder:
wal-g deletes by the pattern of 24 upper-case hexadecimal digits.
"""

from __future__ import annotations

import re

BACKUPS = "basebackups_005/"
WAL = "wal_005/"
IDENTITY = "pitr/identity.json"
LOCKS = "pitr/locks/"
CHECKS = "pitr/check/"
MARKS = "pitr/marks/"
DRILLS = "pitr/drills/"
EXTENSIONS = ("zst", "lz4", "lzma", "br", "gz", "lzo")
"""Those by which WAL-E, WAL-G and pitr name what compressed an object."""
SENTINEL_SUFFIX = "_backup_stop_sentinel.json"

_BACKUP_NAME = re.compile(r"base_([0-9A-F]{8})[0-9A-F]{16}(_D_[0-9A-F]{24}|_[0-9A-F]{8})?")


def is_backup_name(name: str) -> bool:
    """Tell whether `name` is a backup's: full, WAL-G's delta or WAL-E's."""
    return _BACKUP_NAME.fullmatch(name) is not None


def backup_name(first_segment: str) -> str:
    """The name of a full backup that needs WAL from the segment `first_segment` on."""
    return f"base_{first_segment}"


def backup_timeline(name: str) -> int:
    """The timeline on which the backup of this name began."""
    match = _BACKUP_NAME.fullmatch(name)
    assert match is not None, name
    return int(match[1], 16)


def sentinel(name: str) -> str:
    """The object whose existence makes the backup exist."""
    return f"{BACKUPS}{name}{SENTINEL_SUFFIX}"


def backup_folder(name: str) -> str:
    """The prefix of everything else that belongs to the backup."""
    return f"{BACKUPS}{name}/"


def metadata(name: str) -> str:
    """WAL-G's short description of a backup."""
    return f"{backup_folder(name)}metadata.json"


def files_metadata(name: str) -> str:
    """WAL-G's list of a backup's files."""
    return f"{backup_folder(name)}files_metadata.json"


def manifest(name: str) -> str:
    """PostgreSQL's backup_manifest, for pg_verifybackup."""
    return f"{backup_folder(name)}backup_manifest"


def index(name: str) -> str:
    """Where each file of the backup is stored, and its digest."""
    return f"{backup_folder(name)}index.json.zst"


def started(name: str) -> str:
    """What tells that pitr began this backup: one without a sentinel can be gone on with."""
    return f"{backup_folder(name)}started.json"


def corrupt_pages(name: str) -> str:
    """The list of pages that failed their checksums; exists only if there are any."""
    return f"{backup_folder(name)}corrupt_pages.json"


def partitions(name: str) -> str:
    """The prefix of the backup's tar partitions."""
    return f"{backup_folder(name)}tar_partitions/"


def partition(name: str, part: str, extension: str) -> str:
    """One tar partition, such as `part_001`, `pg_control` or `backup_label`."""
    return with_extension(f"{partitions(name)}{part}.tar", extension)


def wal(name: str, extension: str) -> str:
    """A WAL file as the codec with this extension stores it."""
    return with_extension(f"{WAL}{name}", extension)


def digest_mark(key: str, head: bytes) -> str:
    """What tells the digest of the file in an OpenPGP message that begins with `head`."""
    from hashlib import sha256

    return f"{MARKS}{key.removeprefix(WAL).lower()}.{sha256(head).hexdigest()[:16]}"


def drill_record(name: str) -> str:
    """What a drill found, by the record's name, which begins with the time."""
    return f"{DRILLS}{name}.json"


def drill_signature(name: str) -> str:
    """The signature over the record of this name."""
    return f"{DRILLS}{name}.sig"


def with_extension(key: str, extension: str) -> str:
    """WAL-G writes no trailing dot where there is no extension."""
    return f"{key}.{extension}" if extension else key


def extension_of(key: str) -> str:
    """The extension of the codec that a key ends in; empty without one."""
    name, _, extension = key.rpartition(".")
    return extension if name and extension in EXTENSIONS else ""
