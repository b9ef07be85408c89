"""The backups that a delta backup is made on (pure).

A chain is proven before anything of it is fetched. A parent that was overwritten in place (two
backups of a standby can get one name), or that belongs to another cluster, has the right name and
the wrong pages.
"""

from __future__ import annotations

from collections.abc import Mapping

from backup_core.errors import CorruptError, NotFoundError, RefusedError
from backup_core.repository.sentinel import Backup


def chain(backup: Backup, by_name: Mapping[str, Backup]) -> tuple[Backup, ...]:
    """The backup and those it is made on, newest first, the full one last.

    Raises NotFoundError for one that is not among `by_name`, CorruptError if they do not fit
    together, RefusedError if they are of several clusters.
    """
    found = [backup]
    while (name := found[-1].delta_from) is not None:
        if any(item.name == name for item in found):
            raise CorruptError(f"backup {backup.name} is made on itself, by way of {name}")
        parent = by_name.get(name)
        if parent is None:
            raise NotFoundError(
                f"backup {found[-1].name} is made on {name}, which cannot be read or is not there",
                hint="A delta backup is restored only with all that it is made on; choose another.",
            )
        _check_parent(found[-1], parent)
        found.append(parent)
    for above, item in enumerate(found[:-1]):
        _check_root(item, found[-1], below=len(found) - 1 - above)
    return tuple(found)


def _check_parent(child: Backup, parent: Backup) -> None:
    if child.delta_lsn != parent.start_lsn:
        raise CorruptError(
            f"backup {child.name} is made on a {parent.name} that began at {child.delta_lsn}, but "
            f"the one that is there began at {parent.start_lsn}",
            hint="The parent was replaced since; choose another backup.",
        )
    if parent.finish_lsn > child.start_lsn:
        raise CorruptError(
            f"backup {child.name} began at {child.start_lsn}, before its parent {parent.name} "
            f"ended at {parent.finish_lsn}"
        )
    systems = {child.system_identifier, parent.system_identifier} - {None}
    if len(systems) > 1:
        raise RefusedError(
            f"backup {child.name} is of system {child.system_identifier}, but {parent.name}, on "
            f"which it is made, of {parent.system_identifier}",
            hint="Two clusters share this repository; choose a backup whose chain is of one.",
        )


def _check_root(item: Backup, root: Backup, *, below: int) -> None:
    if item.delta_full_name != root.name:
        raise CorruptError(
            f"backup {item.name} names {item.delta_full_name} as the full backup of its chain, "
            f"which ends in {root.name}"
        )
    if item.delta_count < below:
        raise CorruptError(
            f"backup {item.name} counts {item.delta_count} backups below it, but there are {below}"
        )
