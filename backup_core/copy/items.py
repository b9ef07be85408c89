"""The facts that a copy is planned from, and the plan: values without any decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from backup_core.errors import RefusedError, WalConflictError
from backup_core.postgres.timeline import TimelineHistory
from backup_core.postgres.wal import WalName
from backup_core.repository.sentinel import Backup
from backup_core.repository.wal_archive import WalObject, WalRange
from backup_core.storage.base import ObjectInfo


class Kind(Enum):
    """How an object is checked; MARKS is the one document that is rewritten after its backup."""

    WAL = "wal"
    OBJECT = "object"
    MARKS = "marks"
    SENTINEL = "sentinel"


@dataclass(frozen=True, kw_only=True)
class PartDigest:
    """What a backup's index says of one partition; the size in bytes."""

    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """The facts about the repository copied from, for the backups that were chosen.

    `objects` has each backup's objects by its name, `digests` each partition's by its key;
    `marks` are those by which hosts without the secret key compare WAL (repository.sealed).
    """

    url: str
    system_identifier: int
    segment_size: int
    backups: tuple[Backup, ...]
    objects: Mapping[str, Sequence[ObjectInfo]]
    digests: Mapping[str, PartDigest]
    wal: tuple[WalObject, ...]
    histories: Mapping[int, TimelineHistory]
    marks: Sequence[ObjectInfo] = ()


@dataclass(frozen=True, kw_only=True)
class Target:
    """The facts about the repository copied to.

    `objects` are sizes by key, of what is below the chosen backups' names and of the WAL's marks.
    `resealed` are keys of encrypted objects that both have, in different sizes.
    """

    url: str
    system_identifier: int | None
    backups: tuple[Backup, ...]
    objects: Mapping[str, int]
    wal: tuple[WalObject, ...]
    resealed: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class CopyItem:
    """One object of `size` bytes; `present` is the key under which the target has it already.

    `sha256` is the digest of its content where the backup's index tells it. `resealed` is one that
    the target has in another size, because it is encrypted otherwise.
    """

    key: str
    size: int
    kind: Kind
    sha256: str | None = None
    present: str | None = None
    wal: WalName | None = None
    resealed: bool = False


@dataclass(frozen=True, kw_only=True)
class BackupCopy:
    """One backup: its objects in the order of their keys, and the sentinel that follows them."""

    backup: Backup
    objects: tuple[CopyItem, ...]
    sentinel: CopyItem


@dataclass(frozen=True, kw_only=True)
class CopyPlan:
    """Everything a copy does, in its order; `wal_spans` are the segments it brings."""

    system_identifier: int
    segment_size: int
    wal_spans: tuple[WalRange, ...]
    wal_marks: tuple[CopyItem, ...]
    wal: tuple[CopyItem, ...]
    backups: tuple[BackupCopy, ...]
    warnings: tuple[str, ...]

    @property
    def items(self) -> tuple[CopyItem, ...]:
        """All objects in the order in which they are brought over."""
        ordered = [*self.wal_marks, *self.wal]
        for item in self.backups:
            ordered += [*item.objects, item.sentinel]
        return tuple(ordered)

    @property
    def missing_size(self) -> int:
        """Bytes of the objects that the target does not have."""
        return sum(item.size for item in self.items if item.present is None)


def conflict(item: CopyItem, url: str) -> RefusedError:
    """The refusal for an object that the target holds with other content."""
    hint = (
        "Nothing is overwritten. Find out which of the two is right; pitr st stat and pitr st get "
        "show them, pitr st rm removes the wrong one."
    )
    error = WalConflictError if item.kind is Kind.WAL else RefusedError
    return error(f"{url} holds {item.present or item.key} with different content", hint=hint)
