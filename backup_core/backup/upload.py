"""One tar partition on its way to the store: every byte is read once.

read -> page checksums -> file digest -> tar -> compress -> digests of frame and object, pulled by
the store. The stages do their work in C without the interpreter's lock, so threads suffice. Frames
are compressed independently of each other, so that one large file keeps several processors busy; a
codec that has one frame an object compresses a partition in one thread. What is learned on the way
is collected in a PartReport; a stream that is built again starts a fresh one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from backup_core.backup.file_digest import FileDigest
from backup_core.backup.frames import Frame, FrameMemory, Packer
from backup_core.backup.page_cache import ColdPages
from backup_core.backup.pages import PageLayout, SuspectPage, fill, suspect_pages
from backup_core.backup.partition import Partition
from backup_core.errors import PitrError
from backup_core.postgres.datadir import DataDirectory, DataFile
from backup_core.postgres.page import relation_segment
from backup_core.repository.index import IndexedFile, IndexedPart
from backup_core.stream import tar
from backup_core.stream.chunks import CHUNK_SIZE
from backup_core.stream.compress import FRAMED, compress, encode
from backup_core.stream.digest import WRITTEN

_Compress = Callable[[Frame], "_Compressed"]


@dataclass(frozen=True, kw_only=True)
class UploadOptions:
    """What all partitions share; `pages` is None where checksums are not verified.

    `checkpoint` is called with the bytes just read and may raise to abandon the partition. `each`
    does for frames what `map` does, perhaps several at once; their memory comes from `memory`.
    """

    method: str
    level: int
    pages: PageLayout | None
    checkpoint: Callable[[int], None]
    each: Callable[[_Compress, Iterable[Frame]], Iterator[_Compressed]] = map
    memory: FrameMemory = field(default_factory=FrameMemory)


@dataclass(kw_only=True)
class PartReport:
    """What became of a partition, complete once its stream is exhausted; `name` is its object's.

    `checksums` are the CRC-32C of the files, in their order, `sha256` is the object's.
    """

    name: str
    files: list[IndexedFile] = field(default_factory=list)
    checksums: list[int] = field(default_factory=list)
    suspects: list[SuspectPage] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    frames: list[tuple[int, int]] = field(default_factory=list)
    frame_digests: list[bytes] = field(default_factory=list)
    tar_size: int = 0
    stored_size: int = 0
    sha256: str = ""

    def add(self, member: tar.TarMember, offset: int, digest: FileDigest) -> None:
        """Describe a file whose content, of this digest, begins at the offset in the tar."""
        self.files.append(
            IndexedFile(
                path=member.name.strip("/"),
                part=self.name,
                offset=offset,
                size=member.size,
                mode=member.mode,
                mtime=member.mtime,
                digest=digest.hexdigest(),
            )
        )
        self.checksums.append(digest.checksum)

    def indexed(self) -> IndexedPart:
        """The partition's entry in the index."""
        return IndexedPart(
            name=self.name,
            stored_size=self.stored_size,
            tar_size=self.tar_size,
            sha256=self.sha256,
            frames=tuple(self.frames),
            frame_digests=b"".join(self.frame_digests),
        )


@dataclass(frozen=True, kw_only=True)
class _Compressed:
    """A frame as it is stored, its digest, and the bytes of tar in it."""

    tar_size: int
    data: bytes
    digest: bytes


def partition_stream(
    partition: Partition,
    directories: tuple[DataDirectory, ...],
    options: UploadOptions,
    report: PartReport,
) -> Iterator[bytes]:
    """Yield the compressed tar of `directories` and the partition's files, filling `report`."""
    packer = Packer(options.memory)
    members = _members(partition, directories, packer, options, report)
    return _compressed(members, packer, options, report)


def text_stream(
    members: Mapping[str, bytes], options: UploadOptions, report: PartReport
) -> Iterator[bytes]:
    """Yield the compressed tar of small files that are at hand, by their names in it."""
    packer = Packer(options.memory)
    return _compressed(_small_members(members, packer, report), packer, options, report)


def _compressed(
    frames: Iterator[Frame], packer: Packer, options: UploadOptions, report: PartReport
) -> Iterator[bytes]:
    """Compress a tar, in frames of about 4 MiB where the codec allows, filling `report`."""
    compressed = _in_frames if options.method in FRAMED else _in_one_frame
    digest = hashlib.sha256()
    for data in compressed(frames, options, report):
        digest.update(data)
        report.stored_size += len(data)
        yield data
    report.sha256 = digest.hexdigest()
    report.tar_size = packer.size


def _in_frames(
    frames: Iterable[Frame], options: UploadOptions, report: PartReport
) -> Iterator[bytes]:
    def compressed(frame: Frame) -> _Compressed:
        data = compress(frame.content, method=options.method, level=options.level)
        size = frame.size
        frame.release()
        return _Compressed(tar_size=size, data=data, digest=WRITTEN.new(data).digest())

    start = 0
    for each in options.each(compressed, frames):
        report.frames.append((report.stored_size, start))
        report.frame_digests.append(each.digest)
        start += each.tar_size
        yield each.data


def _in_one_frame(
    frames: Iterable[Frame], options: UploadOptions, report: PartReport
) -> Iterator[bytes]:
    report.frames.append((0, 0))
    return encode(_used(frames), method=options.method, level=options.level)


def _used(frames: Iterable[Frame]) -> Iterator[memoryview]:
    """The content of frames, whose memory is free once the next is asked for."""
    for frame in frames:
        yield frame.content
        frame.release()


def _members(
    partition: Partition,
    directories: tuple[DataDirectory, ...],
    packer: Packer,
    options: UploadOptions,
    report: PartReport,
) -> Iterator[Frame]:
    for directory in directories:
        member = tar.TarMember(
            name=f"/{directory.path}",
            mode=directory.mode,
            mtime=directory.mtime,
            uid=directory.uid,
            gid=directory.gid,
            is_directory=True,
        )
        yield from packer.put(tar.header(member))
    for file in partition.files:
        yield from _file(file, packer, options, report)
    yield from packer.put(tar.END_OF_ARCHIVE)
    yield from packer.rest()


def _small_members(
    members: Mapping[str, bytes], packer: Packer, report: PartReport
) -> Iterator[Frame]:
    for name, content in members.items():
        member = tar.TarMember(name=name, size=len(content))
        yield from packer.put(tar.header(member))
        digest = FileDigest()
        digest.update(content)
        report.add(member, packer.size, digest)
        yield from packer.put(content + tar.padding(len(content)))
    yield from packer.put(tar.END_OF_ARCHIVE)
    yield from packer.rest()


def _file(
    file: DataFile, packer: Packer, options: UploadOptions, report: PartReport
) -> Iterator[Frame]:
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
        member = tar.TarMember(
            name=f"/{file.path}",
            size=size,
            mode=file.mode,
            mtime=file.mtime,
            uid=file.uid,
            gid=file.gid,
        )
        yield from packer.put(tar.header(member))
        offset = packer.size
        digest = FileDigest()
        yield from _content(file, descriptor, size, packer, digest.update, options, report)
        yield from packer.put(tar.padding(size))
    except OSError as error:
        raise _unreadable(file, error) from None
    finally:
        os.close(descriptor)
    report.add(member, offset, digest)


def examine(file: DataFile, options: UploadOptions, report: PartReport) -> tuple[int, str] | None:
    """Read a file as an upload would; return its size and digest, None if it vanished.

    Pages that fail their checksums go to the report.
    """
    packer = Packer(options.memory)
    digest = WRITTEN.new()
    try:
        descriptor = os.open(file.source, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(file, error) from None
    try:
        size = os.fstat(descriptor).st_size
        for frame in _content(file, descriptor, size, packer, digest.update, options, report):
            frame.release()
    except OSError as error:
        raise _unreadable(file, error) from None
    finally:
        os.close(descriptor)
    return size, digest.hexdigest()


def _content(
    file: DataFile,
    descriptor: int,
    size: int,
    packer: Packer,
    digest: Callable[[memoryview], object],
    options: UploadOptions,
    report: PartReport,
) -> Iterator[Frame]:
    """Pack exactly `size` bytes: what grew is cut, what shrank is filled with zeros.

    WAL replay redoes both the growth and the truncation.
    """
    segment = relation_segment(file.path) if options.pages else None
    cold = ColdPages(descriptor, size)
    offset = 0
    while offset < size:
        piece = packer.room(size - offset)
        filled = fill(descriptor, piece, offset)
        piece[filled:] = bytes(len(piece) - filled)
        if segment is not None and options.pages is not None:
            first = segment * options.pages.segment_blocks + offset // options.pages.block_size
            found = suspect_pages(descriptor, piece[:filled], offset, first, options.pages)
            report.suspects.extend(
                SuspectPage(path=file.path, block=bad.block, lsn=bad.lsn) for bad in found
            )
        cold.give_up(offset, offset + len(piece))
        digest(piece)
        options.checkpoint(len(piece))
        offset += len(piece)
        yield from packer.filled(len(piece))


def _unreadable(file: DataFile, error: OSError) -> PitrError:
    return PitrError(
        f"cannot read {file.source}: {error.strerror}",
        hint="Run as the user that owns the data directory. An I/O error means failing storage: "
        "keep the older backups.",
    )
