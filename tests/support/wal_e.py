"""WAL-E's archives: those it wrote itself, and base backups put together as it does.

Its own are of one partition and without tablespaces, so what it does with more is done here again:
partitions of PAX tar in lzop files, pg_wal as an empty directory or as the link that it is, no
configuration, and a tablespace's files below pg_tblspc.
"""

import csv
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.unit.stream.samples import lzop_file

ARCHIVES = Path(__file__).parents[1] / "fixtures" / "wal-e-archives"
BACKUP = "base_00000001000000000000000B_00000040"
LZOP_BLOCK = 256 << 10
EMPTIED = ("pg_wal", "pg_xlog", "pg_log", "pg_replslot")
EXCLUDED = (
    *("postmaster.pid", "postmaster.opts", "postgresql.conf", "pg_hba.conf", "pg_ident.conf"),
    *("recovery.conf", "recovery.done", "promote"),
)

Member = tuple[tarfile.TarInfo, bytes]


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A prefix that WAL-E wrote, with what is known of it."""

    prefix: Path
    base: tuple[Mapping[str, str], ...]
    wal: tuple[Mapping[str, str], ...]


def open_archive(kind: str) -> Archive:
    """The archive of this kind, `plain` or `gpg`; it must not be changed."""
    directory = ARCHIVES / kind
    return Archive(
        prefix=directory / "archive",
        base=tuple(_rows(directory / "manifest-basebackup.tsv")),
        wal=tuple(_rows(directory / "manifest-wal.tsv")),
    )


def _rows(path: Path) -> Iterator[Mapping[str, str]]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file, delimiter="\t")


def partition(members: Sequence[Member]) -> bytes:
    """A partition of these members, as an lzop file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    data = buffer.getvalue()
    blocks = (data[start : start + LZOP_BLOCK] for start in range(0, len(data), LZOP_BLOCK))
    return lzop_file(*blocks)


def store(
    repository: Path,
    parts: Sequence[Sequence[Member]],
    *,
    name: str = BACKUP,
    stop: tuple[str, str] = ("00000001000000000000000B", "00000256"),
    version: str = "PostgreSQL 14.1 on x86_64-pc-linux-gnu, compiled by gcc, 64-bit",
    tablespaces: Mapping[int, Path] | None = None,
) -> Path:
    """Store a base backup with these partitions; return the folder of its partitions."""
    folder = repository / "basebackups_005" / name / "tar_partitions"
    folder.mkdir(parents=True)
    (folder.parent / "extended_version.txt").write_text(version)
    for number, members in enumerate(parts):
        (folder / f"part_{number:08d}.tar.lzo").write_bytes(partition(members))
    spec: dict[str, object] = {"base_prefix": "/srv/pg/", "tablespaces": []}
    for oid, location in (tablespaces or {}).items():
        spec[str(oid)] = {"loc": f"{location}/", "link": f"pg_tblspc/{oid}"}
    spec["tablespaces"] = [str(oid) for oid in tablespaces or {}]
    sentinel = {
        "wal_segment_backup_stop": stop[0],
        "wal_segment_offset_backup_stop": stop[1],
        "expanded_size_bytes": sum(info.size for part in parts for info, _ in part),
        "spec": spec,
    }
    path = folder.parent.with_name(f"{name}_backup_stop_sentinel.json")
    path.write_text(json.dumps(sentinel))
    return folder


def split(members: Sequence[Member], count: int) -> list[Sequence[Member]]:
    """The members in so many partitions."""
    size = -(-len(members) // count)
    return [members[start : start + size] for start in range(0, len(members), size)]


def members_of(data_dir: Path, tablespaces: Mapping[int, Path] | None = None) -> list[Member]:
    """What WAL-E would store of a data directory."""
    found = [member for member in _walk(data_dir, "") if member[0].name not in EXCLUDED]
    for oid, location in (tablespaces or {}).items():
        found += [item for item in _walk(location, f"pg_tblspc/{oid}") if not item[0].isdir()]
    return found


def _walk(root: Path, prefix: str) -> Iterator[Member]:
    yield _info(root, prefix or "/"), b""
    for directory, names, files in os.walk(root):
        below = Path(directory).relative_to(root).as_posix()
        base = "/".join(part for part in (prefix, below) if part not in ("", "."))
        links = [name for name in names if (Path(directory) / name).is_symlink()]
        for name in names:
            if name not in links or (name in EMPTIED and base == prefix):
                yield _info(Path(directory) / name, f"{base}/{name}".lstrip("/")), b""
        names[:] = [name for name in names if name not in links and (base or name not in EMPTIED)]
        for name in files:
            path = Path(directory) / name
            yield _info(path, f"{base}/{name}".lstrip("/")), path.read_bytes()


def _info(path: Path, name: str) -> tarfile.TarInfo:
    with tarfile.open(fileobj=io.BytesIO(), mode="w") as tar:
        info = tar.gettarinfo(path)
    info.name = name
    return info
