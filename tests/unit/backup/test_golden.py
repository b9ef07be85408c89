"""Every byte of a backup that stock wal-g looks at, for one small data directory.

A change that fails here needs the interop suite (tests/integration/test_interop_walg.py) before the
expected bytes are changed too.
"""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backup_core.backup.copy import Copy
from backup_core.backup.options import Progress, PushOptions
from backup_core.postgres.control import parse_control
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.server import BackupEnd, Server
from backup_core.repository import layout
from backup_core.repository.sentinel import Backup, Tablespace, render_sentinel
from backup_core.storage.memory import MemoryStorage
from backup_core.stream.compress import EXTENSIONS, FRAMED, compress, decode
from tests.unit.postgres.test_control import control_file

SEGMENT = "000000010000000000000002"
NAME = f"base_{SEGMENT}"
ENDINGS = {"zstd": ".zst", "lz4": ".lz4", "brotli": ".br", "lzma": ".lzma", "none": ""}
SYSTEM = 7300000000000000001
MTIME = 1_700_000_000
START = datetime(2026, 11, 22, 12, 0, 0, 5, tzinfo=UTC)
FINISH = datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC)
CONTROL = control_file(system_identifier=SYSTEM)
LABEL = "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n"
FILES = {"PG_VERSION": b"17\n", "base/1/1259": b"\1" * 8192}


class EndingServer(Server):
    """What a server says at the end of a backup, always in the same words."""

    def __init__(self) -> None:
        """Connect to nothing."""
        self.version = 170002

    def ping(self) -> None:
        """It is alive."""

    def stop_backup(self) -> BackupEnd:
        """No tablespaces: the map is empty, and stored nevertheless."""
        return BackupEnd(
            stop_lsn=Lsn(0x2000100),
            stop_time=FINISH,
            first_segment=SEGMENT,
            label=LABEL,
            tablespace_map="",
        )


def data_directory(path: Path) -> Path:
    """Two files and pg_control, all with one time and owner."""
    for name, content in (FILES | {"global/pg_control": CONTROL}).items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o600)
    for entry in [path, *path.rglob("*")]:
        if entry.is_dir():
            entry.chmod(0o700)
        os.utime(entry, (MTIME, MTIME))
    return path


def backed_up(directory: Path, method: str = "none", user_data: object = None) -> MemoryStorage:
    """A backup of the directory, without its sentinel."""
    storage = MemoryStorage()
    copy = Copy(
        *(storage, EndingServer(), directory, parse_control(CONTROL, path="pg_control"), NAME),
        PushOptions(method=method, workers=1, alive_interval=None, user_data=user_data),
        Progress(),
        lambda: None,
    )
    end = copy.run()
    described = copy.describe(Lsn(0x2000028), end, 1, START, {})
    backup = replace(described, hostname="db1", data_dir="/srv/pg")
    copy.write_documents(backup, {})
    storage.put(layout.sentinel(NAME), [render_sentinel(backup)])
    return storage


def stored(storage: MemoryStorage, key: str) -> bytes:
    """An object's content."""
    return b"".join(map(bytes, storage.get(key)))


@pytest.fixture
def repository(tmp_path: Path) -> MemoryStorage:
    """The backup, its partitions not compressed."""
    return backed_up(data_directory(tmp_path / "data"))


def header(
    name: str, *, size: int = 0, mode: int = 0o600, mtime: int = 0, kind: str = "0"
) -> bytes:
    """A ustar header, field by field (POSIX.1-1988)."""
    user = os.getuid() if mtime else 0
    group = os.getgid() if mtime else 0
    fields = [
        name.encode().ljust(100, b"\0"),
        *(b"%07o\0" % number for number in (mode, user, group)),
        *(b"%011o\0" % number for number in (size, mtime)),
        b" " * 8,
        kind.encode().ljust(101, b"\0"),
        b"ustar\x0000".ljust(255, b"\0"),
    ]
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def member(name: str, content: bytes, *, mtime: int = 0) -> bytes:
    """A regular file in a tar."""
    return header(name, size=len(content), mtime=mtime) + content + bytes(-len(content) % 512)


def directory(name: str) -> bytes:
    """A directory in a tar."""
    return header(name, mode=0o700, mtime=MTIME, kind="5")


END = bytes(1024)
PARTS = {
    "part_001": b"".join(
        [
            *(directory(name) for name in ("/", "/base/", "/base/1/", "/global/")),
            member("/PG_VERSION", FILES["PG_VERSION"], mtime=MTIME),
            member("/base/1/1259", FILES["base/1/1259"], mtime=MTIME),
            END,
        ]
    ),
    "pg_control": member("/global/pg_control", CONTROL) + END,
    "backup_label": member("backup_label", LABEL.encode()) + member("tablespace_map", b"") + END,
}
SENTINEL = (
    '{"LSN": 33554472, "PgVersion": 170002, "FinishLSN": 33554688, '
    '"SystemIdentifier": 7300000000000000001, "UncompressedSize": 16449, '
    '"CompressedSize": %d, "DataCatalogSize": %d%s, "ChkpNum": null, "Version": 2, '
    '"StartTime": "2026-11-22T12:00:00.000005Z", "FinishTime": "2026-11-22T12:00:01Z", '
    '"DateFmt": "%%Y-%%m-%%dT%%H:%%M:%%S.%%fZ", "Hostname": "db1", "DataDir": "/srv/pg", '
    '"IsPermanent": false}'
)


def test_the_names_of_all_objects(repository: MemoryStorage) -> None:
    """wal-g lists folders and takes the names apart; without compression there is no last dot."""
    folder = f"basebackups_005/{NAME}"
    assert sorted(info.key for info in repository.list("")) == [
        f"{folder}/backup_manifest",
        f"{folder}/files_metadata.json",
        f"{folder}/index.json.zst",
        f"{folder}/metadata.json",
        f"{folder}/started.json",
        f"{folder}/tar_partitions/backup_label.tar",
        f"{folder}/tar_partitions/part_001.tar",
        f"{folder}/tar_partitions/pg_control.tar",
        f"{folder}_backup_stop_sentinel.json",
    ]


@pytest.mark.parametrize(("method", "ending"), ENDINGS.items())
def test_the_names_of_what_a_codec_wrote(method: str, ending: str) -> None:
    """Of partitions, and of WAL, timelines' and backups' histories."""
    extension = EXTENSIONS[method]
    folder = f"basebackups_005/{NAME}/tar_partitions"
    assert layout.partition(NAME, "part_001", extension) == f"{folder}/part_001.tar{ending}"
    for name in (SEGMENT, "00000002.history", f"{SEGMENT}.00000028.backup", f"{SEGMENT}.partial"):
        assert layout.wal(name, extension) == f"wal_005/{name}{ending}"


@pytest.mark.parametrize("part", PARTS)
def test_a_partition_is_headers_data_and_two_empty_blocks(
    repository: MemoryStorage, part: str
) -> None:
    """wal-g refuses bytes after the end; pg_control is on its own, the label has no slash."""
    assert stored(repository, f"basebackups_005/{NAME}/tar_partitions/{part}.tar") == PARTS[part]


def test_a_header_byte_for_byte() -> None:
    """The helper above writes what the format says: offsets, widths, checksum."""
    block = header("/base/1/1259", size=8192)
    assert len(block) == 512
    assert block[:13] == b"/base/1/1259\0"
    assert block[100:156] == (
        b"0000600\x000000000\x000000000\x0000000020000\x0000000000000\x00007401\x00 "
    )
    assert block[156:265] == b"0".ljust(101, b"\0") + b"ustar\x0000"


@pytest.mark.parametrize("method", EXTENSIONS)
def test_every_partition_is_one_object_of_the_codec(tmp_path: Path, method: str) -> None:
    """Of one frame where wal-g reads no second, and of the same tar in each."""
    storage = backed_up(data_directory(tmp_path / "data"), method)
    extension = EXTENSIONS[method]
    for part, expected in PARTS.items():
        data = stored(storage, layout.partition(NAME, part, extension))
        assert b"".join(decode([data], extension=extension, name=part)) == expected
        assert method in FRAMED or data == compress(expected, method=method, level=3)


def test_the_sentinel(repository: MemoryStorage) -> None:
    """Its keys in wal-g's order, LSNs and the identifier as integers, no Spec, no DeltaFrom."""
    size = sum(map(len, PARTS.values()))
    catalog = len(FILES["PG_VERSION"]) + len(FILES["base/1/1259"])
    document = stored(repository, f"basebackups_005/{NAME}_backup_stop_sentinel.json")
    assert document.decode() == SENTINEL % (size, catalog, "")


def test_the_sentinel_of_tablespaces_and_user_data() -> None:
    """The Spec names each tablespace twice: in the list as text, and by it."""
    document = render_sentinel(
        replace(
            DESCRIBED,
            tablespaces=(Tablespace(oid=16451, location="/fast"),),
            user_data={"who": ["me"]},
        )
    )
    more = (
        ', "Spec": {"base_prefix": "/srv/pg", "tablespaces": ["16451"], '
        '"16451": {"loc": "/fast", "link": "pg_tblspc/16451"}}, "UserData": {"who": ["me"]}'
    )
    assert document.decode() == SENTINEL % (1, 2, more)


DESCRIBED = Backup(
    name=NAME,
    timeline=1,
    start_lsn=Lsn(0x2000028),
    finish_lsn=Lsn(0x2000100),
    start_time=START,
    finish_time=FINISH,
    pg_version=170002,
    system_identifier=SYSTEM,
    hostname="db1",
    data_dir="/srv/pg",
    uncompressed_size=16449,
    compressed_size=1,
    data_catalog_size=2,
)


def test_metadata_json(repository: MemoryStorage) -> None:
    """What wal-g lists, marks, deletes and builds deltas by."""
    size = sum(map(len, PARTS.values()))
    assert stored(repository, f"basebackups_005/{NAME}/metadata.json").decode() == (
        '{"start_time": "2026-11-22T12:00:00.000005Z", "finish_time": "2026-11-22T12:00:01Z", '
        '"date_fmt": "%Y-%m-%dT%H:%M:%S.%fZ", "hostname": "db1", "data_dir": "/srv/pg", '
        '"pg_version": 170002, "start_lsn": 33554472, "finish_lsn": 33554688, '
        '"is_permanent": false, "system_identifier": 7300000000000000001, '
        f'"uncompressed_size": 16449, "compressed_size": {size}}}'
    )


def test_files_metadata_json(repository: MemoryStorage) -> None:
    """wal-g restores a file only if its name is here exactly as in the tar."""
    whole = '"IsIncremented": false, "IsSkipped": false, "MTime": '
    old = f'{{{whole}"1970-01-01T00:00:00Z", "UpdatesCount": 0}}'
    dated = f'{{{whole}"2023-11-14T22:13:20Z", "UpdatesCount": 0}}'
    assert stored(repository, f"basebackups_005/{NAME}/files_metadata.json").decode() == (
        f'{{"Files": {{"/": {old},\n"/base": {old},\n"/base/1": {old},\n"/global": {old},\n'
        f'"/PG_VERSION": {dated},\n"/base/1/1259": {dated}}}, '
        '"TarFileSets": {"part_001.tar": ["/PG_VERSION", "/base/1/1259"],\n'
        '"backup_label.tar": ["tablespace_map", "backup_label"]}, "DatabasesByNames": {}}'
    )
