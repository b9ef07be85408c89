"""One tar partition on its way to the store: every byte is read once.

read -> page checksums -> file digest -> tar -> compress -> object digest, pulled by the store. The
stages do their work in C without the interpreter's lock, so threads suffice. Frames are compressed
independently of each other, so that one large file keeps several processors busy; a codec that has
one frame an object compresses a partition in one thread. What is learned on the way is collected in
a PartReport; a stream that is built again starts a fresh one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from backup_core.backup.pages import PageLayout, SuspectPage, fill, suspect_pages
from backup_core.backup.partition import Partition
from backup_core.errors import PitrError
from backup_core.postgres.datadir import DataDirectory, DataFile
from backup_core.postgres.page import relation_segment
from backup_core.repository.index import IndexedFile, IndexedPart
from backup_core.stream import tar
from backup_core.stream.chunks import CHUNK_SIZE
from backup_core.stream.compress import FRAMED, compress, encode

FRAME_SIZE = 4 << 20

_Compress = Callable[[bytearray], tuple[int, bytes]]


@dataclass(frozen=True, kw_only=True)
class UploadOptions:
    """What all partitions share; `pages` is None where checksums are not verified.

    `checkpoint` is called with the bytes just read and may raise to abandon the partition. `each`
    does for frames what `map` does, perhaps several at once.
    """

    method: str
    level: int
    pages: PageLayout | None
    checkpoint: Callable[[int], None]
    each: Callable[[_Compress, Iterable[bytearray]], Iterator[tuple[int, bytes]]] = map


@dataclass(kw_only=True)
class PartReport:
    """What became of a partition, complete once its stream is exhausted; `name` is its object's."""

    name: str
    files: list[IndexedFile] = field(default_factory=list)
    suspects: list[SuspectPage] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    frames: list[tuple[int, int]] = field(default_factory=list)
    tar_size: int = 0
    stored_size: int = 0
    sha256: str = ""

    def indexed(self) -> IndexedPart:
        """The partition's entry in the index."""
        return IndexedPart(
            name=self.name,
            stored_size=self.stored_size,
            tar_size=self.tar_size,
            sha256=self.sha256,
            frames=tuple(self.frames),
        )


def partition_stream(
    partition: Partition,
    directories: tuple[DataDirectory, ...],
    options: UploadOptions,
    report: PartReport,
) -> Iterator[bytes]:
    """Yield the compressed tar of `directories` and the partition's files, filling `report`."""
    return compressed_tar(_members(partition, directories, options, report), options, report)


def text_stream(
    members: Mapping[str, bytes], options: UploadOptions, report: PartReport
) -> Iterator[bytes]:
    """Yield the compressed tar of small files that are at hand, by their names in it."""
    return compressed_tar(_small_members(members, report), options, report)


def compressed_tar(
    pieces: Iterator[bytes | memoryview], options: UploadOptions, report: PartReport
) -> Iterator[bytes]:
    """Compress tar pieces, in frames of about 4 MiB where the codec allows, filling `report`."""
    compressed = _in_frames if options.method in FRAMED else _in_one_frame
    digest = hashlib.sha256()
    for data in compressed(_counted(pieces, report), options, report):
        digest.update(data)
        report.stored_size += len(data)
        yield data
    report.sha256 = digest.hexdigest()


def _in_frames(
    pieces: Iterable[bytes | memoryview], options: UploadOptions, report: PartReport
) -> Iterator[bytes]:
    def compressed(frame: bytearray) -> tuple[int, bytes]:
        return len(frame), compress(frame, method=options.method, level=options.level)

    start = 0
    for size, data in options.each(compressed, _frames(pieces)):
        report.frames.append((report.stored_size, start))
        start += size
        yield data


def _in_one_frame(
    pieces: Iterable[bytes | memoryview], options: UploadOptions, report: PartReport
) -> Iterator[bytes]:
    report.frames.append((0, 0))
    return encode(pieces, method=options.method, level=options.level)


def _counted(
    pieces: Iterable[bytes | memoryview], report: PartReport
) -> Iterator[bytes | memoryview]:
    for piece in pieces:
        report.tar_size += len(piece)
        yield piece


def _frames(pieces: Iterable[bytes | memoryview]) -> Iterator[bytearray]:
    """Copy the pieces together, for they share a buffer; each frame is a fresh one."""
    frame = bytearray()
    for piece in pieces:
        frame += piece
        if len(frame) >= FRAME_SIZE:
            yield frame
            frame = bytearray()
    if frame:
        yield frame


def _members(
    partition: Partition,
    directories: tuple[DataDirectory, ...],
    options: UploadOptions,
    report: PartReport,
) -> Iterator[bytes | memoryview]:
    for directory in directories:
        yield tar.header(
            tar.TarMember(
                name=f"/{directory.path}",
                mode=directory.mode,
                mtime=directory.mtime,
                uid=directory.uid,
                gid=directory.gid,
                is_directory=True,
            )
        )
    buffer = memoryview(bytearray(CHUNK_SIZE))
    for file in partition.files:
        yield from _file(file, buffer, options, report)
    yield tar.END_OF_ARCHIVE


def _small_members(members: Mapping[str, bytes], report: PartReport) -> Iterator[bytes]:
    for name, content in members.items():
        member = tar.TarMember(name=name, size=len(content))
        yield tar.header(member)
        report.files.append(
            IndexedFile(
                path=name.lstrip("/"),
                part=report.name,
                offset=report.tar_size,
                size=member.size,
                mode=member.mode,
                mtime=member.mtime,
                sha256=hashlib.sha256(content).hexdigest(),
            )
        )
        yield content + tar.padding(len(content))
    yield tar.END_OF_ARCHIVE


def _file(
    file: DataFile, buffer: memoryview, options: UploadOptions, report: PartReport
) -> Iterator[bytes | memoryview]:
    try:
        descriptor = os.open(file.source, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        report.vanished.append(file.path)
        return
    except OSError as error:
        raise _unreadable(file, error) from None
    try:
        size = os.fstat(descriptor).st_size
        if size > CHUNK_SIZE:
            os.posix_fadvise(descriptor, 0, size, os.POSIX_FADV_SEQUENTIAL)
        yield tar.header(
            tar.TarMember(
                name=f"/{file.path}",
                size=size,
                mode=file.mode,
                mtime=file.mtime,
                uid=file.uid,
                gid=file.gid,
            )
        )
        offset = report.tar_size
        digest = hashlib.sha256()
        for piece in _content(file, descriptor, size, buffer, options, report):
            digest.update(piece)
            options.checkpoint(len(piece))
            yield piece
        yield tar.padding(size)
    except OSError as error:
        raise _unreadable(file, error) from None
    finally:
        os.close(descriptor)
    report.files.append(
        IndexedFile(
            path=file.path,
            part=report.name,
            offset=offset,
            size=size,
            mode=file.mode,
            mtime=file.mtime,
            sha256=digest.hexdigest(),
        )
    )


def _content(
    file: DataFile,
    descriptor: int,
    size: int,
    buffer: memoryview,
    options: UploadOptions,
    report: PartReport,
) -> Iterator[memoryview]:
    """Yield exactly `size` bytes: what grew is cut, what shrank is filled with zeros.

    WAL replay redoes both the growth and the truncation.
    """
    segment = relation_segment(file.path) if options.pages else None
    offset = 0
    while offset < size:
        piece = buffer[: min(len(buffer), size - offset)]
        filled = fill(descriptor, piece, offset)
        piece[filled:] = bytes(len(piece) - filled)
        if segment is not None and options.pages is not None:
            first = segment * options.pages.segment_blocks + offset // options.pages.block_size
            found = suspect_pages(descriptor, piece[:filled], offset, first, options.pages)
            report.suspects.extend(
                SuspectPage(path=file.path, block=bad.block, lsn=bad.lsn) for bad in found
            )
        yield piece
        offset += len(piece)


def _unreadable(file: DataFile, error: OSError) -> PitrError:
    return PitrError(
        f"cannot read {file.source}: {error.strerror}",
        hint="Run as the user that owns the data directory. An I/O error means failing storage: "
        "keep the older backups.",
    )
