"""Whether what was extracted may be started: the last look before pg_control is placed.

Other tools record little about a backup, so that their archive has to agree with itself: the
control file with the cluster, the label with the name, the sizes with their sum.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from backup_core.errors import ClusterMismatchError, CorruptError
from backup_core.postgres.control import CONTROL_FILE, ControlFile, parse_control
from backup_core.postgres.lsn import Lsn
from backup_core.repository import wal_e
from backup_core.repository.sentinel import Backup
from backup_core.restore.plan import TablespacePlacement

_USUAL_PAGE = 8192
_ESSENTIAL = ("PG_VERSION", "global/pg_filenode.map")
_CLEAN = ("shut down", "shut down in recovery")
_START = re.compile(rb"^START WAL LOCATION: ([0-9A-F]{1,8}/[0-9A-F]{1,8}) ", re.MULTILINE)
_MAP_ENTRY = re.compile(rb"(\d{1,10}) (?:\\.|[^\\\n])*\n", re.ASCII | re.DOTALL)


def check_held(
    backup: Backup,
    held: Mapping[str, bytes],
    placements: tuple[TablespacePlacement, ...],
    *,
    system_identifier: int | None,
) -> ControlFile:
    """Look at the files that are placed last; return what pg_control says.

    Raises ClusterMismatchError for a backup of another cluster than its archive, and CorruptError
    for files that are missing, damaged, or of another backup.
    """
    if CONTROL_FILE not in held:
        raise CorruptError(f"backup {backup.name} lacks its pg_control")
    control = parse_control(held[CONTROL_FILE], path=f"{CONTROL_FILE} of {backup.name}")
    if system_identifier not in (None, control.system_identifier):
        raise ClusterMismatchError(
            f"{backup.name} is of the cluster with system identifier {control.system_identifier}, "
            f"the archived WAL of {system_identifier}",
            hint="The repository holds two clusters; the backup cannot be recovered with this WAL.",
        )
    if control.major.partition(".")[0] != str(backup.major):
        raise CorruptError(
            f"{backup.name} is said to be of PostgreSQL {backup.major}, but its pg_control is of "
            f"{control.major}",
            hint="Its recovery cannot be set up; restore another backup.",
        )
    _check_label(backup, held.get("backup_label"), control)
    _check_map(backup, held.get("tablespace_map", b""), placements)
    return control


def page_size(chain: Sequence[Backup], control: bytes | None) -> int:
    """The size of a page in bytes, which increments are made of; the usual one without any."""
    if len(chain) == 1:
        return _USUAL_PAGE
    if control is None:
        raise CorruptError(f"backup {chain[0].name} lacks its pg_control")
    return parse_control(control, path=f"{CONTROL_FILE} of {chain[0].name}").block_size


def check_essentials(backup: Backup, data_dir: Path) -> None:
    """Raise CorruptError if a file is missing that every data directory has, whatever lists say."""
    for name in _ESSENTIAL:
        if not (data_dir / name).is_file():
            raise CorruptError(
                f"backup {backup.name} lacks {name}, which every data directory has",
                hint="Partitions are missing, or are another backup's; restore another backup.",
            )


def _check_label(backup: Backup, label: bytes | None, control: ControlFile) -> None:
    if label is None:
        _check_shut_down(backup, control)
        return
    match = _START.search(label)
    if match is None:
        raise CorruptError(f"the backup_label of {backup.name} has no START WAL LOCATION")
    start = Lsn.parse(match[1].decode())
    if wal_e.is_offline(backup) or start != backup.start_lsn:
        said = "name" if backup.origin == wal_e.ORIGIN else "sentinel"
        raise CorruptError(
            f"{backup.name} began at {start}, as its backup_label says, and not where its {said} "
            "says",
            hint="The label may be another backup's, and the WAL that it needs was not looked for; "
            "restore another backup.",
        )


def _check_shut_down(backup: Backup, control: ControlFile) -> None:
    """Without a label, only what was copied while no server ran is a backup."""
    if backup.origin != wal_e.ORIGIN:
        raise CorruptError(f"backup {backup.name} lacks its backup_label")
    if control.state not in _CLEAN:
        raise CorruptError(
            f'backup {backup.name} lacks its backup_label, and its server was not shut down: "'
            f'{control.state}"',
            hint="Files that a server wrote while they were copied cannot be trusted; restore "
            "another backup.",
        )


def _check_map(
    backup: Backup, tablespace_map: bytes, placements: tuple[TablespacePlacement, ...]
) -> None:
    """Every tablespace that the server would link must be one that is placed."""
    oids = {item.oid for item in placements}
    position = 0
    while position < len(tablespace_map):
        entry = _MAP_ENTRY.match(tablespace_map, position)
        if entry is None:
            raise CorruptError(f"the tablespace_map of {backup.name} is damaged")
        if int(entry[1]) not in oids:
            raise CorruptError(
                f"the tablespace_map of {backup.name} names tablespace {int(entry[1])}, which its "
                "sentinel does not"
            )
        position = entry.end()


def check_size(backup: Backup, size: int, *, force: bool) -> str | None:
    """Hold the extracted bytes of a backup without a list of its files against what was stored.

    Returns a warning, if there is one. Raises CorruptError for more, and without `force` for fewer:
    then a partition is missing at the end, or a file was deleted while it was copied. WAL-E and
    wal-g themselves do not look. A wal-g that streamed from pg_basebackup counted tar's headers too
    and left the catalogue's size out.
    """
    stored = backup.uncompressed_size
    if stored == size or not (stored or backup.origin == wal_e.ORIGIN):
        return None
    message = (
        f"the partitions of {backup.name} hold {size} bytes of files, its sentinel says {stored}"
    )
    if size > stored:
        raise CorruptError(message)
    if not force and (backup.data_catalog_size or backup.origin == wal_e.ORIGIN):
        raise CorruptError(
            message,
            hint="A partition may be missing; restore an older backup. It may also be a file that "
            "was deleted while the backup was taken: with --force this is a warning.",
        )
    return message
