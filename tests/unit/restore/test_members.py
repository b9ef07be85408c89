"""What members of a partition may be, whichever partition comes first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError
from backup_core.restore.members import Link, Members, judge_link, split_path, tablespace_of

PATHS = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(tuple)


@pytest.mark.parametrize(
    ("path", "fate"),
    [
        ("pg_wal", Link.DIRECTORY),
        ("pg_xlog", Link.DIRECTORY),
        ("pg_log", Link.DIRECTORY),
        ("pg_replslot", Link.DIRECTORY),
        ("pg_tblspc/16", Link.TABLESPACE),
        ("pg_tblspc/16/PG_14/5", Link.NOTHING),
        ("pg_tblspc/x", Link.NOTHING),
        ("base/pg_wal", Link.NOTHING),
        ("postgresql.conf", Link.NOTHING),
    ],
)
def test_no_link_is_made_as_it_was(path: str, fate: Link) -> None:
    """Directories that the server fills anew become empty ones, tablespaces are linked anew."""
    assert judge_link(split_path(path), frozenset({16})) is fate


def test_a_link_to_an_unknown_tablespace_is_corrupt() -> None:
    """Its data would be missing."""
    with pytest.raises(CorruptError, match="tablespace 17"):
        judge_link(("pg_tblspc", "17"), frozenset({16}))


@pytest.mark.parametrize("name", ["016", "1_6", "١٦", "", "x"])
def test_a_tablespace_is_a_plain_number(name: str) -> None:
    """Each has one name."""
    assert tablespace_of(("pg_tblspc", name)) is None


@given(members=st.lists(st.tuples(PATHS, st.booleans()), max_size=6))
def test_a_contradiction_is_found_in_any_order(
    members: list[tuple[tuple[str, ...], bool]],
) -> None:
    """A file twice, or something below a file, in whichever order they come."""

    def contradicts(order: list[tuple[tuple[str, ...], bool]]) -> bool:
        noted = Members()
        try:
            for parts, is_directory in order:
                noted.add("/".join(parts), is_directory=is_directory)
        except CorruptError:
            return True
        return False

    files = [parts for parts, is_directory in members if not is_directory]
    everything = [parts for parts, _ in members]
    expected = len(files) != len(set(files)) or any(
        other[: len(file)] == file and (other != file or (file, True) in members)
        for file in files
        for other in everything
    )
    assert contradicts(members) is expected
    assert contradicts(members[::-1]) is expected
