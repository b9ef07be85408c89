"""What others changed since the last apply, in its classes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provision.content import Content
from provision.journal import applied
from provision.plan.drift import Drift, drift_of
from provision.resources.base import Entry
from provision.state import ABSENT, HostState, Journal, JournalEntry, PathState
from tests.unit.provision.plan.states import file_state, resolve, state_of

FILE = Entry(path="/etc/a", kind="file", mode="0640", content=Content.of("x\n"))
LINK = Entry(path="/etc/b", kind="link", target="b.d/000001")
JOURNAL = Journal(
    applied_at="2026-01-01T00:00:00+00:00",
    applied_by="me",
    revision="",
    resources=(
        JournalEntry(id="file[/etc/a]", objects=(applied(FILE, resolve),)),
        JournalEntry(id="link[/etc/b]", objects=(applied(LINK, resolve),)),
    ),
)
AS_APPLIED = HostState(paths={"/etc/a": state_of(FILE), "/etc/b": state_of(LINK)}, journal=JOURNAL)


def drifted(path: str, state: PathState) -> tuple[Drift, ...]:
    """What is said of a host with one object that differs."""
    return drift_of("db1", replace(AS_APPLIED, paths={**AS_APPLIED.paths, path: state}), ())


def test_a_host_as_it_was_applied_has_none() -> None:
    """Whatever the roles say by now."""
    assert drift_of("db1", AS_APPLIED, ()) == ()


def test_a_host_that_was_never_applied_is_another_thing() -> None:
    """Nothing on it is ours, and so nothing drifted."""
    assert [each.kind for each in drift_of("db1", HostState(), ())] == ["never_applied"]


@pytest.mark.parametrize(
    ("path", "state", "note"),
    [
        ("/etc/a", file_state("y\n", mode="0640"), "content changed"),
        ("/etc/a", file_state("x\n", mode="0644"), "mode 0640 -> 0644"),
        ("/etc/a", file_state("x\n", mode="0640", owner="me"), "owner root -> me"),
        ("/etc/a", PathState(kind="directory"), "a file became a directory"),
        ("/etc/b", PathState(kind="link", target="elsewhere"), "target b.d/000001 -> elsewhere"),
    ],
)
def test_what_was_changed_by_hand_says_how(path: str, state: PathState, note: str) -> None:
    """Bytes, mode, owner, kind, target."""
    (drift,) = drifted(path, state)
    assert (drift.kind, drift.path, drift.notes) == ("changed", path, (note,))


def test_what_is_gone_is_missing() -> None:
    """Not changed."""
    (drift,) = drifted("/etc/a", ABSENT)
    assert (drift.kind, drift.path) == ("missing", "/etc/a")


def test_an_apply_that_ended_in_the_middle_is_told() -> None:
    """The next one takes it back."""
    kinds = [each.kind for each in drift_of("db1", replace(AS_APPLIED, interrupted=True), ())]
    assert kinds == ["interrupted"]


def test_what_the_server_runs_with_counts_too() -> None:
    """The file is right, and something beats it."""
    (drift,) = drift_of("db1", AS_APPLIED, ("work_mem is overridden by /x",))
    assert (drift.kind, drift.notes) == ("server", ("work_mem is overridden by /x",))
