"""Fill directories from a backup's partitions, several at once.

Each file is created, never opened if it exists, and held against its digest while it is written.
A path leads nowhere but below the data directory or a tablespace's location. What a server looks at
first when it starts is not written here but handed back, to be placed last.

WAL-G ends no tar of a backup that it took by the replication protocol. So the blocks of zeros may
be missing where something else proves that nothing is: a codec's end mark, or a list of all files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field

from backup_core.errors import CorruptError, PitrError
from backup_core.repository import layout
from backup_core.restore import tree
from backup_core.restore.increments import apply_increment
from backup_core.restore.known import KnownFiles
from backup_core.restore.layers import Action, LayerPlan
from backup_core.restore.members import (
    HELD_BACK,
    LEFT_OUT,
    Link,
    Members,
    judge_link,
    split_path,
)
from backup_core.restore.places import Layout
from backup_core.storage.base import Storage
from backup_core.stream.compress import decode
from backup_core.stream.parallel import read_ahead, run_all
from backup_core.stream.tar import TarMember, read_members


@dataclass(frozen=True, kw_only=True)
class LayerView:
    """One backup of a chain: its number in the plan, 0 for the newest, and the size of a page."""

    plan: LayerPlan = field(repr=False)
    number: int
    page_size: int

    @property
    def tells_partitions(self) -> bool:
        """Whether the backup's list says which partitions there are, too."""
        return bool(self.plan.layers[self.number].named)

    def action(self, member: TarMember, path: str) -> Action:
        """What to do with a member; the newest backup decides on all that is no listed file."""
        is_file = not member.is_directory and member.link is None
        if self.number == 0 and not (is_file and path not in (*HELD_BACK, *LEFT_OUT)):
            return Action.CREATE
        return self.plan.action(self.number, path)


@dataclass(frozen=True, kw_only=True)
class ExtractOptions:
    """How to extract; `known` is None for a backup without digests, `advance` counts bytes.

    `layer` is None for a backup that has no list of its files. Files that are `kept` are there
    already, those of other content in the way of the backup's are replaced.
    """

    layout: Layout
    known: KnownFiles | None
    workers: int
    advance: Callable[[int], None]
    layer: LayerView | None = None
    kept: frozenset[str] = frozenset()


@dataclass(kw_only=True)
class Extracted:
    """What came out of partitions: paths, and the bytes of all files in them together.

    `held` has the content of files that are to be placed last, `links` where symbolic links that
    were not made led, `left_out` the files that were passed over. All paths are relative.
    """

    files: set[str] = field(default_factory=set)
    held: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    size: int = 0

    def add(self, other: Extracted) -> None:
        """Take in what came out of another partition."""
        self.files |= other.files
        self.held |= other.held
        self.links |= other.links
        self.left_out |= other.left_out
        self.size += other.size


def extract_parts(storage: Storage, keys: Sequence[str], options: ExtractOptions) -> Extracted:
    """Extract all partitions of one backup.

    Raises CorruptError for content that is not what the backup's index says or that no data
    directory holds, and PitrError when a file cannot be written. The first error ends all workers.
    """
    members = Members()
    with ThreadPoolExecutor(options.workers, thread_name_prefix="decoder") as decoders:
        parts = run_all(
            lambda key, advance: _extract_part(storage, key, options, members, advance, decoders),
            keys,
            workers=options.workers,
            advance=options.advance,
        )
    together = Extracted()
    for part in parts:
        together.add(part)
    return together


def read_held(storage: Storage, key: str) -> dict[str, bytes]:
    """Read a partition that has nothing but files to be placed last, by their paths."""
    held = {}
    chunks = decode(storage.get(key), extension=layout.extension_of(key), name=key)
    for member, data in read_members(chunks, name=key, endless=True):
        path = "/".join(split_path(member.name))
        if member.is_directory:
            continue
        if path not in HELD_BACK or path in held or member.link is not None:
            raise CorruptError(f'{key} holds "{path}", which does not belong there')
        held[path] = _hold(path, member, data)
    return held


def _extract_part(
    storage: Storage,
    key: str,
    options: ExtractOptions,
    members: Members,
    advance: Callable[[int], None],
    decoders: Executor,
) -> Extracted:
    chunks = decode(storage.get(key), extension=layout.extension_of(key), name=key)
    found = Extracted()
    endless = bool(layout.extension_of(key)) or (
        options.layer is not None and not options.layer.tells_partitions
    )
    for member, data in read_members(read_ahead(decoders, chunks), name=key, endless=endless):
        parts = split_path(member.name)
        path = "/".join(parts)
        action = options.layer.action(member, path) if options.layer else Action.CREATE
        if action is Action.IGNORE:
            continue
        members.add(path, is_directory=member.is_directory)
        found.size += member.size
        if path in options.kept:
            found.files.add(path)
            continue
        content = _counted(data, advance)
        try:
            if action is Action.APPLY:
                _extract_increment(member, path, content, options)
                found.files.add(path)
            else:
                _extract_member(member, path, content, options, found)
        except OSError as error:
            raise PitrError(
                f"cannot write {options.layout.locate(parts).path}: {error.strerror}",
                hint="What was restored so far cannot be started; remove it before trying again.",
            ) from None
    return found


def _extract_member(
    member: TarMember,
    path: str,
    data: Iterable[memoryview],
    options: ExtractOptions,
    found: Extracted,
) -> None:
    if member.is_directory:
        tree.make_directory(options.layout.locate(split_path(path)), member.mode or 0o700)
    elif member.link is not None:
        _pass_link(member.link, path, options, found)
    elif path in HELD_BACK:
        found.held[path] = _hold(path, member, data)
        if options.known is not None:
            options.known.check(path, found.held[path])
    elif path in LEFT_OUT and options.known is None:
        found.left_out.add(path)
    else:
        _extract_file(member, path, data, options)
        found.files.add(path)


def _pass_link(target: str, path: str, options: ExtractOptions, found: Extracted) -> None:
    """Do with a symbolic link what is safe, which never is to make it."""
    parts = split_path(path)
    if options.known is not None:
        raise CorruptError(f'the backup holds "{path}", which its index does not name')
    fate = judge_link(parts, frozenset(options.layout.tablespaces))
    if fate is Link.DIRECTORY:
        tree.make_directory(options.layout.locate(parts), 0o700)
    if fate is not Link.TABLESPACE:
        found.links[path] = target


def _extract_file(
    member: TarMember, path: str, data: Iterable[memoryview], options: ExtractOptions
) -> None:
    place = options.layout.locate(split_path(path))
    if not place.parts:
        raise CorruptError(f'the backup holds "{member.name}" as a file, which is a directory')
    if options.known is not None:
        data = options.known.checked(path, data)
    tree.create_file(place, member.mode, data)


def _extract_increment(
    member: TarMember, path: str, data: Iterable[memoryview], options: ExtractOptions
) -> None:
    assert options.layer is not None
    apply_increment(
        options.layout.locate(split_path(path)),
        data,
        size=member.size,
        mode=member.mode,
        page_size=options.layer.page_size,
        name=path,
    )


def _hold(path: str, member: TarMember, data: Iterable[memoryview]) -> bytes:
    if member.size > HELD_BACK[path]:
        raise CorruptError(f'the backup holds a "{path}" of {member.size} bytes')
    return b"".join(data)


def _counted(data: Iterable[memoryview], advance: Callable[[int], None]) -> Iterator[memoryview]:
    for piece in data:
        advance(len(piece))
        yield piece
