"""Where the paths of a backup go: into the data directory, or to where a tablespace is put."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backup_core.restore import tree
from backup_core.restore.members import tablespace_of
from backup_core.restore.plan import TablespacePlacement


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where paths of the backup go; `tablespaces` maps OIDs to their locations."""

    data_dir: Path
    tablespaces: Mapping[int, Path]

    def locate(self, parts: tuple[str, ...]) -> tree.Place:
        """The place of a path of the data directory, as `split_path` gives it."""
        oid = tablespace_of(parts)
        location = None if oid is None else self.tablespaces.get(oid)
        if location is not None:
            return tree.Place(root=location, parts=parts[2:])
        return tree.Place(root=self.data_dir, parts=parts)


def lay_out(data_dir: Path, placements: Sequence[TablespacePlacement]) -> Layout:
    """The places of a restore into `data_dir`."""
    return Layout(
        data_dir=data_dir, tablespaces={item.oid: Path(item.location) for item in placements}
    )
