"""Tar archives as streams: headers to write, entries to read.

Headers are USTAR, and the standard library's PAX where that is too small; its file interface is not
used because it wants files, not generators. The reader takes what GNU tar, Go and Python write.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from backup_core.errors import CorruptError
from backup_core.stream.chunks import ChunkReader

BLOCK = 512
END_OF_ARCHIVE = bytes(2 * BLOCK)

_TYPES = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "link",
}
_EXTENSIONS = {
    tarfile.GNUTYPE_LONGNAME: "path",
    tarfile.GNUTYPE_LONGLINK: "linkpath",
    tarfile.XHDTYPE: "",
    tarfile.XGLTYPE: "",
}
_SPARSE = "GNU.sparse."
_MAX_EXTENSION = 1 << 20
_MOST_EXTENSIONS = 16
_MAX_DIGITS = 20
_LONGEST_NAME = 100
_USTAR = (b"0" + bytes(100) + b"ustar\x0000").ljust(BLOCK - 156, b"\0")
"""A header from the type of its member on: a regular file, without names of its owners."""
_USTAR_SUM = sum(_USTAR) + sum(b" " * 8)
"""Its part of a checksum, whose own field counts as blanks."""


@dataclass(frozen=True, kw_only=True)
class TarMember:
    """One file, directory or symbolic link; `size` in bytes, `mtime` in seconds since the epoch.

    `link` is where a symbolic link leads, and None for anything else. `offset` is where the data
    begins in an archive that was read.
    """

    name: str
    size: int = 0
    mode: int = 0o600
    mtime: int = 0
    uid: int = 0
    gid: int = 0
    is_directory: bool = False
    link: str | None = None
    offset: int = field(default=0, compare=False)


def header(member: TarMember) -> bytes:
    """The header blocks that precede a member's data."""
    return _ustar(member) or _any_header(member)


def _ustar(member: TarMember) -> bytes | None:
    """The one block of a regular file whose name and numbers fit (POSIX, pax); else None.

    Clusters have a hundred thousand of these, and tarfile takes four times as long for one.
    """
    name = member.name.encode("utf-8", "surrogateescape")
    numbers = (member.mode & 0o7777, member.uid, member.gid, member.size, member.mtime)
    fits = min(numbers) >= 0 and max(numbers[1:3]) < 8**7 and max(numbers[3:]) < 8**11
    is_file = not member.is_directory and member.link is None
    if not (is_file and fits and name.isascii() and len(name) <= _LONGEST_NAME):
        return None
    start = name.ljust(_LONGEST_NAME, b"\0") + b"%07o\0%07o\0%07o\0%011o\0%011o\0" % numbers
    return b"%b%06o\0 %b" % (start, sum(start) + _USTAR_SUM, _USTAR)


def _any_header(member: TarMember) -> bytes:
    info = tarfile.TarInfo(member.name)
    info.size = member.size
    info.mode = member.mode
    info.mtime = member.mtime
    info.uid, info.gid = member.uid, member.gid
    info.type = tarfile.DIRTYPE if member.is_directory else tarfile.REGTYPE
    if member.link is not None:
        info.type, info.linkname = tarfile.SYMTYPE, member.link
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def padding(size: int) -> bytes:
    """The zeros that fill a member of `size` bytes up to whole blocks."""
    return bytes(-size % BLOCK)


def read_members(
    chunks: Iterable[bytes], *, name: str, endless: bool = False
) -> Iterator[tuple[TarMember, Iterator[memoryview]]]:
    """Yield each member with its data, which must be used before the next member is asked for.

    Raises CorruptError naming `name` for a damaged, cut off or trailing-garbage archive, and for
    members that no data directory holds (hard links, devices). What a symbolic link means is for
    the caller to decide. An `endless` archive may lack the blocks of zeros at its end.
    """
    reader = ChunkReader(chunks, name=name)
    while not (endless and reader.is_at_end()) and (block := reader.exactly(BLOCK)).strip(b"\0"):
        member = _member(block, reader, name)
        data = reader.pieces(member.size)
        yield member, data
        for _ in data:
            pass
        reader.exactly(-member.size % BLOCK)
    for rest in reader.remainder():
        if bytes(rest).strip(b"\0"):
            raise CorruptError(f"{name} has data after the end of its tar archive")


def _member(block: bytes, reader: ChunkReader, name: str) -> TarMember:
    overrides: dict[str, str] = {}
    info = _parse(block, name)
    count = 0
    while info.type in _EXTENSIONS:
        count += 1
        if count > _MOST_EXTENSIONS:
            raise CorruptError(
                f"{name} has more than {_MOST_EXTENSIONS} extended tar headers in a row"
            )
        overrides |= _extension(info, reader, name)
        info = _parse(reader.exactly(BLOCK), name)
    kind = _TYPES.get(info.type)
    if kind is None or any(key.startswith(_SPARSE) for key in overrides):
        raise CorruptError(
            f'{name} holds "{info.name}", which is neither a file nor a directory',
            hint="Hard links, devices and sparse files are not restored from an archive.",
        )
    return TarMember(
        name=overrides.get("path", info.name).rstrip("/") or "/",
        size=_number(overrides.get("size"), info.size, name) if kind == "file" else 0,
        mode=info.mode & 0o7777,
        mtime=int(info.mtime),
        uid=info.uid,
        gid=info.gid,
        is_directory=kind == "directory",
        link=overrides.get("linkpath", info.linkname) if kind == "link" else None,
        offset=reader.position,
    )


def _parse(block: bytes, name: str) -> tarfile.TarInfo:
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise CorruptError(f"{name} has a damaged tar header: {error}") from None
    if info.size < 0:
        raise CorruptError(f'{name} has a negative size for "{info.name}"')
    return info


def _extension(info: tarfile.TarInfo, reader: ChunkReader, name: str) -> dict[str, str]:
    if info.size > _MAX_EXTENSION:
        raise CorruptError(f"{name} has an extended tar header of {info.size} bytes")
    data = reader.exactly(info.size)
    reader.exactly(-info.size % BLOCK)
    if key := _EXTENSIONS[info.type]:
        return {key: data.rstrip(b"\0").decode("utf-8", "surrogateescape")}
    return _pax_records(data, name)


def _pax_records(data: bytes, name: str) -> dict[str, str]:
    """Records are `length key=value newline`, the length counting itself (POSIX, pax)."""
    records: dict[str, str] = {}
    while data:
        length, space, _ = data[: _MAX_DIGITS + 1].partition(b" ")
        if not space or not length.isdigit() or not len(length) + 2 < int(length) <= len(data):
            raise CorruptError(f"{name} has a damaged extended tar header")
        record, data = data[len(length) + 1 : int(length)], data[int(length) :]
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise CorruptError(f"{name} has a damaged extended tar header")
        records[key.decode("utf-8", "replace")] = value[:-1].decode("utf-8", "surrogateescape")
    return records


def _number(text: str | None, default: int, name: str) -> int:
    if text is None:
        return default
    if not text.isdecimal() or len(text) > _MAX_DIGITS:
        raise CorruptError(f'{name} has a member of size "{text}"')
    return int(text)
