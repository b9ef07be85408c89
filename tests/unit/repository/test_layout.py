"""Every key is WAL-G's, or one that wal-g passes over."""

import re

import pytest

from backup_core.repository import layout

NAME = "base_00000003000000010000002A"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (layout.sentinel(NAME), f"basebackups_005/{NAME}_backup_stop_sentinel.json"),
        (layout.metadata(NAME), f"basebackups_005/{NAME}/metadata.json"),
        (layout.files_metadata(NAME), f"basebackups_005/{NAME}/files_metadata.json"),
        (layout.manifest(NAME), f"basebackups_005/{NAME}/backup_manifest"),
        (layout.index(NAME), f"basebackups_005/{NAME}/index.json.zst"),
        (layout.corrupt_pages(NAME), f"basebackups_005/{NAME}/corrupt_pages.json"),
        (
            layout.partition(NAME, "part_001", "zst"),
            f"basebackups_005/{NAME}/tar_partitions/part_001.tar.zst",
        ),
        (
            layout.partition(NAME, "pg_control", ""),
            f"basebackups_005/{NAME}/tar_partitions/pg_control.tar",
        ),
        (layout.wal("00000002.history", "zst"), "wal_005/00000002.history.zst"),
        (layout.wal("000000010000000000000001", ""), "wal_005/000000010000000000000001"),
    ],
)
def test_keys_are_those_of_wal_g(key: str, expected: str) -> None:
    """Without a trailing dot where there is no extension."""
    assert key == expected


@pytest.mark.parametrize("key", [layout.IDENTITY, f"{layout.LOCKS}backup-000000000001"])
def test_what_concerns_the_whole_repository_is_no_name_of_wal_gs(key: str) -> None:
    """It deletes by the pattern of a backup's or a segment's name."""
    assert not re.search(r"[0-9A-F]{24}", key)
    assert key.startswith("pitr/")


@pytest.mark.parametrize(
    "name",
    [NAME, f"{NAME}_D_000000030000000100000007", f"{NAME}_00000028", f"{NAME}_D_" + 24 * "A"],
)
def test_full_delta_and_wal_e_names_are_backups(name: str) -> None:
    """All three stand in archives that exist; the timeline comes first in each."""
    assert layout.is_backup_name(name)
    assert layout.backup_timeline(name) == 3


@pytest.mark.parametrize(
    "name",
    ["", "LATEST", "base_1", NAME.lower(), f"{NAME}_", f"{NAME}\n", f" {NAME}", f"{NAME}_D_1"],
)
def test_anything_else_is_not(name: str) -> None:
    """To the last character."""
    assert not layout.is_backup_name(name)


def test_a_backup_of_ours_is_named_after_its_first_segment_alone() -> None:
    """A further underscore would make stock wal-g pass over pg_control."""
    assert layout.backup_name("00000003000000010000002A") == NAME
