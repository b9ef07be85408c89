"""How files are grouped into tar partitions (pure).

A file is never split over partitions: WAL-G's readers want it whole. Partitions are therefore kept
well below the threshold, so that workers stay busy to the end, and the largest are begun first.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import count

from backup_core.postgres.datadir import DataFile

FIRST = "part_001"
"""The partition that has the directories."""
_SMALLEST = 32 << 20
_PARTS_PER_WORKER = 8


@dataclass(frozen=True, kw_only=True)
class Partition:
    """Files that share a tar; `name` is WAL-G's, such as `part_001`."""

    name: str
    files: tuple[DataFile, ...]

    @property
    def size(self) -> int:
        """The sum of the file sizes, in bytes."""
        return sum(file.size for file in self.files)


def plan_partitions(
    files: Sequence[DataFile], *, threshold: int, workers: int, taken: Collection[str] = ()
) -> tuple[Partition, ...]:
    """Group files in their order; there is always at least one partition, largest first.

    `threshold` bounds a partition's content in bytes, unless a single file is larger. Names that
    are `taken` are passed over.
    """
    total = sum(file.size for file in files)
    target = min(threshold, max(_SMALLEST, total // (workers * _PARTS_PER_WORKER)))
    groups: list[list[DataFile]] = [[]]
    size = 0
    for file in files:
        if groups[-1] and size + file.size > target:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size += file.size
    largest_first = sorted(groups, key=lambda group: -sum(file.size for file in group))
    names = (name for number in count(1) if (name := f"part_{number:03d}") not in taken)
    return tuple(
        Partition(name=name, files=tuple(group))
        for name, group in zip(names, largest_first, strict=False)
    )
