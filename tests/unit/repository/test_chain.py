"""A chain of delta backups is proven from the documents before anything is fetched."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from backup_core.errors import CorruptError, NotFoundError, RefusedError
from backup_core.postgres.lsn import Lsn
from backup_core.repository.chain import chain
from backup_core.repository.sentinel import Backup
from tests.support.backups import BACKUP

FULL = replace(BACKUP, name="full", start_lsn=Lsn(100), finish_lsn=Lsn(110))
FIRST = replace(
    BACKUP,
    name="first",
    start_lsn=Lsn(200),
    finish_lsn=Lsn(210),
    delta_from="full",
    delta_lsn=Lsn(100),
    delta_full_name="full",
    delta_count=1,
)
SECOND = replace(
    FIRST,
    name="second",
    start_lsn=Lsn(300),
    finish_lsn=Lsn(310),
    delta_from="first",
    delta_lsn=Lsn(200),
    delta_count=2,
)


def names(backup: Backup, others: Sequence[Backup]) -> list[str]:
    """The names in the chain of a backup among others."""
    return [item.name for item in chain(backup, {item.name: item for item in others})]


def test_a_chain_leads_from_the_newest_to_the_full_backup() -> None:
    """Other backups beside it do not matter."""
    assert names(SECOND, [FULL, FIRST, SECOND, BACKUP]) == ["second", "first", "full"]


def test_a_full_backup_is_its_own_chain() -> None:
    """It needs no other."""
    assert names(FULL, []) == ["full"]


def test_a_missing_parent_is_named() -> None:
    """By whom it is missed, too."""
    with pytest.raises(NotFoundError, match="first is made on full") as caught:
        names(SECOND, [FIRST])
    assert caught.value.hint


def test_a_backup_made_on_itself_is_corrupt() -> None:
    """No endless loop."""
    loop = replace(FIRST, delta_from="second", delta_lsn=SECOND.start_lsn, start_lsn=Lsn(400))
    tail = replace(SECOND, delta_lsn=Lsn(400), start_lsn=Lsn(500), finish_lsn=Lsn(390))
    with pytest.raises(CorruptError, match="made on itself"):
        names(tail, [replace(loop, finish_lsn=Lsn(300), delta_lsn=Lsn(500)), tail])


def test_d17_a_parent_that_was_replaced_is_corrupt() -> None:
    """Two backups of a standby can get one name; the later one takes the earlier one's place."""
    replaced = replace(FULL, start_lsn=Lsn(104))
    with pytest.raises(CorruptError, match=r"a full that began at 0/64.*0/68"):
        names(FIRST, [replaced])


def test_another_full_backup_than_the_one_named_is_corrupt() -> None:
    """Every delta names the end of its chain."""
    with pytest.raises(CorruptError, match="second names other"):
        names(replace(SECOND, delta_full_name="other"), [FIRST, FULL])


def test_a_parent_of_another_cluster_is_refused() -> None:
    """Two clusters share the repository."""
    with pytest.raises(RefusedError, match="first is of system"):
        names(FIRST, [replace(FULL, system_identifier=7)])


def test_a_system_identifier_that_was_not_recorded_is_no_difference() -> None:
    """Early versions left it out."""
    assert names(FIRST, [replace(FULL, system_identifier=None)]) == ["first", "full"]


def test_a_parent_that_had_not_ended_is_corrupt() -> None:
    """A delta is taken on a complete backup."""
    with pytest.raises(CorruptError, match="before its parent full"):
        names(FIRST, [replace(FULL, finish_lsn=Lsn(201))])


def test_fewer_backups_counted_than_there_are_is_corrupt() -> None:
    """The count is of the backups below."""
    with pytest.raises(CorruptError, match="counts 1 backups below it, but there are 2"):
        names(replace(SECOND, delta_count=1), [FIRST, FULL])


def test_more_backups_counted_than_there_are_is_how_some_settings_count() -> None:
    """With WALG_DELTA_ORIGIN=LATEST_FULL the number goes on from the latest backup."""
    assert names(replace(FIRST, delta_count=5), [FULL]) == ["first", "full"]
