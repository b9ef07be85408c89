"""Page checksums, against a slow and obvious reading of checksum_impl.h and against real files."""

from __future__ import annotations

import importlib
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_core.postgres import page_numpy
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.page import BadPage, bad_pages, relation_segment
from tests.support.fixtures import MakeCluster
from tests.support.pages import BLOCK, LSN, new_page, page, page_checksum

BLOCKS = st.integers(0, 2**32 - 2)
Compute = Callable[[bytes, int, int], list[int]]

PAGES = [page(bytes([number, 255 - number, 7]), block=number) for number in range(5)]


def compiled_or_none() -> Compute | None:
    """The extension's function, if it was built here."""
    try:
        module = importlib.import_module("backup_core.postgres._pagesum")
    except ImportError:
        return None
    found: Compute = module.wrong_pages
    return found


def reference(data: bytes, first: int, size: int) -> list[int]:
    """What `tests.support.pages` says, page by page."""
    if len(data) % size:
        raise ValueError("not whole pages")
    pages = [data[at : at + size] for at in range(0, len(data), size)]
    return [
        number
        for number, item in enumerate(pages)
        if item[14:16] != b"\0\0"
        and int.from_bytes(item[8:10], "little") != page_checksum(item, (first + number) % 2**32)
    ]


COMPILED = compiled_or_none() or reference  # where it was not built, the reference stands for it


class TestChecksums:
    """What PostgreSQL would call a bad page, all others passing."""

    def test_pages_with_their_checksums_pass(self) -> None:
        """Nothing is reported of a whole buffer of good pages."""
        assert bad_pages(b"".join(PAGES), first_block=0) == []

    @given(content=st.binary(min_size=1, max_size=64), block=BLOCKS)
    def test_the_reference_agrees(self, content: bytes, block: int) -> None:
        """The vectorised checksum is the obvious one, for any content and block number."""
        good, bad = page(content, block), page(content, block)
        bad[8] ^= 1
        assert bad_pages(good, first_block=block) == []
        assert bad_pages(bad, first_block=block) == [BadPage(block=block, lsn=LSN)]

    def test_a_flipped_byte_anywhere_is_found(self) -> None:
        """Each of a page's bytes is covered, header and checksum included."""
        good = page(b"some content", block=3, size=1024)
        for position in range(len(good)):
            bad = bytearray(good)
            bad[position] ^= 0xFF
            found = bad_pages(bad, first_block=3, block_size=1024)
            assert [item.block for item in found] == [3], position

    def test_the_bad_ones_of_many_are_named(self) -> None:
        """Block numbers count from the first block of the buffer, and the LSN is the header's."""
        pages = [bytearray(item) for item in PAGES]
        pages[1][5000] ^= 1
        pages[4][8191] ^= 0x80
        assert bad_pages(b"".join(pages), first_block=0) == [
            BadPage(block=1, lsn=LSN),
            BadPage(block=4, lsn=LSN),
        ]

    def test_a_page_in_the_wrong_place_is_bad(self) -> None:
        """The checksum covers the block number, counted over all segments of the relation."""
        second_segment = page(b"x", block=131072)
        assert bad_pages(second_segment, first_block=131072) == []
        assert [bad.block for bad in bad_pages(second_segment, first_block=0)] == [0]

    def test_new_pages_pass(self) -> None:
        """A page of zeros has no checksum yet, and the pages around it are checked."""
        pages = bytearray(PAGES[0] + bytes(BLOCK) + page(b"x", block=2))
        assert bad_pages(pages, first_block=0) == []
        pages[-1] ^= 1
        assert [bad.block for bad in bad_pages(pages, first_block=0)] == [2]

    def test_a_page_without_checksum_is_bad(self) -> None:
        """Zero is never a checksum: a page in use without one was damaged, or never had one."""
        assert bad_pages(new_page(b"x"), first_block=9) == [BadPage(block=9, lsn=LSN)]

    def test_buffers_longer_than_a_batch_are_covered(self) -> None:
        """The last page of a buffer of many batches is checked as its own block."""
        pages = bytearray(2500 * BLOCK)
        pages[-BLOCK:] = page(b"x", block=7 + 2499)
        assert bad_pages(pages, first_block=7) == []
        pages[-1] ^= 1
        assert [bad.block for bad in bad_pages(pages, first_block=7)] == [7 + 2499]

    @pytest.mark.parametrize("size", [1024, 4096, 32768])
    def test_other_block_sizes_are_understood(self, size: int) -> None:
        """The block size is fixed when the server is compiled."""
        pages = page(b"one", 0, size=size) + page(b"two", 1, size=size)
        assert bad_pages(pages, first_block=0, block_size=size) == []
        pages[-1] ^= 1
        assert [bad.block for bad in bad_pages(pages, first_block=0, block_size=size)] == [1]

    def test_block_numbers_end_at_32_bits(self) -> None:
        """The last block that a relation can have is checked like any other."""
        last = 2**32 - 2
        assert bad_pages(page(b"x", last), first_block=last) == []


class TestCompiled:
    """What was compiled and what numpy does are one function, whatever the bytes are."""

    @settings(max_examples=300)
    @given(
        content=st.lists(st.binary(min_size=1, max_size=40), min_size=0, max_size=9),
        first=BLOCKS,
        size=st.sampled_from([1024, 8192]),
        flips=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8191)), max_size=4),
    )
    def test_both_find_the_same_pages(
        self,
        content: list[bytes],
        first: int,
        size: int,
        flips: list[tuple[int, int]],
    ) -> None:
        """Good pages, damaged ones, new ones, at any block number, one that wraps included."""
        pages = [
            bytearray(page(item, (first + number) % 2**32, size=size))
            for number, item in enumerate(content)
        ]
        for number, position in flips:
            if number < len(pages):
                pages[number][position % size] ^= 0x41
        data = b"".join(pages)
        found = COMPILED(data, first, size)
        assert found == page_numpy.wrong_pages(data, first, size) == reference(data, first, size)

    @given(data=st.binary(min_size=1024, max_size=1024), first=BLOCKS)
    def test_both_agree_on_garbage(self, data: bytes, first: int) -> None:
        """A page of random bytes has a header too."""
        assert COMPILED(data, first, 1024) == page_numpy.wrong_pages(data, first, 1024)

    def test_the_extension_refuses_half_a_page(self) -> None:
        """It would read past the end of the buffer."""
        with pytest.raises(ValueError, match="whole pages"):
            COMPILED(bytes(8193), 0, 8192)

    def test_a_package_without_the_extension_uses_numpy(self) -> None:
        """As where it was installed without a compiler."""
        script = (
            "import sys; sys.modules['backup_core.postgres._pagesum'] = None\n"
            "from backup_core.postgres import page\n"
            "print(page.wrong_pages.__module__, page.bad_pages(bytes(8192), first_block=0))"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert done.stdout.split(maxsplit=1) == ["backup_core.postgres.page_numpy", "[]\n"]


class TestBuffers:
    """The caller's buffer is looked at and left alone."""

    def test_any_kind_of_buffer_will_do(self) -> None:
        """Bytes, a bytearray, and a slice of a larger view at any offset."""
        pages = b"".join(PAGES)
        shifted = memoryview(b"abc" + pages)[3:]
        for data in (pages, bytearray(pages), memoryview(pages), shifted):
            assert bad_pages(data, first_block=0) == []

    def test_the_buffer_is_not_written(self) -> None:
        """Though the checksum counts as zero when it is computed."""
        data = bytearray(b"".join(PAGES))
        bad_pages(data, first_block=0)
        assert data == b"".join(PAGES)

    def test_nothing_is_held_afterwards(self) -> None:
        """The caller may resize its buffer for the next read."""
        data = bytearray(PAGES[0])
        bad_pages(data, first_block=1)
        data += b"more"

    def test_an_empty_buffer_has_no_bad_pages(self) -> None:
        """An empty relation is whole."""
        assert bad_pages(b"", first_block=0) == []

    def test_half_a_page_is_an_error(self) -> None:
        """A buffer that ends inside a page is the caller's mistake."""
        with pytest.raises(ValueError, match="8193 bytes are not whole pages of 8192"):
            bad_pages(bytes(8193), first_block=0)


class TestRealClusters:
    """What the server wrote is what is computed here."""

    @pytest.mark.postgres(12, 15, 18)
    def test_a_fresh_cluster_has_no_bad_page(self, make_cluster: MakeCluster) -> None:
        """Every file that is taken for a relation's passes, of every kind and fork."""
        cluster = make_cluster(start=False)
        pages = 0
        for file in relation_files(cluster.data_dir):
            data = file.read_bytes()
            assert bad_pages(data, first_block=0) == [], file
            pages += len(data) // BLOCK
        assert pages > 2000

    def test_pg_checksums_counts_the_same(self, make_cluster: MakeCluster) -> None:
        """Stock pg_checksums finds as many bad blocks as each of the two implementations."""
        cluster = make_cluster(start=False)
        broken = 0
        for file in relation_files(cluster.data_dir)[::7]:
            data = bytearray(file.read_bytes())
            if len(data) >= 2 * BLOCK and data[BLOCK + 14 : BLOCK + 16] != b"\0\0":
                data[BLOCK + 200] ^= 1
                file.write_bytes(data)
                broken += 1
        with pytest.raises(RuntimeError, match=rf"Bad checksums:  {broken}\b"):
            cluster.run("pg_checksums", "--check", "-D", str(cluster.data_dir))
        files = relation_files(cluster.data_dir)
        for function in filter(None, (compiled_or_none(), page_numpy.wrong_pages)):
            found = [function(file.read_bytes(), 0, BLOCK) for file in files]
            assert sum(map(len, found)) == broken > 10

    def test_damage_to_a_relation_is_found(self, make_cluster: MakeCluster) -> None:
        """A page of pg_proc that was damaged on disk is reported, with the LSN it bears."""
        cluster = make_cluster()
        path = cluster.scalar("SELECT pg_relation_filepath('pg_proc')")
        cluster.stop()
        data = bytearray((cluster.data_dir / path).read_bytes())
        high, low = struct.unpack_from("<II", data, 3 * BLOCK)
        data[3 * BLOCK + 8] ^= 0x10
        assert bad_pages(data, first_block=0) == [BadPage(block=3, lsn=Lsn(high << 32 | low))]


def relation_files(data_dir: Path) -> list[Path]:
    """The files below a data directory that hold pages."""
    return [
        file
        for file in data_dir.rglob("*")
        if file.is_file() and relation_segment(str(file.relative_to(data_dir))) is not None
    ]


@pytest.mark.parametrize(
    ("path", "segment"),
    [
        ("base/1/1259", 0),
        ("base/1/1259.1", 1),
        ("base/1/1259.131", 131),
        ("base/1/1259_fsm", 0),
        ("base/1/1259_fsm.2", 2),
        ("base/1/1259_vm", 0),
        ("base/16384/16385_init", 0),
        ("global/1260", 0),
        ("global/1260_vm", 0),
        ("pg_tblspc/16451/PG_15_202209061/5/16384.1", 1),
        ("pg_tblspc/16451/PG_9.6_201608131/5/16384", 0),
    ],
)
def test_a_relations_files_have_segment_numbers(path: str, segment: int) -> None:
    """Any fork of a relation, in any tablespace; the first segment bears no number."""
    assert relation_segment(path) == segment


@pytest.mark.parametrize(
    "path",
    [
        "global/pg_control",
        "global/pg_filenode.map",
        "global/pg_internal.init",
        "global/pg_internal.init.1234",
        "base/1/pg_filenode.map",
        "base/1/pg_internal.init",
        "base/1/PG_VERSION",
        "base/1/t3_16384",
        "base/1/1259_tmp",
        "base/1/1259.x",
        "base/1/1259.1.2",
        "base/1259",
        "base/pgsql_tmp/pgsql_tmp123.0",
        "pg_tblspc/16451/PG_15_202209061/pgsql_tmp/1",
        "pg_tblspc/16451/5/16384",
        "pg_xact/0000",
        "pg_multixact/offsets/0000",
        "PG_VERSION",
        "1259",
        "other/base/1/1259",
        "base/1/1259\n",
    ],
)
def test_other_files_have_none(path: str) -> None:
    """Configuration, maps, caches, temporary relations and SLRU segments hold no such pages."""
    assert relation_segment(path) is None
