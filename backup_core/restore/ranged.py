"""Write files of a backup from ranges of its partitions, as its index tells.

The index decides what is written and where; what the tar says about its members does not matter.
Every worker fetches a span, proves and decodes its frames and writes what they have of the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile

from backup_core.errors import CorruptError, PitrError
from backup_core.repository import layout
from backup_core.repository.index import BackupIndex, IndexedFile
from backup_core.restore import tree
from backup_core.restore.frames import read_frames
from backup_core.restore.members import Members, split_path
from backup_core.restore.places import Layout
from backup_core.restore.spans import Span, plan_spans
from backup_core.restore.writing import FileWriter
from backup_core.storage.base import Sequential, Storage
from backup_core.stream.compress import decode
from backup_core.stream.digest import Algorithm
from backup_core.stream.parallel import run_all
from backup_core.stream.tar import TarMember, read_members

Advance = Callable[[int], None]


def is_ranged(index: BackupIndex) -> bool:
    """Whether a backup's frames have digests, by which ranges of its parts can be proven."""
    return all(part.frame_digests for part in index.parts)


def write_files(
    storage: Storage,
    folder: str,
    index: BackupIndex,
    wanted: Mapping[str, IndexedFile],
    places: Layout,
    *,
    workers: int,
    advance: Advance,
) -> None:
    """Write the wanted files of the backup whose partitions are in `folder`, over what is there.

    Raises CorruptError for stored content that is not what the index says, and PitrError when a
    file cannot be written. The first error ends all workers.
    """
    _check_paths(index)
    writer = FileWriter(lambda file: places.locate(split_path(file.path)))

    def write(span: Span, advance: Advance) -> None:
        for file, offset, data in _pieces(storage, folder, span, index.algorithm):
            with _reported(places, file):
                writer.write(file, offset, data)
            advance(len(data))

    try:
        for file in wanted.values():
            if not file.size:
                with _reported(places, file):
                    writer.create_empty(file)
        spans = plan_spans(
            index, wanted, workers=workers, sequential=_is_sequential(storage, folder, index)
        )
        run_all(write, spans, workers=workers, advance=advance)
    finally:
        writer.close()
    lacking = wanted.keys() - writer.complete
    if lacking:
        raise CorruptError(f'the partitions of the backup end before "{min(lacking)}" does')


def make_directories(storage: Storage, folder: str, index: BackupIndex, places: Layout) -> None:
    """Make the backup's directories, with the modes that its first partition tells."""
    modes = _directory_modes(storage, folder, index)
    for path in index.directories:
        place = places.locate(split_path(path))
        try:
            tree.make_directory(place, modes.get(path, 0o700))
        except OSError as error:
            raise _unwritable(place, error) from None


def _directory_modes(storage: Storage, folder: str, index: BackupIndex) -> dict[str, int]:
    """They are the first members of one of the partitions, and nothing else tells their modes."""
    named = [part.name for part in index.parts if part.name.startswith("part_001.")]
    key = folder + named[0]
    chunks = decode(storage.get(key), extension=layout.extension_of(key), name=key)
    members = (member for member, _ in read_members(chunks, name=key))
    return {
        "/".join(split_path(member.name)): member.mode
        for member in takewhile(_is_directory, members)
    }


def _is_directory(member: TarMember) -> bool:
    return member.is_directory


def _is_sequential(storage: Storage, folder: str, index: BackupIndex) -> bool:
    return isinstance(storage, Sequential) and storage.is_sequential(folder + index.parts[0].name)


def _check_paths(index: BackupIndex) -> None:
    """Raise CorruptError for files that lead elsewhere or contradict each other."""
    members = Members()
    for path in index.directories:
        members.add("/".join(split_path(path)), is_directory=True)
    for file in index.files:
        parts = split_path(file.path)
        if not parts:
            raise CorruptError("the backup's index holds a file without a name")
        members.add("/".join(parts), is_directory=False)


def _pieces(
    storage: Storage, folder: str, span: Span, algorithm: Algorithm
) -> Iterator[tuple[IndexedFile, int, memoryview]]:
    """What a span has of its files: the file, the offset in it, and the bytes."""
    files = iter(span.files)
    file = next(files)
    for position, data in read_frames(storage, folder + span.part, span.frames, algorithm):
        end = position + len(data)
        while file.offset < end:
            start = max(file.offset, position)
            stop = min(file.offset + file.size, end)
            if start < stop:
                yield file, start - file.offset, data[start - position : stop - position]
            if file.offset + file.size > end:
                break
            following = next(files, None)
            if following is None:
                break
            file = following


@contextmanager
def _reported(places: Layout, file: IndexedFile) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unwritable(places.locate(split_path(file.path)), error) from None


def _unwritable(place: tree.Place, error: OSError) -> PitrError:
    return PitrError(
        f"cannot write {place.path}: {error.strerror}",
        hint="What was restored so far cannot be started; make room or mend what is in the way, "
        "and run the same command again with --resume.",
    )
