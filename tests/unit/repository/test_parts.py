"""Partitions are what the folder holds, less what an interrupted upload left there."""

from dataclasses import replace

import pytest

from backup_core.errors import CorruptError, NotFoundError
from backup_core.repository import layout
from backup_core.repository.parts import choose_parts, has_control, is_last
from tests.support.backups import BACKUP

FOLDER = layout.partitions(BACKUP.name)
OF_WAL_E = replace(BACKUP, origin="wal-e")


def listed(*names: str) -> dict[str, int]:
    """A listing in which each object is a byte larger than the one before."""
    return {f"{FOLDER}{name}": size for size, name in enumerate(names, 1)}


def test_the_largest_is_first() -> None:
    """So that the workers end together."""
    parts = choose_parts(listed("part_001.tar.br", "part_009.tar.lz4"), BACKUP, None)
    assert list(parts) == [f"{FOLDER}part_009.tar.lz4", f"{FOLDER}part_001.tar.br"]


@pytest.mark.parametrize(
    "name",
    [
        "part_001.tar.lz4_chunks/chunk0",
        "part_001.tar.lz4_chunks/composite1",
        "part_002.tar.lz4.tmp.20260102T030405Z-0123456789abcdef",
    ],
)
def test_leftovers_are_passed_over(name: str) -> None:
    """Those of WAL-G's uploads to GCS and to directories."""
    parts = choose_parts(listed("part_001.tar.lz4", name), BACKUP, None)
    assert list(parts) == [f"{FOLDER}part_001.tar.lz4"]


@pytest.mark.parametrize("names", [(), ("pg_control.tar.zst", "backup_label.tar.zst")])
def test_a_backup_has_more_than_its_last_parts(names: tuple[str, ...]) -> None:
    """For there is data in every cluster."""
    with pytest.raises(NotFoundError, match="has no partitions"):
        choose_parts(listed(*names), BACKUP, None)


@pytest.mark.parametrize(
    "names",
    [
        [f"part_{number:08d}.tar.lzo" for number in range(12)],
        [f"part_{number}.tar.lzo" for number in range(12)],
        ["part_00000000.tar.lzo", "part_1.tar.lzo", "notes.txt"],
    ],
)
def test_wal_e_numbers_from_zero(names: list[str]) -> None:
    """With any padding; what is no partition is not one."""
    wanted = {f"{FOLDER}{name}" for name in names if name.startswith("part_")}
    assert choose_parts(listed(*names), OF_WAL_E, None).keys() == wanted


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["part_1.tar.lzo"], "number 0"),
        (["part_0.tar.lzo", "part_2.tar.lzo"], "number 1"),
        (["part_0.tar.lzo", "part_00000000.tar.lzo"], "the same number"),
    ],
)
def test_a_hole_in_wal_es_numbers_is_corrupt(names: list[str], reason: str) -> None:
    """One is missing, or one is too many."""
    with pytest.raises(CorruptError, match=reason):
        choose_parts(listed(*names), OF_WAL_E, None)


def test_partitions_that_are_read_last() -> None:
    """By name, in any codec."""
    assert is_last(f"{FOLDER}pg_control.tar")
    assert is_last(f"{FOLDER}backup_label.tar.lz4")
    assert not is_last(f"{FOLDER}part_001.tar.zst")
    assert has_control(listed("part_001.tar.zst", "pg_control.tar.zst"))
    assert not has_control(listed("part_001.tar.zst", "backup_label.tar.zst"))
