"""A page that fails its checksum is read again, and counts only if WAL does not mend it."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_core.backup.pages import (
    PageLayout,
    SuspectPage,
    fill,
    is_mended_by_wal,
    suspect_pages,
)
from backup_core.backup.partition import Partition
from backup_core.backup.upload import PartReport, UploadOptions, partition_stream
from backup_core.postgres.datadir import DataFile
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.page import BadPage
from backup_core.stream.compress import decode
from backup_core.stream.tar import read_members
from tests.support.pages import BLOCK, LSN, page

PAGES = PageLayout(block_size=BLOCK, segment_blocks=131072)
START, STOP = Lsn.parse("0/2000028"), Lsn.parse("0/2000100")


def suspect(lsn: int) -> SuspectPage:
    return SuspectPage(path="base/1/1259", block=0, lsn=lsn)


def torn(block: int) -> bytes:
    """A page of which one half is of the next version."""
    return bytes(page(b"old", block)[: BLOCK // 2] + page(b"new", block)[BLOCK // 2 :])


@pytest.fixture
def relation(tmp_path: Path) -> Path:
    """A relation of three pages, the second of them torn."""
    path = tmp_path / "1259"
    path.write_bytes(bytes(page(b"a", 0)) + torn(1) + bytes(page(b"c", 2)))
    return path


@pytest.fixture
def opened(relation: Path) -> Iterator[int]:
    """The relation, open for reading."""
    descriptor = os.open(relation, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


class TestMendedByWal:
    """WAL replay writes anew each page that changed during the backup."""

    @pytest.mark.parametrize(
        ("lsn", "mended"),
        [
            (START - 1, False),
            (START, True),
            (STOP, True),
            (STOP + 1, False),
            (0, False),
            (2**64 - 1, False),
        ],
    )
    def test_only_a_position_within_the_backup_is_mended(self, lsn: int, mended: bool) -> None:
        """One outside may be part of the damage."""
        assert is_mended_by_wal(suspect(lsn), START, STOP) is mended


class TestReadAgain:
    """The server may be writing a page while it is read."""

    def test_a_page_that_stays_torn_is_suspect(self, relation: Path, opened: int) -> None:
        """It is named by its block and the LSN in its header, and kept as it is."""
        data = bytearray(relation.read_bytes())
        found = list(suspect_pages(opened, memoryview(data), 0, 0, PAGES))
        assert found == [BadPage(block=1, lsn=LSN)]
        assert data == relation.read_bytes()

    def test_a_page_that_becomes_whole_replaces_the_torn_one(
        self, relation: Path, opened: int
    ) -> None:
        """A writer ends its work between two of the reads."""
        data = bytearray(relation.read_bytes())
        whole = bytes(page(b"new", 1))
        with relation.open("r+b", buffering=0) as file:
            writer = threading.Timer(0.02, os.pwrite, (file.fileno(), whole, BLOCK))
            writer.start()
            assert list(suspect_pages(opened, memoryview(data), 0, 0, PAGES)) == []
            writer.join()
        assert data == bytes(page(b"a", 0)) + whole + bytes(page(b"c", 2))

    def test_what_follows_the_last_whole_page_is_passed_over(
        self, relation: Path, opened: int
    ) -> None:
        """A file that is being extended may end in the middle of a page."""
        data = bytearray(relation.read_bytes()[:BLOCK] + torn(1)[:100])
        assert list(suspect_pages(opened, memoryview(data), 0, 0, PAGES)) == []

    def test_the_block_number_counts_from_the_first(self, relation: Path, opened: int) -> None:
        """The checksum covers it, so reading at an offset needs it."""
        data = bytearray(relation.read_bytes()[2 * BLOCK :])
        assert list(suspect_pages(opened, memoryview(data), 2 * BLOCK, 2, PAGES)) == []

    def test_a_page_that_was_cut_off_meanwhile_stays_suspect(
        self, relation: Path, opened: int
    ) -> None:
        """A truncated relation leaves nothing to read again."""
        data = bytearray(relation.read_bytes())
        os.truncate(relation, BLOCK)
        found = list(suspect_pages(opened, memoryview(data), 0, 0, PAGES))
        assert [bad.block for bad in found] == [1]

    def test_filling_stops_at_the_end_of_the_file(self, opened: int) -> None:
        """And tells how far it came."""
        buffer = memoryview(bytearray(4 * BLOCK))
        assert fill(opened, buffer, BLOCK) == 2 * BLOCK
        assert bytes(buffer[:BLOCK]) == torn(1)


class TestWhileUploading:
    """Checksums are verified on the way, on the bytes that are stored."""

    def upload(self, relation: Path, path: str, pages: PageLayout | None) -> PartReport:
        """Stream the relation as a partition of one file."""
        status = relation.stat()
        file = DataFile(
            path=path, source=str(relation), size=status.st_size, mode=0o600, mtime=0, uid=0, gid=0
        )
        report = PartReport(name="part_001.tar")
        options = UploadOptions(method="none", level=0, pages=pages, checkpoint=lambda _: None)
        stream = partition_stream(Partition(name="part_001", files=(file,)), (), options, report)
        chunks = decode(stream, extension="", name=report.name)
        [content] = [b"".join(data) for _, data in read_members(chunks, name=report.name)]
        assert content == relation.read_bytes()
        return report

    def test_a_suspect_page_is_reported_with_its_path(self, relation: Path) -> None:
        """And stored all the same."""
        report = self.upload(relation, "base/1/1259", PAGES)
        assert report.suspects == [SuspectPage(path="base/1/1259", block=1, lsn=LSN)]

    def test_blocks_of_a_later_segment_have_higher_numbers(self, relation: Path) -> None:
        """Here each page is wrong for its place but the one that is torn for the first segment."""
        report = self.upload(relation, "base/1/1259.2", PAGES)
        assert [one.block for one in report.suspects] == [262144, 262145, 262146]

    @pytest.mark.parametrize(("path", "pages"), [("PG_VERSION", PAGES), ("base/1/1259", None)])
    def test_what_has_no_checksums_is_not_verified(
        self, path: str, pages: PageLayout | None, relation: Path
    ) -> None:
        """Other files, and clusters without data checksums."""
        assert self.upload(relation, path, pages).suspects == []
