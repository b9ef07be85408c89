"""Which backup of a chain provides each file, and which increments follow (pure).

Decided from the newest backup to the oldest: the newest says which files there are, one that is
skipped is the next older's matter, and one that is stored whole ends the search. Carried out from
the oldest to the newest. WAL-G's own newest-first way of writing takes a page of zeros for one that
is missing; here a page is never looked at to decide anything.

Of each file one dictionary entry is kept, whose number is shared between files: bit N for the
backup N, counted from the newest. The highest bit is the backup that has the whole file, the others
are increments. So a plan for a million files takes about as much memory as the list of one backup.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum

from backup_core.errors import CorruptError
from backup_core.repository.files_metadata import FilesMetadata, FileState, path_key

_APART = ("pg_control.tar", "backup_label.tar")


class Action(Enum):
    """What to do with a member of a backup's partitions."""

    IGNORE = "ignore"
    CREATE = "create"
    APPLY = "apply"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The partitions of one backup; `needed` is None if every one must be read."""

    backup: str
    named: frozenset[str]
    needed: frozenset[str] | None


@dataclass(frozen=True, kw_only=True)
class LayerPlan:
    """How the files come together; `layers` from the newest to the oldest.

    `steps` has a number for each path, see the module. `corrupt_pages` counts those that were
    corrupt when their backup was taken, of all that is restored.
    """

    layers: tuple[Layer, ...]
    steps: Mapping[str, int] = field(repr=False)
    corrupt_pages: int = 0

    def action(self, layer: int, name: str) -> Action:
        """What to do with the member `name` of a partition of that layer."""
        step = self.steps.get(path_key(name), 0)
        if not step >> layer & 1:
            return Action.IGNORE
        return Action.APPLY if step >> layer + 1 else Action.CREATE

    def vanished(self, layer: int, written: AbstractSet[str], *, whole: bool = False) -> list[str]:
        """Paths that the layer should have provided, beside those `written` (as `path_key` has it).

        In the newest backup such a file was removed while it ran, and what older ones restored of
        it must go; only paths of which they did are returned. Raises CorruptError for an older
        layer, whose contents newer ones build on, and for a backup that must be `whole`.
        """
        bit = 1 << layer
        absent = (path for path, step in self.steps.items() if step & bit and path not in written)
        if layer == 0 and not whole:
            return [path for path in absent if self.steps[path] > bit]
        lacking = list(absent)
        if lacking:
            raise CorruptError(
                f"backup {self.layers[layer].backup} lacks {len(lacking)} files that it "
                f'lists: "{min(lacking)}", ...',
                hint="The stored backup is damaged; restore an older one.",
            )
        return []


def plan_layers(chain: Iterable[FilesMetadata]) -> LayerPlan:
    """Plan the restore of the newest backup, from the lists of its chain, newest first.

    Each list is asked for when the one before is done with, so a generator can load one at a time.
    Raises CorruptError for a file of which no backup has all.
    """
    steps: dict[str, int] = {}
    layers: list[Layer] = []
    pending: dict[str, int] = {}
    corrupt = 0
    for files in chain:
        number = len(layers)
        if number == 0:
            pending = dict.fromkeys(files.paths(), 0)
            if not pending:
                raise CorruptError(f"backup {files.backup} lists no files")
        corrupt += sum(pages for path, pages in files.corrupt.items() if path in pending)
        pending, needed = _settle(files, 1 << number, pending, steps)
        named = frozenset(files.tars)
        layers.append(Layer(backup=files.backup, named=named, needed=needed if number else None))
        del files  # before the next one is loaded
    if pending:
        raise CorruptError(
            f"{len(pending)} files are stored whole in no backup down to the full one, "
            f'{layers[-1].backup}: "{min(pending)}", ...'
        )
    return LayerPlan(layers=tuple(layers), steps=steps, corrupt_pages=corrupt)


def _settle(
    files: FilesMetadata, bit: int, pending: Mapping[str, int], steps: dict[str, int]
) -> tuple[dict[str, int], frozenset[str] | None]:
    """Look up the pending files in one backup: what is pending still, and the tars needed."""
    still: dict[str, int] = {}
    needed: set[str | None] = set()
    shared: dict[int, int] = {}
    for path, step in pending.items():
        state = files.state(path)
        if state is None:
            raise CorruptError(
                f'backup {files.backup} does not list "{path}", of which newer backups hold only '
                "what changed since"
            )
        if state is FileState.SKIPPED:
            still[path] = step
            continue
        step = shared.setdefault(step | bit, step | bit)
        (steps if state is FileState.FULL else still)[path] = step
        needed.add(files.tar(path))
    return still, None if None in needed else frozenset(tar for tar in needed if tar)


def choose_tars(plan: LayerPlan, layer: int, stored: Collection[str]) -> list[str]:
    """Which of the stored partitions (object names) of a layer must be read, in stored order.

    pg_control and backup_label count for the newest layer only. Raises CorruptError for one that is
    needed and not stored.
    """
    wanted = plan.layers[layer]
    required = wanted.named if wanted.needed is None else wanted.needed
    lacking = required - set(stored)
    if lacking:
        raise CorruptError(
            f"backup {wanted.backup} lacks {len(lacking)} of its partitions: {min(lacking)}, ...",
            hint="The stored backup is damaged; restore an older one.",
        )
    if layer == 0:
        return list(stored)
    return [
        tar
        for tar in stored
        if not tar.startswith(_APART) and (wanted.needed is None or tar in wanted.needed)
    ]
