"""backup-list as WAL-E and as wal-g print it, to the byte."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from backup_core.cli import compat_list_wal_e as wal_e
from backup_core.cli import compat_list_wal_g as wal_g
from backup_core.errors import UsageError

MOMENT = datetime(2026, 11, 22, 19, 18, 2, 256393, tzinfo=UTC)
LATER = MOMENT + timedelta(hours=1)
SEGMENT = "00000001000000000000000B"


class TestWalE:
    """Tabs, CRLF, seven columns."""

    ROW = wal_e.Listed(
        name=f"base_{SEGMENT}_00000040",
        modified=MOMENT,
        start_segment=SEGMENT,
        start_offset="00000040",
    )

    def test_columns_of_the_end_are_empty_without_detail(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The time is S3's own text."""
        wal_e.write([self.ROW], like_file=False)
        assert capsys.readouterr().out == (
            "name\tlast_modified\texpanded_size_bytes\twal_segment_backup_start\t"
            "wal_segment_offset_backup_start\twal_segment_backup_stop\t"
            "wal_segment_offset_backup_stop\r\n"
            f"base_{SEGMENT}_00000040\t2026-11-22T19:18:02.256Z\t\t{SEGMENT}\t00000040\t\t\r\n"
        )

    def test_a_file_s_time_has_no_zone(self, capsys: pytest.CaptureFixture[str]) -> None:
        """It is UTC all the same."""
        local = MOMENT.astimezone(timezone(timedelta(hours=5)))
        wal_e.write([wal_e.Listed(name="base", modified=local)], like_file=True)
        assert "\r\nbase\t2026-11-22T19:18:02.256393\t\t\t\t\t\r\n" in capsys.readouterr().out

    def test_an_empty_list_is_its_header(self, capsys: pytest.CaptureFixture[str]) -> None:
        """And exit code 0."""
        wal_e.write([], like_file=True)
        assert capsys.readouterr().out.count("\r\n") == 1

    def test_the_detail_of_wal_e_s_sentinel(self) -> None:
        """Its text as it stands."""
        sentinel = {
            "wal_segment_backup_stop": SEGMENT,
            "wal_segment_offset_backup_stop": "00000256",
            "expanded_size_bytes": 26298278,
        }
        row = wal_e.describe(self.ROW, sentinel)
        assert (row.size, row.stop_segment, row.stop_offset) == ("26298278", SEGMENT, "00000256")

    @pytest.mark.parametrize("size", [1 << power for power in range(20, 31)])
    def test_the_detail_of_a_backup_in_wal_g_s_form(self, size: int) -> None:
        """Offsets are computed, whatever the size of the segments."""
        number = 3
        start = number * size + 40
        row = wal_e.Listed(name="x", modified=MOMENT, start_segment=f"00000002{0:08X}{number:08X}")
        described = wal_e.describe(
            row, {"LSN": start, "FinishLSN": start + size, "UncompressedSize": 7}
        )
        assert (described.start_offset, described.stop_offset) == ("00000040", "00000040")
        if number + 1 < (1 << 32) // size:
            assert described.stop_segment == f"00000002{0:08X}{number + 1:08X}"
        assert described.size == "7"

    def test_a_query_names_one_backup(self) -> None:
        """By its name, or the newest."""
        old = wal_e.Listed(name=f"base_{SEGMENT}_00000296", modified=MOMENT - timedelta(days=1))
        assert wal_e.chosen([self.ROW, old], "LATEST") == [self.ROW]
        assert wal_e.chosen([self.ROW, old], old.name) == [old]
        assert wal_e.chosen([self.ROW], old.name) == []
        assert wal_e.chosen([], "LATEST") == []
        with pytest.raises(UsageError, match='"newest" is not the name of a backup'):
            wal_e.chosen([self.ROW], "newest")


class TestWalG:
    """Aligned, framed, JSON."""

    ROW = wal_g.Listed(name=f"base_{SEGMENT}", modified=MOMENT, segment=SEGMENT)
    DELTA = wal_g.Listed(
        name=f"base_{SEGMENT}_D_{SEGMENT}",
        modified=LATER,
        segment=SEGMENT,
        detail=wal_g.Detail(
            times=("2026-11-22T19:10:00.5Z", "2026-11-22T19:18:00Z"),
            date_format="%Y-%m-%dT%H:%M:%S.%fZ",
            hostname="db<1>",
            data_dir="/pg",
            pg_version=150018,
            lsns=(0xB000028, 0x10B000100),
            permanent=True,
            system_identifier=7,
            sizes=(20, 10),
            user_data={"a": 1},
        ),
    )

    def test_the_plain_table(self) -> None:
        """A blank after the widest cell; the last column is free."""
        assert list(wal_g.aligned([self.ROW], local=False)) == [
            f"{'backup_name':30}{'modified':21}{'wal_file_name':25}storage_name",
            f"base_{SEGMENT} 2026-11-22T19:18:02Z {SEGMENT} default",
        ]

    def test_the_plain_table_with_detail(self) -> None:
        """Eight columns more."""
        heads, row = wal_g.aligned([self.DELTA], local=False)
        assert heads.split()[4:] == [
            *("start_time", "finish_time", "hostname", "data_dir"),
            *("pg_version", "start_lsn", "finish_lsn", "is_permanent"),
        ]
        assert row.split()[4:] == [
            *("2026-11-22T19:10:00Z", "2026-11-22T19:18:00Z", "db<1>", "/pg"),
            *("150018", "0/B000028", "1/B000100", "true"),
        ]

    def test_the_framed_table(self) -> None:
        """Upper-case heads, rows numbered from 0, days by name."""
        lines = list(wal_g.framed([self.ROW], local=False))
        assert (
            lines[0]
            == lines[2]
            == lines[4]
            == (
                "+---+-------------------------------+--------------------------------+"
                "--------------------------+--------------+"
            )
        )
        assert lines[1].split("|")[1:3] == [" # ", " BACKUP NAME                   "]
        assert lines[3] == (
            f"| 0 | base_{SEGMENT} | Sunday, 22-Nov-26 19:18:02 UTC | {SEGMENT} | default      |"
        )

    def test_json_on_one_line(self) -> None:
        """Without blanks, times without trailing zeros."""
        assert wal_g.as_json([self.ROW], pretty=False, local=False) == (
            f'[{{"backup_name":"base_{SEGMENT}","time":"2026-11-22T19:18:02.256393Z",'
            f'"wal_file_name":"{SEGMENT}","storage_name":"default"}}]'
        )
        assert wal_g.as_json([], pretty=True, local=False) == "[]"

    def test_json_with_detail(self) -> None:
        """All of metadata.json, in its order; LSNs are numbers, and < is escaped."""
        text = wal_g.as_json([self.DELTA], pretty=True, local=False)
        assert '\n        "hostname": "db\\u003c1\\u003e",\n' in text
        (document,) = json.loads(text)
        assert list(document) == [
            *("backup_name", "time", "wal_file_name", "storage_name", "start_time", "finish_time"),
            *("date_fmt", "hostname", "data_dir", "pg_version", "start_lsn", "finish_lsn"),
            *("is_permanent", "system_identifier", "uncompressed_size", "compressed_size"),
            "user_data",
        ]
        assert (document["start_time"], document["start_lsn"]) == (
            "2026-11-22T19:10:00.5Z",
            0xB000028,
        )

    def test_a_backup_without_metadata_has_zero_values(self) -> None:
        """As Go writes them."""
        row = wal_g.Listed(name="base", modified=MOMENT, segment="Z" * 24, detail=wal_g.Detail())
        (document,) = json.loads(wal_g.as_json([row], pretty=False, local=False))
        assert document["start_time"] == "0001-01-01T00:00:00Z"
        assert list(wal_g.aligned([row], local=False))[1].split()[4:] == [
            *("-", "-", "0", "0/0", "0/0", "false")
        ]

    def test_the_oldest_comes_first(self) -> None:
        """By the start if it is known of all, else by the sentinel's time."""
        early = wal_g.Detail(times=("2026-11-22T10:00:00Z", "2026-11-22T10:01:00Z"))
        copied = wal_g.Listed(
            name="copied", modified=LATER + timedelta(1), segment="", detail=early
        )
        assert wal_g.in_order([self.DELTA, copied]) == [copied, self.DELTA]
        unknown = wal_g.Listed(name="old", modified=MOMENT, segment="", detail=wal_g.Detail())
        assert wal_g.in_order([copied, self.DELTA, unknown]) == [unknown, self.DELTA, copied]
