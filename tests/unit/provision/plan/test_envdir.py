"""An envdir changes as a whole: any difference is a new generation."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.content import Content
from provision.plan.envdir import compare_envdir
from provision.plan.model import Change
from provision.resources.envdir import Envdir
from provision.state import HostState, PathState
from tests.unit.provision.plan.states import ORIGIN, comparison, file_state, state_of

NAME = "/etc/pitr.d/env"
STORE = PathState(kind="directory", owner="root", group="postgres", mode="0750")


def envdir(**variables: str) -> Envdir:
    """An envdir with these variables."""
    contents = tuple((name, Content.of(value, "\n")) for name, value in variables.items())
    return Envdir(name=NAME, group="postgres", variables=contents, origin=ORIGIN)


def applied(resource: Envdir, number: int = 1) -> dict[str, PathState]:
    """The paths of a host on which a generation is in force."""
    paths = {entry.path: state_of(entry) for entry in resource.generation(number)}
    return {resource.store: STORE, **paths}


def compare(resource: Envdir, paths: Mapping[str, PathState]) -> Change | None:
    """Compare with a host that has these paths."""
    return compare_envdir(resource, comparison(HostState(paths=paths)))


names = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)


@given(st.dictionaries(names, values, max_size=6), st.integers(1, 500))
def test_what_was_applied_does_not_change(variables: dict[str, str], number: int) -> None:
    """In whatever generation."""
    resource = envdir(**variables)
    assert compare(resource, applied(resource, number)) is None


@given(
    st.dictionaries(names, values, max_size=6),
    st.dictionaries(names, values, max_size=6),
    st.integers(1, 500),
)
def test_any_difference_is_the_next_generation(
    before: dict[str, str], after: dict[str, str], number: int
) -> None:
    """Which has every variable and is in force only by its last entry, the link."""
    change = compare(envdir(**after), applied(envdir(**before), number))
    if before == after:
        assert change is None
        return
    assert change is not None
    generation = f"{NAME}.d/{number + 1:06d}"
    paths = [entry.path for entry in change.entries]
    assert paths == [f"{NAME}.d", generation, *(f"{generation}/{name}" for name in after), NAME]
    assert change.entries[-1].target == f"env.d/{number + 1:06d}"


def test_a_variable_that_is_not_ours_is_seen() -> None:
    """An editor's backup copy would be loaded as a variable."""
    resource = envdir(A="1")
    paths = applied(resource) | {f"{NAME}.d/000001/A~": file_state("0\n")}
    change = compare(resource, paths)
    assert change is not None
    assert "A~ is not ours" in change.notes


@pytest.mark.parametrize("mode", ["0644", "0600"])
def test_a_mode_that_was_changed_by_hand_is_seen(mode: str) -> None:
    """Too open, or unreadable for the server."""
    resource = envdir(A="1")
    paths = applied(resource)
    paths[f"{NAME}.d/000001/A"] = file_state("1\n", group="postgres", mode=mode)
    change = compare(resource, paths)
    assert change is not None
    assert f"mode {mode} -> 0640" in change.notes[0]


def test_a_generation_that_an_interrupted_apply_left_is_not_written_into() -> None:
    """The next number is free."""
    resource = envdir(A="2")
    paths = applied(envdir(A="1")) | {f"{NAME}.d/000007": STORE}
    change = compare(resource, paths)
    assert change is not None
    assert change.entries[1].path == f"{NAME}.d/000008"


def test_a_real_directory_of_another_tool_is_replaced() -> None:
    """What is in it is compared, so that only what differs is shown."""
    paths = {
        NAME: PathState(kind="directory", owner="root", group="postgres", mode="0750"),
        f"{NAME}/A": file_state("1\n"),
        f"{NAME}/B": file_state("x\n"),
    }
    change = compare(envdir(A="1", B="2"), paths)
    assert change is not None
    assert change.diff[1:] == ("-x", "+2")
    assert change.entries[-1].kind == "link"
