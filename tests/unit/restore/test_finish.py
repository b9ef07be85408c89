"""The recovery settings reach the files that the server of each version reads."""

from pathlib import Path

import pytest

from backup_core.postgres.recovery import RecoveryTarget, recovery_files
from backup_core.restore.finish import write_recovery


def write(data_dir: Path, major: int) -> None:
    """Set up recovery to a restore point in a server that is to archive nothing."""
    target = RecoveryTarget(name="the point")
    config = recovery_files(
        major, target=target, restore_command="fetch", standby=False, archive_mode_off=True
    )
    write_recovery(data_dir, config)


@pytest.mark.parametrize("major", [12, 18])
def test_since_12_all_settings_stand_in_the_auto_conf(tmp_path: Path, major: int) -> None:
    """An empty signal file beside them starts recovery."""
    write(tmp_path, major)

    settings = (tmp_path / "postgresql.auto.conf").read_text()
    assert "recovery_target_name = 'the point'\n" in settings
    assert "archive_mode = 'off'\n" in settings
    assert (tmp_path / "recovery.signal").read_bytes() == b""
    assert not (tmp_path / "recovery.conf").exists()


@pytest.mark.parametrize("major", [9, 11])
def test_before_12_recovery_conf_takes_recovery_settings_only(tmp_path: Path, major: int) -> None:
    """The server's own settings, which it would refuse there, stand in the auto.conf."""
    write(tmp_path, major)

    recovery = (tmp_path / "recovery.conf").read_text()
    server = (tmp_path / "postgresql.auto.conf").read_text()
    assert "recovery_target_name = 'the point'\n" in recovery
    assert "archive_mode" not in recovery
    assert "archive_mode = 'off'\n" in server
    assert "recovery_target" not in server
    assert not list(tmp_path.glob("*.signal"))


def test_what_else_the_auto_conf_holds_stays_byte_for_byte(tmp_path: Path) -> None:
    """Its encoding is the operator's affair."""
    existing = b"# p\xe4ckchen\r\nwork_mem = '8MB'\n"
    (tmp_path / "postgresql.auto.conf").write_bytes(existing)

    write(tmp_path, 18)

    assert (tmp_path / "postgresql.auto.conf").read_bytes().startswith(existing)
