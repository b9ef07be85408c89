"""WAL file names and segment headers, at every segment size that initdb offers."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import UsageError, WalHeaderError
from backup_core.postgres import wal
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.wal import WalKind

MIB = 1 << 20
SEGMENT_SIZES = st.sampled_from([MIB << shift for shift in range(11)])
TIMELINES = st.integers(1, 2**32 - 1)
POSITIONS = st.integers(0, 2**64 - 1)
MAGIC_15 = 0xD110
LONG = 0x0002


def header(
    *,
    magic: int = MAGIC_15,
    info: int = LONG,
    timeline: int = 1,
    address: int = 0x1000000,
    system: int = 7_000_000_000_000_000_001,
    size: int = 16 * MIB,
) -> bytes:
    """The first bytes of a segment, as XLogLongPageHeaderData lays them out on 64-bit machines."""
    page = struct.pack("<HHIQI4x", magic, info, timeline, address, 0)
    return page + struct.pack("<QII", system, size, 8192)


class TestNames:
    """Timeline, log id and segment, eight hexadecimal digits each."""

    @given(timeline=TIMELINES, lsn=POSITIONS, size=SEGMENT_SIZES)
    def test_a_position_leads_to_a_name_and_back(self, timeline: int, lsn: int, size: int) -> None:
        """The segment that holds a byte has a name from which the segment is found again."""
        number = wal.segment_of(lsn, size)
        name = wal.parse_wal_name(wal.segment_name(timeline, number, size))
        assert (name.kind, name.timeline) == (WalKind.SEGMENT, timeline)
        assert name.segment_number(size) == number
        assert number * size <= lsn < (number + 1) * size

    @given(first=POSITIONS, second=POSITIONS, size=SEGMENT_SIZES)
    def test_names_sort_as_positions_do(self, first: int, second: int, size: int) -> None:
        """On one timeline the order of the names is the order of the WAL."""
        names = [wal.segment_name(1, wal.segment_of(lsn, size), size) for lsn in (first, second)]
        if first <= second:
            assert names == sorted(names)

    @given(number=st.integers(1, 2**34), size=SEGMENT_SIZES)
    def test_an_exclusive_end_belongs_to_the_segment_before(self, number: int, size: int) -> None:
        """WAL that ends on a boundary needs no further segment; one byte more does."""
        assert wal.last_segment_before(number * size, size) == number - 1
        assert wal.last_segment_before(number * size + 1, size) == number

    @pytest.mark.parametrize(
        ("lsn", "size", "name"),
        [
            (0x16B374D848, 16 * MIB, "0000000200000016000000B3"),
            (0x16B374D848, MIB, "000000020000001600000B37"),
            (0x16B374D848, 1024 * MIB, "000000020000001600000002"),
            (0x1700000000, 16 * MIB, "000000020000001700000000"),
        ],
    )
    def test_the_server_gives_the_same_names(self, lsn: int, size: int, name: str) -> None:
        """These are the answers of pg_walfile_name on timeline 2."""
        assert wal.segment_name(2, wal.segment_of(lsn, size), size) == name

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("0000000A00000016000000B3", WalKind.SEGMENT),
            ("0000000A00000016000000B3.partial", WalKind.PARTIAL),
            ("0000000A00000016000000B3.00000028.backup", WalKind.BACKUP),
            ("0000000A.history", WalKind.HISTORY),
        ],
    )
    def test_four_kinds_of_files_are_archived(self, name: str, kind: WalKind) -> None:
        """Each is told by its name, and the timeline is in all of them."""
        parsed = wal.parse_wal_name(name)
        assert (parsed.name, parsed.kind, parsed.timeline) == (name, kind, 10)

    def test_a_history_file_has_the_timelines_name(self) -> None:
        """The name of a history file reads back as that timeline's."""
        assert wal.parse_wal_name(wal.history_name(0x1F)).timeline == 0x1F

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "00000001000000000000000",
            "0000000100000000000000011",
            "00000001000000000000000g",
            "0000000a00000016000000b3",
            "000000010000000000000001.gz",
            "000000010000000000000001.partial.gz",
            "000000010000000000000001.28.backup",
            "000000010000000000000001\n",
            "../000000010000000000000001",
            "00000001.history.tmp",
            "RECOVERYXLOG",
            "backup_label",
        ],
    )
    def test_every_other_name_is_refused(self, name: str) -> None:
        """A file that PostgreSQL does not archive is a usage error."""
        with pytest.raises(UsageError, match="is not the name of a WAL file"):
            wal.parse_wal_name(name)

    @given(size=SEGMENT_SIZES)
    def test_a_log_id_holds_4_gib_of_segments(self, size: int) -> None:
        """The last segment of a log id is possible, the one after it is not."""
        per_log = (1 << 32) // size
        last = wal.parse_wal_name(f"0000000100000000{per_log - 1:08X}")
        assert last.segment_number(size) == per_log - 1
        with pytest.raises(WalHeaderError, match="cannot be a segment"):
            wal.parse_wal_name(f"0000000100000000{per_log:08X}").segment_number(size)


class TestHeader:
    """The long page header that opens a segment."""

    @given(timeline=TIMELINES, address=POSITIONS, system=POSITIONS, size=SEGMENT_SIZES)
    def test_its_fields_are_read(self, timeline: int, address: int, system: int, size: int) -> None:
        """Timeline, address, system identifier and segment size are where the server puts them."""
        data = header(timeline=timeline, address=address, system=system, size=size)
        parsed = wal.parse_segment_header(data, name="segment")
        assert parsed.timeline == timeline
        assert parsed.page_address == address
        assert parsed.system_identifier == system
        assert (parsed.segment_size, parsed.block_size) == (size, 8192)

    def test_the_magic_tells_the_major_version(self) -> None:
        """Each major version writes another page magic."""
        majors = [
            wal.parse_segment_header(header(magic=magic), name="segment").major
            for magic in sorted(wal.MAGIC_TO_MAJOR)
        ]
        assert majors == ["9.6", "10", "11", "12", "13", "14", "15", "16", "17", "18"]

    @pytest.mark.parametrize(
        ("data", "complaint"),
        [
            (b"", "too short"),
            (header()[:-1], "too short"),
            (bytes(8192), "page magic 0x0000"),
            (header(magic=0xD092), "page magic 0xD092"),
            (header(info=0), "long WAL page header"),
            (header(size=0), "impossible WAL segment size"),
            (header(size=MIB // 2), "impossible WAL segment size"),
            (header(size=3 * MIB), "impossible WAL segment size"),
            (header(size=2048 * MIB), "impossible WAL segment size"),
        ],
    )
    def test_what_is_no_segment_is_refused(self, data: bytes, complaint: str) -> None:
        """The error names the file and what is wrong with its first bytes."""
        with pytest.raises(WalHeaderError, match=f"some/file.*{complaint}"):
            wal.parse_segment_header(data, name="some/file")

    @given(data=st.binary(max_size=64))
    def test_no_bytes_crash_the_parser(self, data: bytes) -> None:
        """Whatever a file begins with, it is a header or it is refused."""
        try:
            wal.parse_segment_header(data, name="file")
        except WalHeaderError:
            return
        assert int.from_bytes(data[:2], "little") in wal.MAGIC_TO_MAJOR


class TestNameAndHeader:
    """A header is checked against the name that its file bears."""

    @staticmethod
    def check(name: str, data: bytes) -> None:
        wal.check_segment_header(
            wal.parse_wal_name(name), wal.parse_segment_header(data, name=name)
        )

    @given(timeline=TIMELINES, number=st.integers(0, 2**33), size=SEGMENT_SIZES)
    def test_a_segment_under_its_own_name_passes(
        self, timeline: int, number: int, size: int
    ) -> None:
        """The page address is the segment's start, at every segment size."""
        data = header(timeline=timeline, address=number * size, size=size)
        self.check(wal.segment_name(timeline, number, size), data)

    def test_a_new_timeline_begins_with_a_copy_of_the_old_ones_segment(self) -> None:
        """After a promotion the first page still carries the parent's timeline."""
        self.check("000000030000000000000001", header(timeline=2))

    @pytest.mark.parametrize("timeline", [0, 2])
    def test_an_impossible_timeline_is_refused(self, timeline: int) -> None:
        """A page of a later timeline, or of none, cannot be under this name."""
        with pytest.raises(WalHeaderError, match=f"holds WAL of timeline {timeline}"):
            self.check("000000010000000000000001", header(timeline=timeline))

    def test_a_recycled_segment_is_refused(self) -> None:
        """Old WAL under a new name shows by its page address; the message gives both."""
        with pytest.raises(WalHeaderError, match="begins at 0/1000000, the name means 0/2000000"):
            self.check("000000010000000000000002", header(address=Lsn.parse("0/1000000")))
