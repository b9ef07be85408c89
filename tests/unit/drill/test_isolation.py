"""The settings of a drill's server, for each version, and what may be added to them."""

from pathlib import Path

import pytest

from backup_core.drill import isolation
from backup_core.errors import UsageError
from backup_core.postgres.recovery import RecoveryTarget, recovery_files


def fixed(major: int) -> dict[str, str]:
    """The settings of a version."""
    return isolation.fixed_settings(
        major, sockets=Path("/s"), config=Path("/c/postgresql.conf"), hba=Path("/c/pg_hba.conf")
    )


@pytest.mark.parametrize("major", [9, 10, 11, 12, 13, 14, 15, 16, 17, 18])
def test_no_version_archives_or_listens(major: int) -> None:
    """These names have existed since 9.6."""
    settings = fixed(major)
    assert settings["archive_mode"] == "off"
    assert settings["listen_addresses"] == ""
    assert settings["unix_socket_directories"] == "/s"


def test_a_setting_stands_only_where_the_version_has_it() -> None:
    """A server does not start with one that it does not know."""
    since = {"max_logical_replication_workers": 10, "primary_conninfo": 12, "archive_library": 15}
    for name, first in since.items():
        assert name in fixed(first)
        assert name not in fixed(first - 1)


def test_of_the_clusters_own_settings_nothing_is_left() -> None:
    """The files are made anew: limits, what the operator adds, and recovery."""
    conf = isolation.config_file({"max_connections": "17"}, [("shared_buffers", "1GB")])
    assert "max_connections = '17'\n" in conf
    assert "shared_buffers = '1GB'\n" in conf
    recovery = recovery_files(
        15,
        target=RecoveryTarget(),
        restore_command="fetch %f",
        standby=False,
        archive_mode_off=True,
    )
    auto = isolation.auto_conf(recovery)
    assert "restore_command = 'fetch %f'\n" in auto
    assert "archive_mode = 'off'\n" in auto


@pytest.mark.parametrize(
    "name", ["archive_mode", "ARCHIVE_COMMAND", "port", "recovery_target_time", "include_dir"]
)
def test_the_operator_cannot_undo_it(name: str) -> None:
    """In no spelling."""
    with pytest.raises(UsageError, match="keeps the drill away from production"):
        isolation.check_extra([(name, "x")])


def test_the_operator_can_name_libraries_and_memory() -> None:
    """Some extensions answer no query without their library."""
    isolation.check_extra([("shared_preload_libraries", "timescaledb"), ("work_mem", "1GB")])
