"""One object of a file system, held against what it should be."""

from dataclasses import replace

import pytest

from provision.content import Content, SecretPart, SecretRef
from provision.plan.paths import compare_entry
from provision.resources.base import Entry
from provision.state import HostState, PathState
from tests.unit.provision.plan.states import comparison, file_state, state_of

FILE = Entry(path="/etc/x", kind="file", mode="0644", content=Content.of("a\nb\n"))
DIRECTORY = Entry(path="/etc/d", kind="directory", mode="0750", group="postgres")
LINK = Entry(path="/etc/l", kind="link", target="x")


@pytest.mark.parametrize("entry", [FILE, DIRECTORY, LINK])
def test_what_is_as_it_should_be_does_not_differ(entry: Entry) -> None:
    """Whatever it is."""
    state = HostState(paths={entry.path: state_of(entry)})
    assert compare_entry(entry, comparison(state)) is None


@pytest.mark.parametrize("entry", [FILE, DIRECTORY, LINK])
def test_what_is_not_there_is_created(entry: Entry) -> None:
    """Whatever it is."""
    difference = compare_entry(entry, comparison(HostState()))
    assert difference is not None
    assert difference.action == "create"


def test_other_bytes_are_a_diff() -> None:
    """Of what changes."""
    state = HostState(paths={"/etc/x": file_state("a\nc\n")})
    difference = compare_entry(FILE, comparison(state))
    assert difference is not None
    assert difference.action == "update"
    assert difference.diff[1:] == (" a", "-c", "+b")


@pytest.mark.parametrize(
    ("there", "note"),
    [
        ({"mode": "0600"}, "mode 0600 -> 0644"),
        ({"owner": "postgres"}, "owner postgres -> root"),
        ({"group": "adm"}, "group adm -> root"),
    ],
)
def test_owner_and_mode_are_notes(there: dict[str, str], note: str) -> None:
    """The bytes are right, so there is no diff."""
    state = HostState(paths={"/etc/x": file_state("a\nb\n", **there)})
    difference = compare_entry(FILE, comparison(state))
    assert difference is not None
    assert (difference.notes, difference.diff) == ((note,), ())


@pytest.mark.parametrize("kind", ["directory", "link", "other"])
def test_something_else_in_its_place_is_said(kind: str) -> None:
    """It is replaced, and the engineer knows what goes."""
    state = HostState(paths={"/etc/x": PathState(kind=kind)})  # type: ignore[arg-type]
    difference = compare_entry(FILE, comparison(state))
    assert difference is not None
    assert "not a file" in difference.notes[0]


def test_what_should_be_absent_is_deleted() -> None:
    """And stays so."""
    gone = Entry(path="/etc/x", kind="absent")
    difference = compare_entry(gone, comparison(HostState(paths={"/etc/x": file_state("")})))
    assert difference is not None
    assert difference.action == "delete"
    assert compare_entry(gone, comparison(HostState())) is None


def test_a_secret_that_is_not_at_hand_is_not_compared() -> None:
    """The file counts neither as right nor as wrong."""
    part = SecretPart(ref=SecretRef(scheme="env", name="MISSING"))
    secret = replace(FILE, content=Content.of("password=", part))
    difference = compare_entry(secret, comparison(HostState(paths={"/etc/x": file_state("x")})))
    assert difference is not None
    assert (difference.action, difference.notes) == (
        "unknown",
        ("not compared: env:MISSING is not set",),
    )


def test_a_secret_is_compared_by_its_value() -> None:
    """It is the same file only if the bytes are."""
    part = SecretPart(ref=SecretRef(scheme="env", name="KEY"))
    secret = replace(FILE, content=Content.of(part, "\n"))
    same = HostState(paths={"/etc/x": file_state("old-secret\n")})
    other = HostState(paths={"/etc/x": file_state("new-secret\n")})
    assert compare_entry(secret, comparison(same)) is None
    assert compare_entry(secret, comparison(other)) is not None
