"""Whether a restore may go on in a directory that is not empty (pure).

Two ways lead into one, and the operator names which: going on with a restore that was interrupted,
and turning a data directory into what a backup holds. Both remove what the backup does not have, so
each asks for proof that the directory is what it is taken for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from backup_core.errors import RefusedError
from backup_core.restore.plan import Destination


class Onto(Enum):
    """What a restore may find where it goes."""

    EMPTY = "nothing"
    RESUME = "an interrupted restore of the same backup"
    DELTA = "a data directory of the same cluster"


@dataclass(frozen=True, kw_only=True)
class Occupant:
    """What stands in a data directory.

    `restoring` is the backup of an interrupted restore, `system_identifier` what pg_control says,
    `unarchived` counts WAL segments that the server there had not archived.
    """

    restoring: str | None = None
    system_identifier: int | None = None
    has_pid_file: bool = False
    unarchived: int = 0


def check_occupant(
    destination: Destination,
    occupant: Occupant,
    *,
    backup: str,
    system_identifier: int | None,
    onto: Onto,
    force: bool,
) -> None:
    """Raise RefusedError unless the data directory may be filled as `onto` says."""
    path = destination.path
    if destination.is_empty:
        return
    if onto is Onto.RESUME:
        _check_resumed(path, occupant, backup)
    elif onto is Onto.DELTA and occupant.restoring is None:
        _check_same_cluster(path, occupant, system_identifier)
        _check_stopped(path, occupant)
        if occupant.unarchived and not force:
            raise RefusedError(
                f"{path} holds {occupant.unarchived} WAL segments that were never archived, and "
                "would be removed",
                hint="Push them first (docs/restore.md, The last minutes), or give them up with "
                "--force.",
            )
    elif onto is Onto.EMPTY and occupant.restoring is not None:
        raise RefusedError(
            f"{path} is not empty: a restore of {occupant.restoring} was interrupted there",
            hint=f"Go on with it: pitr backup-fetch {path} {occupant.restoring} --resume, with the "
            "other options as before.",
        )


def _check_resumed(path: Path, occupant: Occupant, backup: str) -> None:
    if occupant.restoring is None:
        raise RefusedError(
            f"{path} is not empty and holds no interrupted restore",
            hint="Move its content away; --delta turns a data directory into what a backup holds.",
        )
    if occupant.restoring != backup:
        raise RefusedError(
            f"the restore that was interrupted in {path} is of {occupant.restoring}, not of "
            f"{backup}",
            hint=f"Name the backup: pitr backup-fetch {path} {occupant.restoring} --resume; or use "
            "--delta to restore another over it.",
        )


def _check_same_cluster(path: Path, occupant: Occupant, system_identifier: int | None) -> None:
    if occupant.system_identifier is None:
        raise RefusedError(
            f"{path} is not empty and no data directory: it has no readable pg_control",
            hint="Move its content away and restore into an empty directory.",
        )
    if occupant.system_identifier != system_identifier:
        raise RefusedError(
            f"{path} is of the cluster with system identifier {occupant.system_identifier}, the "
            f"backup of {system_identifier}",
            hint="Restore into an empty directory.",
        )


def _check_stopped(path: Path, occupant: Occupant) -> None:
    if occupant.has_pid_file:
        raise RefusedError(
            f"{path} has a postmaster.pid: a server may be running there, perhaps in a container",
            hint="Stop the server. If it crashed, make sure that none runs and remove the file.",
        )
