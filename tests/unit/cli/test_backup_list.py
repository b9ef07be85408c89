"""What is read from the distance between two backups, whoever took them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from backup_core.cli.backup_list import lsn_range
from backup_core.repository.sentinel import Backup
from backup_core.storage.file import FileStorage
from tests.support.backups import BACKUP, store
from tests.support.fixtures import Pitr

OTHER_CLUSTER = "another cluster from here on"


@pytest.fixture
def listed(tmp_path: Path, pitr: Pitr) -> Callable[[int | None, int | None], str]:
    """What is printed for two backups of these system identifiers, a minute apart."""

    def run(first: int | None, second: int | None) -> str:
        minute = timedelta(minutes=1)
        backups: tuple[Backup, ...] = (
            replace(BACKUP, system_identifier=first),
            replace(
                BACKUP,
                name="base_000000010000000000000003",
                system_identifier=second,
                start_time=BACKUP.start_time + minute,
                finish_time=BACKUP.finish_time + minute,
            ),
        )
        for backup in backups:
            store(FileStorage(tmp_path), backup)
        return pitr("backup-list", "--repository", tmp_path).stdout

    return run


def test_a_change_of_the_cluster_is_told(listed: Callable[[int | None, int | None], str]) -> None:
    """No backup before it helps."""
    assert OTHER_CLUSTER in listed(1, 2)


@pytest.mark.parametrize("identifiers", [(1, 1), (1, None), (None, 1), (None, None)])
def test_what_is_not_known_is_no_change(
    listed: Callable[[int | None, int | None], str],
    identifiers: tuple[int | None, int | None],
) -> None:
    """WAL-E and early versions of WAL-G recorded none."""
    assert OTHER_CLUSTER not in listed(*identifiers)


def test_a_backup_without_a_position_says_so() -> None:
    """WAL-E's of a stopped server has a number that looks like one."""
    offline = replace(BACKUP, origin="wal-e", finish_lsn=BACKUP.start_lsn)
    assert lsn_range(offline, "..") == "unknown"
    assert lsn_range(BACKUP, "..") == "0/2000028..0/2000100"
