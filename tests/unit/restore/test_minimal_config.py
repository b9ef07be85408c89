"""The configuration that is written is what recovery demands, and lets nobody in from elsewhere."""

from pathlib import Path

import pytest

from backup_core.errors import CorruptError
from backup_core.postgres.control import parse_control, read_control
from backup_core.postgres.limits import limits
from backup_core.restore.finish import write_missing
from backup_core.restore.minimal_config import minimal_files
from tests.support.fixtures import MakeCluster
from tests.unit.postgres.test_control import VERSIONS, control_file

SETTINGS = {
    "wal_level": 1,
    "max_connections": 250,
    "max_workers": 9,
    "max_wal_senders": 11,
    "max_prepared": 5,
    "max_locks": 128,
}
EXPECTED = {
    "wal_level": "replica",
    "max_connections": "250",
    "max_worker_processes": "9",
    "max_wal_senders": "11",
    "max_prepared_transactions": "5",
    "max_locks_per_transaction": "128",
}


@pytest.mark.parametrize(
    ("major", "control", "catalog", "layout"), VERSIONS, ids=[row[0] for row in VERSIONS]
)
def test_the_limits_of_every_version(major: str, control: int, catalog: int, layout: str) -> None:
    """Before 12, pg_control does not record max_wal_senders."""
    data = control_file(layout, control_version=control, catalog_version=catalog, **SETTINGS)
    expected = dict(EXPECTED)
    if major in ("9.6", "10", "11"):
        del expected["max_wal_senders"]
    assert limits(data, parse_control(data, path="pg_control")) == expected


@pytest.mark.postgres(12, 14, 18)
def test_the_server_says_the_same_of_itself(make_cluster: MakeCluster) -> None:
    """A running server's own settings are found in its pg_control."""
    asked = {"max_connections": 33, "max_worker_processes": 7, "max_prepared_transactions": 3}
    cluster = make_cluster(settings=asked)
    found = limits(*read_control(cluster.data_dir))
    assert found == {name: cluster.scalar(f"SHOW {name}") for name in EXPECTED}


def test_a_level_that_does_not_exist_is_corrupt() -> None:
    """Although the CRC is right."""
    data = control_file(wal_level=7)
    with pytest.raises(CorruptError, match="impossible"):
        limits(data, parse_control(data, path="pg_control"))


def test_connections_come_through_the_socket_only() -> None:
    """As the user that the operating system says."""
    data = control_file("13", **SETTINGS)
    files = minimal_files(data, parse_control(data, path="pg_control"))
    assert files.keys() == {"postgresql.conf", "pg_hba.conf", "pg_ident.conf"}
    lines = files["pg_hba.conf"].decode().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["local all all peer"]


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    """Neither a file nor a link that leads nowhere."""
    (tmp_path / "one").write_bytes(b"mine")
    (tmp_path / "two").symlink_to(tmp_path / "elsewhere")
    written = write_missing(tmp_path, {"one": b"x", "two": b"x", "three": b"x"})
    assert written == ["three"]
    assert (tmp_path / "one").read_bytes() == b"mine"
    assert not (tmp_path / "elsewhere").exists()
