"""The order of hosts, and what many hosts together have to say."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.apply import HostResult, Status, batches
from provision.catalog import Catalog
from provision.cli.apply import exit_code
from provision.cli.fleet import rules_of
from provision.errors import ProvisionError, worst
from provision.job import HostJob
from provision.journal import (
    dump_hold,
    dump_journal,
    dump_paths,
    in_force,
    parse_hold,
    parse_journal,
)
from provision.observation import ServerAddress
from provision.plan.groups import groups, sentence, summary
from provision.plan.model import Change, HostPlan, Plan
from provision.plan.model import Status as PlanStatus
from provision.plan.text import text_of
from provision.state import Applied, Hold, Journal, JournalEntry
from provision.transport import Target

SERVER = ServerAddress(user="postgres", psql="psql", sockets="/run", port=5432, data_directory="/d")
STATUSES: tuple[Status, ...] = (
    "applied",
    "unchanged",
    "failed",
    "rolled_back",
    "refused",
    "unreachable",
    "held",
    "not_started",
)


def job(name: str) -> HostJob:
    """A host."""
    target = Target(name=name, address=name, user="me", port=22, gateway=None)
    catalog = Catalog.of(name, [])
    return HostJob(target=target, catalog=catalog, server=SERVER, rules=rules_of(15), restart=())


def order(primaries: list[bool], canary: int) -> list[list[str]]:
    """The batches of hosts db0, db1 ... of which some are primaries."""
    names = [f"db{number}" for number in range(len(primaries))]
    plans = {
        name: HostPlan(host=name, primary=primary)
        for name, primary in zip(names, primaries, strict=True)
    }
    found = batches([job(name) for name in names], plans, canary)
    return [[each.host for each in batch] for batch in found]


class TestOrder:
    """Replicas before primaries, a canary before the others."""

    def test_replicas_come_first_and_one_of_each_alone(self) -> None:
        """Then the others of its kind together."""
        assert order([True, False, False, False, True], 1) == [
            ["db1"],
            ["db2", "db3"],
            ["db0"],
            ["db4"],
        ]

    def test_more_canaries_go_one_after_another(self) -> None:
        """Not together."""
        assert order([False] * 4, 2) == [["db0"], ["db1"], ["db2", "db3"]]

    def test_without_canaries_all_of_a_kind_go_together(self) -> None:
        """--canary 0."""
        assert order([False, True, False], 0) == [["db0", "db2"], ["db1"]]

    @given(primaries=st.lists(st.booleans(), max_size=12), canary=st.integers(0, 15))
    def test_every_host_has_its_turn_once(self, primaries: list[bool], canary: int) -> None:
        """And no primary before a replica."""
        turns = list(itertools.chain.from_iterable(order(primaries, canary)))
        assert sorted(turns) == sorted(f"db{number}" for number in range(len(primaries)))
        ranks = [primaries[int(name.removeprefix("db"))] for name in turns]
        assert ranks == sorted(ranks)


class TestExitCode:
    """One code for all hosts."""

    @given(codes=st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 130]), max_size=8))
    def test_the_first_of_130_1_5_4_3_2_0_counts(self, codes: list[int]) -> None:
        """Whatever the order of the hosts."""
        expected = next((code for code in (130, 1, 5, 4, 3, 2) if code in codes), 0)
        assert worst(codes) == worst(reversed(codes)) == expected

    @pytest.mark.parametrize(
        ("statuses", "code"),
        [
            (["applied", "unchanged"], 0),
            (["refused", "held"], 3),
            (["unreachable", "refused"], 4),
            (["applied", "unreachable"], 5),
            (["applied", "refused"], 5),
            (["unchanged", "unreachable"], 4),
            (["rolled_back", "not_started", "unreachable"], 5),
        ],
    )
    def test_of_an_apply(self, statuses: list[Status], code: int) -> None:
        """Some changed and others not is 5, whatever kept them."""
        results = [HostResult(host=str(n), status=each) for n, each in enumerate(statuses)]
        assert exit_code(results) == code

    @given(statuses=st.lists(st.sampled_from(STATUSES), min_size=1))
    def test_only_a_whole_success_is_0(self, statuses: list[Status]) -> None:
        """An automation that looks at nothing else is right."""
        results = [HostResult(host=str(n), status=each) for n, each in enumerate(statuses)]
        assert (exit_code(results) == 0) == (set(statuses) <= {"applied", "unchanged"})

    @pytest.mark.parametrize(
        ("statuses", "code"),
        [(["ok"], 2), (["ok", "held"], 3), (["held", "unreachable"], 4), (["error", "ok"], 1)],
    )
    def test_of_a_plan(self, statuses: list[PlanStatus], code: int) -> None:
        """Changes are 2 unless something is worse."""
        change = Change(id="file[/a]", action="update")
        hosts = tuple(
            HostPlan(host=str(n), status=each, changes=(change,)) for n, each in enumerate(statuses)
        )
        assert worst(Plan(hosts=hosts).exit_codes) == code


class TestGroups:
    """A change of many hosts is read once."""

    A = Change(id="file[/a]", action="update", path="/a", diff=("-x", "+y"))

    def test_equal_changes_are_one_with_all_their_hosts(self) -> None:
        """In the plan's order."""
        hosts = tuple(HostPlan(host=name, changes=(self.A,)) for name in ("db2", "db1"))
        (group,) = groups(Plan(hosts=hosts))
        assert group.hosts == ("db2", "db1")

    def test_another_diff_is_another_change(self) -> None:
        """Though it is the same file."""
        other = Change(id="file[/a]", action="update", path="/a", diff=("-x", "+z"))
        plan = Plan(
            hosts=(HostPlan(host="a", changes=(self.A,)), HostPlan(host="b", changes=(other,)))
        )
        assert [group.hosts for group in groups(plan)] == [("a",), ("b",)]

    def test_the_sentence_counts(self) -> None:
        """Changes that only are skipped or unknown are none."""
        skipped = Change(id="file[/b]", action="skip")
        plan = Plan(
            hosts=(
                HostPlan(host="a", changes=(self.A, skipped)),
                HostPlan(host="b", changes=(skipped,)),
                HostPlan(host="c", status="unreachable", problem="c: nobody answers"),
            )
        )
        assert (summary(plan).changed, summary(plan).unchanged, summary(plan).failed) == (1, 1, 1)
        assert sentence(plan) == (
            "0 to create, 1 to update, 0 to delete; 1 host to change, 1 as they should be; "
            "1 host not compared"
        )
        assert "! c: c: nobody answers" in text_of(plan)


class TestJournal:
    """What is left on a host about itself."""

    JOURNAL = Journal(
        applied_at="2026-01-01T00:00:00+00:00",
        applied_by="me",
        revision="abc",
        resources=(
            JournalEntry(
                id="file[/a]",
                objects=(Applied(path="/a", kind="file", mode="0644", digest="d"),),
            ),
            JournalEntry(id="block[/b]", objects=()),
        ),
    )

    def test_it_is_read_as_it_was_written(self) -> None:
        """By the next apply, perhaps of another version."""
        assert parse_journal(dump_journal(self.JOURNAL)) == self.JOURNAL
        assert parse_journal("") is None

    def test_the_hosts_list_has_files_and_those_with_blocks(self) -> None:
        """All that has to be looked at next time."""
        assert dump_paths(self.JOURNAL) == "/a\n/b\n"

    @pytest.mark.parametrize("text", ["{", "[]", '{"format": 9}', '{"format": 1}'])
    def test_a_damaged_one_is_refused(self, text: str) -> None:
        """Without it our files would be taken for somebody else's."""
        with pytest.raises(ProvisionError, match="damaged"):
            parse_journal(text)

    @pytest.mark.parametrize(
        ("until", "holds"),
        [("", True), ("2026-01-01T00:00:01+00:00", True), ("2026-01-01T00:00:00+00:00", False)],
    )
    def test_a_hold_ends_by_itself(self, until: str, holds: bool) -> None:
        """Or never."""
        hold = Hold(who="me", why="looking", until=until)
        assert parse_hold(dump_hold(hold)) == hold
        assert in_force(hold, datetime(2026, 1, 1, tzinfo=UTC)) == holds
