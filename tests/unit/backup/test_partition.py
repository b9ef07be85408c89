"""Files in partitions: each once, none split, the largest first."""

from hypothesis import given
from hypothesis import strategies as st

from backup_core.backup.partition import plan_partitions
from backup_core.postgres.datadir import DataFile

SIZES = st.lists(st.integers(0, 1 << 30), max_size=60)


def files(sizes: list[int]) -> list[DataFile]:
    """Files of these sizes."""
    return [
        DataFile(path=f"base/1/{n}", source="", size=size, mode=0o600, mtime=0, uid=0, gid=0)
        for n, size in enumerate(sizes)
    ]


@given(sizes=SIZES, threshold=st.integers(1, 1 << 31), workers=st.integers(1, 16))
def test_every_file_is_in_exactly_one_partition(
    sizes: list[int], threshold: int, workers: int
) -> None:
    """Whatever the sizes and the limits; and there is always a partition."""
    planned = plan_partitions(files(sizes), threshold=threshold, workers=workers)
    assert sorted(file.path for part in planned for file in part.files) == sorted(
        file.path for file in files(sizes)
    )
    assert planned


@given(sizes=SIZES, threshold=st.integers(1, 1 << 31), workers=st.integers(1, 16))
def test_only_a_single_file_may_exceed_the_threshold(
    sizes: list[int], threshold: int, workers: int
) -> None:
    """A file is never split, so it may be larger by itself."""
    for part in plan_partitions(files(sizes), threshold=threshold, workers=workers):
        assert part.size <= threshold or len([file for file in part.files if file.size]) == 1


@given(sizes=SIZES, workers=st.integers(1, 16))
def test_the_largest_partition_is_begun_first(sizes: list[int], workers: int) -> None:
    """Else a large one begun last would keep a single worker busy; names are WAL-G's."""
    planned = plan_partitions(files(sizes), threshold=1 << 30, workers=workers)
    found = [part.size for part in planned]
    assert found == sorted(found, reverse=True)
    assert [part.name for part in planned] == [f"part_{n:03d}" for n in range(1, len(found) + 1)]
