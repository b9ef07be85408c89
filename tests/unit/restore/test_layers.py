"""Of every file it is decided, before anything is read, which backups it comes from."""

from collections.abc import Iterator

import pytest

from backup_core.errors import CorruptError
from backup_core.repository.files_metadata import FilesMetadata, FileState, path_key
from backup_core.restore.layers import Action, LayerPlan, choose_tars, plan_layers

FULL, SKIPPED, INCREMENTED = FileState.FULL, FileState.SKIPPED, FileState.INCREMENTED
IGNORE, CREATE, APPLY = Action.IGNORE, Action.CREATE, Action.APPLY


def listed(number: int, **states: FileState) -> FilesMetadata:
    """The list of backup `number`, which stores each file in a partition named after it."""
    return FilesMetadata(
        backup=f"base_{number}",
        entries={
            path: (place + 1) * 4 + state for place, (path, state) in enumerate(states.items())
        },
        tars=tuple(f"{path}.tar" for path in states),
    )


def actions(plan: LayerPlan, path: str) -> list[Action]:
    """What is done with a file's member in each layer, newest first."""
    return [plan.action(layer, path) for layer in range(len(plan.layers))]


def test_a_file_comes_from_its_newest_whole_copy_and_the_increments_since() -> None:
    """A backup that skips it adds nothing, and what is older than the whole copy is not used."""
    plan = plan_layers(
        [
            listed(4, a=INCREMENTED),
            listed(3, a=SKIPPED),
            listed(2, a=INCREMENTED),
            listed(1, a=FULL),
            listed(0, a=FULL),
        ]
    )
    assert actions(plan, "/a") == [APPLY, IGNORE, APPLY, CREATE, IGNORE]


def test_the_newest_backup_says_which_files_there_are() -> None:
    """A file that was dropped since does not come back."""
    plan = plan_layers([listed(1, a=FULL), listed(0, a=FULL, dropped=FULL)])
    assert actions(plan, "dropped") == [IGNORE, IGNORE]


def test_a_file_stored_whole_in_the_newest_hides_every_older_one() -> None:
    """Older backups may hold it as an increment to something else, or not at all."""
    plan = plan_layers([listed(2, a=FULL), listed(1, a=INCREMENTED), listed(0)])
    assert actions(plan, "a") == [CREATE, IGNORE, IGNORE]


def test_a_chain_may_be_long() -> None:
    """Longer than a byte has bits, too."""
    deltas = [listed(number, a=INCREMENTED) for number in range(40, 0, -1)]
    plan = plan_layers([*deltas, listed(0, a=FULL)])
    assert actions(plan, "a") == [APPLY] * 40 + [CREATE]


@pytest.mark.parametrize("state", [SKIPPED, INCREMENTED])
def test_a_file_that_an_older_backup_does_not_list_is_corrupt(state: FileState) -> None:
    """There is nothing its changes could belong to."""
    with pytest.raises(CorruptError, match='base_0 does not list "a"'):
        plan_layers([listed(1, a=state), listed(0, b=FULL)])


@pytest.mark.parametrize("state", [SKIPPED, INCREMENTED])
def test_a_full_backup_that_holds_only_changes_is_corrupt(state: FileState) -> None:
    """There is none older."""
    with pytest.raises(CorruptError, match=r'stored whole in no backup .* base_0: "a"'):
        plan_layers([listed(1, a=SKIPPED), listed(0, a=state)])


def test_d1_a_backup_without_a_list_is_no_backup_without_files() -> None:
    """Nothing is planned on it."""
    with pytest.raises(CorruptError, match="base_1 lists no files"):
        plan_layers([listed(1), listed(0, a=FULL)])
    with pytest.raises(CorruptError, match='base_0 does not list "a"'):
        plan_layers([listed(1, a=SKIPPED), listed(0)])


def test_one_list_at_a_time_is_enough() -> None:
    """Each is asked for once, after the one before was used."""
    asked: list[int] = []

    def lists() -> Iterator[FilesMetadata]:
        for number in (1, 0):
            asked.append(number)
            yield listed(number, a=SKIPPED if number else FULL)

    assert actions(plan_layers(lists()), "a") == [IGNORE, CREATE]
    assert asked == [1, 0]


def test_d23_a_member_is_found_by_a_name_that_is_not_utf_8() -> None:
    """Its entry in the list has replaced the bytes."""
    plan = plan_layers([FilesMetadata(backup="b", entries={path_key("caf\udce9"): FULL})])
    assert plan.action(0, "/caf\udce9") is CREATE


def test_only_the_partitions_that_are_needed_are_read() -> None:
    """Of the newest backup all are, of an older one those with files that newer ones build on."""
    plan = plan_layers(
        [listed(1, a=INCREMENTED, b=FULL, c=SKIPPED), listed(0, a=FULL, b=FULL, c=FULL, d=FULL)]
    )
    stored = ["a.tar", "b.tar", "c.tar", "d.tar", "pg_control.tar", "backup_label.tar.lz4"]
    assert choose_tars(plan, 1, stored) == ["a.tar", "c.tar"]
    assert choose_tars(plan, 0, stored) == stored


def test_where_partitions_are_not_listed_all_are_read() -> None:
    """But pg_control and backup_label, which only the newest backup gives."""
    old = FilesMetadata(backup="base_0", entries={"a": FULL})
    plan = plan_layers([listed(1, a=SKIPPED), old])
    assert choose_tars(plan, 1, ["pg_control.tar.br", "x.tar.br"]) == ["x.tar.br"]


@pytest.mark.parametrize("layer", [0, 1])
def test_a_partition_that_is_listed_and_not_there_is_corrupt(layer: int) -> None:
    """In each backup, if it is needed."""
    plan = plan_layers([listed(1, a=INCREMENTED), listed(0, a=FULL)])
    with pytest.raises(CorruptError, match=r"lacks 1 of its partitions: a\.tar"):
        choose_tars(plan, layer, ["b.tar"])


def test_of_the_newest_backup_every_listed_partition_must_be_there() -> None:
    """Such as that of the backup label, of which no file is listed."""
    files = FilesMetadata(
        backup="base_0", entries={"a": 4 + FULL, "backup_label": 8}, tars=("a.tar", "label.tar")
    )
    with pytest.raises(CorruptError, match=r"lacks 1 of its partitions: label\.tar"):
        choose_tars(plan_layers([files]), 0, ["a.tar"])


def test_a_partition_that_is_not_needed_may_be_missing() -> None:
    """An operator who lost one still has what can be had."""
    plan = plan_layers([listed(1, a=FULL), listed(0, a=FULL)])
    assert choose_tars(plan, 1, []) == []


def test_a_file_that_vanished_while_the_newest_backup_ran_is_absent() -> None:
    """What older backups restored of it is listed, to be removed."""
    plan = plan_layers([listed(1, a=INCREMENTED, b=FULL, c=SKIPPED), listed(0, a=FULL, c=FULL)])
    assert plan.vanished(0, set()) == ["a"]
    assert plan.vanished(0, {"a"}) == []


def test_a_file_that_is_not_in_the_backup_a_newer_one_builds_on_is_corrupt() -> None:
    """Its content is nowhere."""
    plan = plan_layers([listed(1, a=SKIPPED, b=FULL), listed(0, a=FULL, b=FULL)])
    assert plan.vanished(1, {"a"}) == []
    with pytest.raises(CorruptError, match=r'base_0 lacks 1 files .* "a"'):
        plan.vanished(1, {"b"})
