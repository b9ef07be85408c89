"""The commands for the server, as the manual page shows them."""

from pathlib import Path

import pytest

from backup_core.postgres.archiving import archive_command
from backup_core.postgres.recovery import quote_setting, restore_command

PAGE = Path(__file__).parents[3] / "docs/archiving.md"
PITR, SPOOL = ["/opt/pitr/bin/pitr"], "/var/spool/pitr"


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("archive_command", archive_command(PITR, spool=SPOOL)),
        ("restore_command", restore_command(PITR, spool=SPOOL)),
    ],
)
def test_the_manual_shows_what_is_rendered(name: str, command: str) -> None:
    """An operator who copies the line has what backup-fetch and provision write."""
    assert f"    {name} = {quote_setting(command)}\n" in PAGE.read_text()


def test_without_a_spool_nothing_is_tested() -> None:
    """The plain commands stay as they were."""
    assert archive_command(PITR, extra_arguments=["--config", "/etc/a b"]) == (
        "/opt/pitr/bin/pitr wal-push --config '/etc/a b' %p"
    )
    assert restore_command(PITR).startswith('/opt/pitr/bin/pitr wal-fetch "%f" "%p"; rc=$?')
