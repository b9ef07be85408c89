"""What backup-fetch understands of its arguments."""

from datetime import UTC, datetime

import pytest

from backup_core.cli.backup_fetch import parse_time
from backup_core.errors import UsageError

MOMENT = datetime(2026, 11, 22, 10, 15, 0, 250000, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22 10:15:00.25 UTC",
        "2026-11-22 10:15:00.25+00",
        "2026-11-22T10:15:00.250Z",
        "2026-11-22 11:15:00.25+01:00",
    ],
)
def test_a_time_is_taken_as_servers_and_logs_write_it(text: str) -> None:
    """So that it can be copied from the server's log."""
    assert parse_time(text) == MOMENT


def test_a_time_without_a_zone_is_local() -> None:
    """As in psql on the same machine."""
    assert parse_time("2026-11-22 10:15:00") == datetime(2026, 11, 22, 10, 15).astimezone()


def test_anything_else_is_no_time() -> None:
    """The hint shows one."""
    with pytest.raises(UsageError, match="yesterday"):
        parse_time("yesterday")
