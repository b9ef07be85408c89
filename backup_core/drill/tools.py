"""What the command line hands to a drill, which knows nothing of restoring or of settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from backup_core.drill.ledger import Reporting
from backup_core.drill.scratch import Scratch
from backup_core.postgres.recovery import RecoveryConfig, RecoveryTarget
from backup_core.repository.drills import Sign
from backup_core.repository.sentinel import Backup


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A restore that was planned; `restore` carries it out. Sizes in bytes.

    `last_segment` is the number of the last segment on the way to the target, on `timeline`; None
    where a backup does not tell.
    """

    backup: Backup
    timeline: int
    last_segment: int | None
    wal_segments: int
    segment_size: int
    stored_size: int
    restored_size: int
    has_manifest: bool
    recovery: RecoveryConfig
    restore: Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Tools:
    """How to restore, an environment for programs, and a key to sign with.

    `plan(backup, target, scratch)` plans a restore into the scratch directory, of the newest backup
    that serves the target where `backup` is None. `sign` None leaves the record unsigned; without
    `record` there is none.
    """

    plan: Callable[[str | None, RecoveryTarget, Scratch], Planned]
    reporting: Reporting
    environment: Mapping[str, str] = field(repr=False)
    sign: Sign | None = None
    record: bool = True
