"""How archiving goes, as a file of the spool tells: written, read back, and never half believed."""

from pathlib import Path

import pytest

from backup_core.archive.spool import Spool
from backup_core.archive.status import STATUS_FILE, Status, load_status, read_status, write_status


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    return Spool(str(tmp_path))


def test_what_is_written_is_read_back(spool: Spool) -> None:
    """A failure, and that it is over."""
    failed = Status().failed("0001", "no room")
    write_status(spool, failed)
    assert load_status(spool) == failed
    assert failed.failing_since is not None
    write_status(spool, failed.succeeded("0001"))
    assert read_status(spool).failing_since is None


def test_none_yet_is_not_unreadable(spool: Spool) -> None:
    """Nothing fails where nothing was pushed."""
    assert load_status(spool) == Status()


@pytest.mark.parametrize(
    "text", ["", "{", "{}", "null", '"x"', "[]", '{"version": 2}', '{"version": 1, "new": 1}']
)
def test_what_cannot_be_read_says_nothing(spool: Spool, text: str) -> None:
    """Neither that pushing fails nor that it does not; whoever writes next begins anew."""
    Path(spool.path(STATUS_FILE)).write_text(text)
    assert load_status(spool) is None
    assert read_status(spool) == Status()
