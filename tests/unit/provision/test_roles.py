"""Roles, environments and attribute files as their files say."""

from __future__ import annotations

import pytest

from provision.errors import InputError
from provision.roles import Role, read_role
from tests.unit.provision.projects import errors, node, project


def role(text: str, name: str = "base") -> Role:
    """Read a role that is right."""
    problems: list[InputError] = []
    found = read_role(node(text), name, problems.append)
    assert not problems
    return found


class TestRole:
    """Chef's keys."""

    def test_all_keys_are_read(self) -> None:
        """Attributes become layers that are called by the role's name."""
        found = role("""
            name: base
            description: Every database host.
            run_list: ["recipe[pitr::tooling]"]
            default_attributes: {pitr: {profile: wal-g}}
            override_attributes: {pitr: {profile: wal-e}}
        """)
        assert (found.name, found.description) == ("base", "Every database host.")
        assert [str(item) for item in found.run_list("production")] == ["recipe[pitr::tooling]"]
        assert str(found.layers.default.name) == "default · role base"
        assert [each.value for each in found.layers.override.given.values()] == ["wal-e"]

    def test_a_role_needs_no_more_than_a_map(self) -> None:
        """The file's name is its name."""
        assert role("{}", "empty").name == "empty"

    def test_an_environment_can_have_a_run_list_of_its_own(self) -> None:
        """All others have `run_list`."""
        found = role("""
            run_list: ["recipe[pitr::drill]"]
            env_run_lists:
              staging: []
        """)
        assert found.run_list("staging") == ()
        assert len(found.run_list("production")) == 1

    def test_chefs_default_run_list_is_taken(self) -> None:
        """Under its name in Chef."""
        found = role("""
            env_run_lists:
              _default: ["recipe[pitr::drill]"]
              staging: []
        """)
        assert len(found.run_list("production")) == 1


class TestWrongFiles:
    """All that is wrong is said, with file and line."""

    @pytest.mark.parametrize(
        ("text", "message", "hint"),
        [
            ("- a", "roles/base.yml:1: role base: this is a list, not a map", ""),
            ("", "roles/base.yml:1: role base: this is empty, not a map", ""),
            ("name: bases", "roles/base.yml:1: name: bases is not the name of the file", "Rename"),
            ("runlist: []", "roles/base.yml:1: role base.runlist does not exist", "run_list"),
            ("default_attributes:", "default_attributes has no value", "{}"),
            ("default_attributes: null", "default_attributes has no value", ""),
            ("default_attributes: [a]", "attributes: this is a list, not a map", ""),
            ("run_list:", "run_list: this is empty, not a list", "[]"),
            ("env_run_lists: {staging: []}", "env_run_lists: _default is missing", "run_list"),
            (
                "{run_list: [], env_run_lists: {_default: []}}",
                "env_run_lists: _default is given as run_list, too",
                "once",
            ),
            ("env_run_lists: {_default: [], prod: []}", "there is no environment prod", "_default"),
        ],
    )
    def test_a_wrong_role_is_refused(self, text: str, message: str, hint: str) -> None:
        """With the words to write."""
        found = errors(base=text)
        assert message in found[0].message
        assert hint in (found[0].hint or "")

    def test_every_wrong_file_is_named(self) -> None:
        """And every wrong value in it, whether another layer hides it or not."""
        found = errors(
            base="""
                default_attributes:
                  pitr:
                    archive: {timeout: 60, enabld: true}
                    retention: {keep_full: none}
            """,
            replica="run_list: [archiving]",
            environments__production="attributes: {}",
        )
        assert [each.message.partition(" ")[0] for each in found] == [
            "roles/environments/production.yml:1:",
            "roles/base.yml:4:",
            "roles/base.yml:4:",
            "roles/base.yml:5:",
            "roles/replica.yml:1:",
        ]

    def test_the_default_environment_has_no_file(self) -> None:
        """Chef's `_default` cannot be changed."""
        assert "_default" in errors(environments___default="{}")[0].message

    def test_an_environment_has_no_run_list(self) -> None:
        """As in Chef."""
        (error,) = errors(environments__production="run_list: []")
        assert "environment production.run_list does not exist" in error.message

    def test_environments_and_attribute_files_are_read(self) -> None:
        """By their names."""
        found = project(
            environments__production="description: What matters.",
            attributes__common="default_attributes: {pitr: {profile: wal-e}}",
        )
        assert found.environments["production"].description == "What matters."
        assert list(found.attribute_files) == ["common"]
