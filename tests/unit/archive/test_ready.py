"""What waits, in the server's order, and how much of it may be on its way."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from backup_core.archive.ready import has_room, in_order, status_directory, waiting
from tests.support.segments import FIRST, SECOND


def test_history_files_come_first_then_by_name() -> None:
    """As pgarch.c has it."""
    names = [SECOND, f"{FIRST}.partial", "00000003.history", FIRST, "00000002.history"]
    assert in_order(names) == [
        *("00000002.history", "00000003.history", FIRST, f"{FIRST}.partial", SECOND)
    ]


def test_what_is_done_does_not_wait(tmp_path: Path) -> None:
    """Only .ready files count, whatever else lies there."""
    folder = tmp_path / "pg_xlog" / "archive_status"
    folder.mkdir(parents=True)
    for name in (f"{FIRST}.done", f"{SECOND}.ready", "other"):
        (folder / name).touch()
    assert status_directory(str(tmp_path)) == str(folder)
    assert waiting(str(folder)) == [SECOND]


@given(
    in_flight=st.lists(st.integers(1, 100), max_size=8),
    size=st.integers(1, 200),
    workers=st.integers(1, 8),
    limit=st.integers(1, 300),
)
def test_the_bounds_hold_but_for_a_file_that_goes_alone(
    in_flight: list[int], size: int, workers: int, limit: int
) -> None:
    """Neither more files than workers nor more bytes than the limit, and never a standstill."""
    if has_room(in_flight, size, workers=workers, limit=limit):
        assert not in_flight or len(in_flight) + 1 <= workers
        assert not in_flight or sum(in_flight) + size <= limit
    else:
        assert in_flight
