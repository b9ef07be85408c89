"""Run lists and their expansion."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import InputError
from provision.run_list import (
    RECIPES,
    RunList,
    RunListItem,
    expand,
    format_trace,
    read_run_list,
)
from provision.source import Origin
from tests.unit.provision.projects import node

NOWHERE = Origin(file="x.yml", line=1)


def items(*texts: str) -> RunList:
    """Read items as a run list has them."""
    return read_run_list(node("".join(f'- "{text}"\n' for text in texts) or "[]"))


class TestItems:
    """Chef's words, of which some are refused."""

    def test_recipes_and_roles_are_read(self) -> None:
        """They are shown as they are written."""
        written = ["recipe[pitr::base_backup]", "role[gprd-base]"]
        assert [str(item) for item in items(*written)] == written

    @pytest.mark.parametrize(
        ("item", "hint"),
        [
            ("recipe[archiving]", "recipe[pitr::archiving]"),
            ("recipe[pitr]", "recipe[pitr::NAME]"),
            ("recipe[pitr::archiving@1.2.0]", "Leave out the version"),
            ("recipe[pitr::archivng]", "Did you mean archiving?"),
            ("recipe[postgresql::server]", "The only cookbook is pitr"),
            ("archiving", "recipe[pitr::NAME]"),
            ("role[a b]", "letters"),
            ("role[]", "letters"),
            ("roles[base]", "role[NAME]"),
            ("recipe[pitr::]", "There are"),
        ],
    )
    def test_what_is_not_taken_says_what_to_write(self, item: str, hint: str) -> None:
        """The message names the line."""
        with pytest.raises(InputError, match=r"roles/base\.yml:1: run_list: ") as caught:
            items(item)
        assert hint in (caught.value.hint or "")

    @pytest.mark.parametrize("text", ["base", "{a: b}", "- 5", "- [a]", "- {a: b}"])
    def test_a_run_list_is_a_list_of_texts(self, text: str) -> None:
        """Whatever else is refused."""
        with pytest.raises(InputError, match="run_list: this is"):
            read_run_list(node(text))


class TestExpansion:
    """Depth first, each role and each recipe once."""

    def test_included_roles_come_before_the_one_that_includes_them(self) -> None:
        """So the outer role's attributes win."""
        roles = {
            "outer": items("role[inner]", "recipe[pitr::drill]"),
            "inner": items("recipe[pitr::tooling]"),
        }
        found = expand(items("role[outer]", "recipe[pitr::monitoring]"), roles, by="host a")
        assert found.roles == ("inner", "outer")
        assert found.recipes == ("tooling", "drill", "monitoring")

    def test_the_trace_tells_who_included_what(self) -> None:
        """And what was met before."""
        roles = {"a": items("role[b]"), "b": items("recipe[pitr::drill]")}
        found = expand(items("role[a]", "role[b]"), roles, by="host x")
        assert [(str(step.item), step.by, step.skipped) for step in found.trace] == [
            ("role[a]", "host x", False),
            ("role[b]", "role a", False),
            ("recipe[pitr::drill]", "role b", False),
            ("role[b]", "host x", True),
        ]
        assert format_trace(found).splitlines() == [
            "role[a]",
            "  role[b]",
            "    recipe[pitr::drill]",
            "role[b]  (met before)",
        ]

    def test_all_missing_roles_are_named_with_who_includes_them(self) -> None:
        """One run shows all that is missing."""
        roles = {"base": items("recipe[pitr::drill]", "role[bas]")}
        with pytest.raises(InputError) as caught:
            expand(items("role[base]", "role[replica]"), roles, by="host db-01")
        assert caught.value.message == (
            "roles/base.yml:2: role[bas], included by role base, does not exist; "
            "nor does role[replica], included by host db-01 (roles/base.yml:2)"
        )
        assert caught.value.hint == "Did you mean base?"

    def test_roles_that_include_each_other_end(self) -> None:
        """The second mention is passed over."""
        roles = {"a": items("role[b]"), "b": items("role[a]", "recipe[pitr::drill]")}
        assert expand(items("role[a]"), roles, by="host x").roles == ("b", "a")


NAMES = "abcdef"
ITEMS = st.builds(
    lambda kind, index: RunListItem(
        kind=kind, name=NAMES[index] if kind == "role" else RECIPES[index], origin=NOWHERE
    ),
    st.sampled_from(["recipe", "role"]),
    st.integers(0, len(NAMES) - 1),
)
RUN_LISTS = st.lists(ITEMS, max_size=5).map(tuple)
ROLES = st.fixed_dictionaries(dict.fromkeys(NAMES, RUN_LISTS))


def walk(run_list: RunList, roles: dict[str, RunList], met: list[str]) -> list[RunListItem]:
    """Return all items in the order in which they are left, written as plainly as can be."""
    left: list[RunListItem] = []
    for item in run_list:
        if item.kind == "recipe":
            left.append(item)
        elif item.name not in met:
            met.append(item.name)
            left += [*walk(roles[item.name], roles, met), item]
    return left


class TestExpansionOfAnyRoles:
    """Whatever includes whatever, loops as well."""

    @given(RUN_LISTS, ROLES)
    def test_order_is_that_of_a_walk(self, run_list: RunList, roles: dict[str, RunList]) -> None:
        """Recipes where they are first met, roles where they are left."""
        found = expand(run_list, roles, by="host x")
        left = walk(run_list, roles, [])
        assert found.recipes == tuple(
            dict.fromkeys(item.name for item in left if item.kind == "recipe")
        )
        assert found.roles == tuple(item.name for item in left if item.kind == "role")

    @given(RUN_LISTS, ROLES)
    def test_all_that_can_be_reached_is_met_once(
        self, run_list: RunList, roles: dict[str, RunList]
    ) -> None:
        """Nothing is lost and nothing is applied twice."""
        reached: set[str] = set()
        waiting = [item.name for item in run_list if item.kind == "role"]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += [item.name for item in roles[name] if item.kind == "role"]
        assert sorted(expand(run_list, roles, by="host x").roles) == sorted(reached)
