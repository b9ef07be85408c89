"""pg_control of every version from 9.6 to 18."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError, NotFoundError, PitrError, RefusedError
from backup_core.postgres.control import ControlFile, crc32c, parse_control, read_control
from backup_core.postgres.lsn import Lsn
from tests.support.fixtures import MakeCluster

# The structs of pg_control.h, member by member as `name:format`; `struct` aligns them as C does.
HEAD = "system_identifier:Q control_version:I catalog_version:I state:i time:q checkpoint:Q"
CHECKPOINT_START = "redo:Q timeline:I previous_timeline:I full_page_writes:?"
CHECKPOINT_END = (
    "next_oid:I next_multi:I next_multi_offset:I oldest_xid:I oldest_xid_db:I oldest_multi:I"
    " oldest_multi_db:I checkpoint_time:q oldest_commit_ts:I newest_commit_ts:I oldest_active:I"
    " checkpoint_ends:0q"
)
CHECKPOINT_9_6 = f"{CHECKPOINT_START} next_xid_epoch:I next_xid:I {CHECKPOINT_END}"
CHECKPOINT_12 = f"{CHECKPOINT_START} next_full_xid:Q {CHECKPOINT_END}"
RECOVERY = (
    "unlogged_lsn:Q min_recovery:Q min_recovery_timeline:I backup_start:Q backup_end:Q"
    " backup_end_required:? wal_level:i wal_log_hints:? max_connections:i max_workers:i"
)
LIMITS = "max_prepared:i max_locks:i track_commit:? max_align:I float_format:d"
SIZES = (
    "block_size:I relation_segment_blocks:I wal_block_size:I wal_segment_size:I"
    " name_length:I index_keys:I toast_chunk:I large_object_block:I"
)
NONCE = "nonce:32s"
UNTIL_11 = f"{RECOVERY} {LIMITS} {SIZES}"
SINCE_12 = f"{RECOVERY} max_wal_senders:i {LIMITS} {SIZES}"

LAYOUTS = {
    "9.6": f"{HEAD} previous_checkpoint:Q {CHECKPOINT_9_6} {UNTIL_11}"
    " integer_times:? float4:? float8:? data_checksum_version:I",
    "10": f"{HEAD} previous_checkpoint:Q {CHECKPOINT_9_6} {UNTIL_11}"
    f" float4:? float8:? data_checksum_version:I {NONCE}",
    "11": f"{HEAD} {CHECKPOINT_9_6} {UNTIL_11} float4:? float8:? data_checksum_version:I {NONCE}",
    "12": f"{HEAD} {CHECKPOINT_12} {SINCE_12} float4:? float8:? data_checksum_version:I {NONCE}",
    "13": f"{HEAD} {CHECKPOINT_12} {SINCE_12} float8:? data_checksum_version:I {NONCE}",
    "18": f"{HEAD} {CHECKPOINT_12} {SINCE_12} float8:? data_checksum_version:I signed:? {NONCE}",
}
# major version, control version, catalog version, layout
VERSIONS = [
    ("9.6", 960, 201608131, "9.6"),
    ("10", 1002, 201707211, "10"),
    ("11", 1100, 201809051, "11"),
    ("12", 1201, 201909212, "12"),
    ("13", 1300, 202007201, "13"),
    ("14", 1300, 202107181, "13"),
    ("15", 1300, 202209061, "13"),
    ("16", 1300, 202307071, "13"),
    ("17", 1700, 202406281, "13"),
    ("18", 1800, 202506291, "18"),
]

VALUES: dict[str, int] = {
    "system_identifier": 7_711_140_584_919_151_705,
    "control_version": 1300,
    "catalog_version": 202209061,
    "state": 6,
    "checkpoint": 0x16B374D848,
    "redo": 0x16B374D810,
    "timeline": 3,
    "block_size": 8192,
    "relation_segment_blocks": 131072,
    "wal_block_size": 8192,
    "wal_segment_size": 64 << 20,
    "data_checksum_version": 1,
}


def control_file(layout: str = "13", **values: int) -> bytes:
    """A pg_control as the server of that layout writes it: the struct, its CRC, zeros to 8 kB."""
    given = {**VALUES, "nonce": b"\xff" * 32, **values}
    members = [member.split(":") for member in LAYOUTS[layout].split()]
    codes = "".join(code for _, code in members)
    body = struct.pack(
        f"@{codes}0I", *(given.get(name, 0) for name, code in members if code != "0q")
    )
    return (body + struct.pack("<I", crc32c(body))).ljust(8192, b"\0")


def write(data_dir: Path, content: bytes) -> None:
    (data_dir / "global").mkdir(exist_ok=True)
    (data_dir / "global" / "pg_control").write_bytes(content)


@pytest.mark.parametrize(
    ("major", "control", "catalog", "layout"), VERSIONS, ids=[row[0] for row in VERSIONS]
)
def test_every_version_is_read(major: str, control: int, catalog: int, layout: str) -> None:
    """The same facts are found wherever the version's struct puts them."""
    data = control_file(layout, control_version=control, catalog_version=catalog)
    assert parse_control(data, path="pg_control") == ControlFile(
        system_identifier=7_711_140_584_919_151_705,
        control_version=control,
        catalog_version=catalog,
        major=major,
        state="in production",
        checkpoint=Lsn.parse("16/B374D848"),
        redo=Lsn.parse("16/B374D810"),
        timeline=3,
        block_size=8192,
        relation_segment_blocks=131072,
        wal_block_size=8192,
        wal_segment_size=64 << 20,
        data_checksum_version=1,
    )


@pytest.mark.postgres(12, 13, 14, 15, 16, 17, 18)
def test_the_server_says_the_same_of_itself(make_cluster: MakeCluster) -> None:
    """The file of a running server agrees with pg_control_system() and its siblings."""
    cluster = make_cluster(wal_segment_mb=4)
    (row,) = cluster.sql(
        "SELECT system_identifier::text, pg_control_version, catalog_version_no,"
        " checkpoint_lsn::text, redo_lsn::text, timeline_id, database_block_size,"
        " blocks_per_segment, wal_block_size, bytes_per_wal_segment, data_page_checksum_version"
        " FROM pg_control_system(), pg_control_checkpoint(), pg_control_init()"
    )
    data, control = read_control(cluster.data_dir)
    assert len(data) == 8192
    assert control.major == str(cluster.binaries.major)
    assert control.state == "in production"
    assert row == (
        str(control.system_identifier),
        control.control_version,
        control.catalog_version,
        str(control.checkpoint),
        str(control.redo),
        control.timeline,
        control.block_size,
        control.relation_segment_blocks,
        control.wal_block_size,
        control.wal_segment_size,
        control.data_checksum_version,
    )


def test_a_stopped_server_is_shut_down(make_cluster: MakeCluster) -> None:
    """The state is in pg_controldata's words, and a cluster without checksums says 0."""
    cluster = make_cluster(checksums=False, start=False)
    control = read_control(cluster.data_dir)[1]
    assert (control.state, control.data_checksum_version) == ("shut down", 0)


@given(position=st.integers(0, 287), flip=st.integers(1, 255))
def test_any_damage_is_found(position: int, flip: int) -> None:
    """A changed byte breaks the CRC, or makes the version one that nobody knows."""
    damaged = bytearray(control_file())
    damaged[position] ^= flip
    with pytest.raises((CorruptError, RefusedError)):
        parse_control(bytes(damaged), path="pg_control")


@pytest.mark.parametrize("length", [0, 39, 200, 291])
def test_a_truncated_file_is_corrupt(length: int) -> None:
    """A file that ends before its CRC is called too short."""
    with pytest.raises(CorruptError, match="the/file is too short"):
        parse_control(control_file()[:length], path="the/file")


def test_an_unknown_state_is_corrupt() -> None:
    """A state beyond the known ones is not guessed."""
    with pytest.raises(CorruptError, match="no cluster state 7"):
        parse_control(control_file(state=7), path="pg_control")


@pytest.mark.parametrize("version", [0, 942, 1902])
def test_an_unknown_control_version_is_refused(version: int) -> None:
    """An older or newer server's file is refused before anything is read from it."""
    with pytest.raises(RefusedError, match=f"control version {version}"):
        parse_control(control_file(control_version=version), path="pg_control")


def test_an_unknown_catalog_version_is_refused() -> None:
    """Betas and forks share a control version with a release, but not the catalog version."""
    with pytest.raises(RefusedError, match="catalog version 202209060"):
        parse_control(control_file(catalog_version=202209060), path="pg_control")


def test_another_byte_order_is_refused_as_such() -> None:
    """A cluster of a big-endian machine is told from an unknown version."""
    swapped = int.from_bytes((1300).to_bytes(4, "little"), "big")
    with pytest.raises(RefusedError, match="big-endian"):
        parse_control(control_file(control_version=swapped), path="pg_control")


def test_a_torn_file_is_read_again(tmp_path: Path) -> None:
    """The server writes the file while it is read: a later attempt finds it whole."""
    write(tmp_path, control_file()[:100])
    pauses: list[float] = []

    def server_finishes(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            write(tmp_path, control_file())

    data, control = read_control(tmp_path, sleep=server_finishes)
    assert data == control_file()
    assert control.timeline == 3
    assert len(pauses) == 2


def test_a_file_that_stays_torn_is_corrupt(tmp_path: Path) -> None:
    """After the last attempt there is no further pause, but the CRC's complaint."""
    write(tmp_path, control_file()[:250].ljust(8192, b"\0"))
    pauses: list[float] = []
    with pytest.raises(CorruptError, match=r"global/pg_control is damaged: its CRC is"):
        read_control(tmp_path, attempts=3, sleep=pauses.append)
    assert len(pauses) == 2


def test_another_directory_is_no_data_directory(tmp_path: Path) -> None:
    """Where there is no pg_control, the error says what the directory is not."""
    (tmp_path / "file").touch()
    for data_dir in (tmp_path, tmp_path / "absent", tmp_path / "file"):
        with pytest.raises(NotFoundError, match=f"{data_dir} is no PostgreSQL data directory"):
            read_control(data_dir)


def test_an_unreadable_file_says_why(tmp_path: Path) -> None:
    """Trouble other than absence is reported with the system's reason."""
    (tmp_path / "global" / "pg_control").mkdir(parents=True)
    with pytest.raises(PitrError, match=r"cannot read .*: Is a directory"):
        read_control(tmp_path)


def test_the_crc_is_crc_32c() -> None:
    """The check value that every description of CRC-32C gives."""
    assert crc32c(b"123456789") == 0xE3069283
