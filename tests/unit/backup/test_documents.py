"""The documents beside the partitions say what wal-g and pg_verifybackup look for."""

import json
from dataclasses import replace

from backup_core.backup.documents import corrupt_pages_document, files_metadata, manifest
from backup_core.postgres.manifest import Manifest, parse_manifest
from backup_core.repository.index import BackupIndex, IndexedFile
from backup_core.repository.sentinel import Backup
from backup_core.stream.digest import WRITTEN
from tests.support.backups import BACKUP

PART = "part_001.tar.zst"
LABEL_PART = "backup_label.tar.zst"
MTIME = 1_700_000_000
WHEN = "2023-11-14T22:13:20Z"


def indexed(path: str, part: str = PART, *, size: int = 10) -> IndexedFile:
    return IndexedFile(
        path=path, part=part, offset=512, size=size, mode=0o600, mtime=MTIME, digest="ab" * 32
    )


INDEX = BackupIndex(
    wal_segment_size=16 << 20,
    algorithm=WRITTEN,
    files=(
        indexed("PG_VERSION"),
        indexed("base/1/1259"),
        indexed("pg_tblspc/16/PG_17_1/5/1", "part_002.tar.zst"),
        indexed("global/pg_control", "pg_control.tar.zst"),
        indexed("backup_label", LABEL_PART),
        indexed("tablespace_map", LABEL_PART),
    ),
    directories=("", "base"),
    parts=(),
)


def metadata(corrupt: dict[str, list[int]] | None = None) -> dict[str, dict[str, object]]:
    document = json.loads(b"".join(files_metadata(INDEX, corrupt or {})))
    assert isinstance(document, dict)
    return document


class TestFilesMetadata:
    """wal-g restores only what is named here."""

    def test_it_has_the_three_keys_of_wal_g(self) -> None:
        """The last, for partial restores, stays empty."""
        document = metadata()
        assert list(document) == ["Files", "TarFileSets", "DatabasesByNames"]
        assert document["DatabasesByNames"] == {}

    def test_files_and_directories_are_named_as_in_the_tar(self) -> None:
        """With a leading slash; what wal-g extracts without being told is not named."""
        assert list(metadata()["Files"]) == [
            "/",
            "/base",
            "/PG_VERSION",
            "/base/1/1259",
            "/pg_tblspc/16/PG_17_1/5/1",
        ]

    def test_each_file_is_whole_and_has_its_time(self) -> None:
        """Nothing is incremental or skipped."""
        assert metadata()["Files"]["/base/1/1259"] == {
            "IsIncremented": False,
            "IsSkipped": False,
            "MTime": WHEN,
            "UpdatesCount": 0,
        }

    def test_corrupt_blocks_are_counted_and_ten_are_listed(self) -> None:
        """wal-g lists no more by default; other files have no such key."""
        files = metadata({"base/1/1259": list(range(5, 25))})["Files"]
        entry = files["/base/1/1259"]
        assert isinstance(entry, dict)
        assert entry["CorruptBlocks"] == {
            "CorruptBlocksCount": 20,
            "SomeCorruptBlocks": list(range(5, 15)),
        }
        assert [name for name, one in files.items() if "CorruptBlocks" in str(one)] == [
            "/base/1/1259"
        ]

    def test_each_part_lists_its_members(self) -> None:
        """The label's with the two names that wal-g gives it, pg_control's not at all."""
        assert metadata()["TarFileSets"] == {
            PART: ["/PG_VERSION", "/base/1/1259"],
            "part_002.tar.zst": ["/pg_tblspc/16/PG_17_1/5/1"],
            LABEL_PART: ["tablespace_map", "backup_label"],
        }

    def test_odd_names_are_escaped(self) -> None:
        """Quotes, line feeds and letters of any alphabet."""
        names = ['a"b', "two\nlines", "größe", "back\\slash"]
        index = replace(INDEX, files=tuple(map(indexed, names)), directories=())
        document = json.loads(b"".join(files_metadata(index, {})))
        assert list(document["Files"]) == [f"/{name}" for name in names]

    def test_an_empty_backup_is_valid_json(self) -> None:
        """No comma is left over."""
        index = replace(INDEX, files=(), directories=())
        document = json.loads(b"".join(files_metadata(index, {})))
        assert document == {"Files": {}, "TarFileSets": {}, "DatabasesByNames": {}}


def manifest_of(index: BackupIndex, backup: Backup = BACKUP) -> Manifest:
    """The manifest, for checksums that count up from 1."""
    checksums = range(1, len(index.files) + 1)
    return parse_manifest(b"".join(manifest(index, checksums, backup)))


class TestManifest:
    """PostgreSQL's own description of the restored directory."""

    def test_it_names_every_file_with_size_and_checksum(self) -> None:
        """pg_control and the label included, relative to the data directory."""
        read = manifest_of(INDEX)
        assert [(one.path, one.size, one.checksum) for one in read.files] == [
            (file.path, file.size, f"0{number}000000")
            for number, file in enumerate(INDEX.files, start=1)
        ]
        assert {one.algorithm for one in read.files} == {"CRC32C"}
        assert {int(one.modified.timestamp()) for one in read.files} == {MTIME}

    def test_it_has_the_backups_own_range_of_wal(self) -> None:
        """On the backup's timeline, to its end, exclusive."""
        [wal] = manifest_of(INDEX, replace(BACKUP, timeline=3)).ranges
        assert (wal.timeline, wal.start, wal.end) == (3, BACKUP.start_lsn, BACKUP.finish_lsn)

    def test_an_empty_tablespace_map_is_left_out(self) -> None:
        """It is stored for wal-g but never restored, so pg_verifybackup would miss it."""
        index = replace(INDEX, files=(indexed("a"), indexed("tablespace_map", size=0)))
        read = manifest_of(index)
        assert [one.path for one in read.files] == ["a"]

    def test_the_system_identifier_is_there_since_17(self) -> None:
        """Servers before do not read a manifest that has it."""
        old = replace(BACKUP, pg_version=160004)
        new = manifest_of(INDEX)
        assert new.system_identifier == BACKUP.system_identifier
        assert manifest_of(INDEX, old).system_identifier is None


def test_corrupt_pages_are_listed_by_file() -> None:
    """All of them, unlike in wal-g's list."""
    corrupt = {"base/1/1259": list(range(20)), "base/1/1260": [7]}
    assert json.loads(corrupt_pages_document(corrupt)) == {"version": 1, "files": corrupt}
