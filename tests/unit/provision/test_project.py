"""A project read from a directory or from anywhere else, and its hosts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from provision.errors import InputError
from provision.project import belongs, choose, configure, configure_all, load
from provision.selection import Selectors
from provision.values import PgVersion
from tests.unit.provision.projects import BASE, errors, project

ROLE_OF_ALL = {
    "base": "run_list: ['recipe[pitr::archiving]']",
    "environments__production": """
        default_attributes: {pitr: {profile: wal-g}}
        override_attributes: {pitr: {retention: {keep_full: 9}}}
    """,
    "attributes__a": """
        default_attributes: {postgresql: {version: 14}, pitr: {profile: wal-e}}
    """,
    "attributes__b": "default_attributes: {postgresql: {version: 16}}",
}


class TestLoading:
    """Files belong to a project by their names."""

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("roles/base.yml", True),
            ("roles/base.yaml", True),
            ("roles/inventory.yml", True),
            ("roles/environments/production.yml", True),
            ("roles/attributes/common.yml", True),
            ("roles/data_bags/production.yml", False),
            ("roles/environments/old/production.yml", False),
            ("roles/README.md", False),
            ("roles/.base.yml", False),
            ("roles/base.yml~", False),
            ("base.yml", False),
        ],
    )
    def test_a_file_belongs_or_not(self, name: str, expected: bool) -> None:
        """A checkout has other files, too."""
        assert belongs(name) is expected

    def test_a_directory_is_read(self, tmp_path: Path) -> None:
        """Errors and origins name files relative to it."""
        (tmp_path / "roles").mkdir()
        (tmp_path / "roles/base.yml").write_text("default_attributes: {postgresql: {version: 17}}")
        (tmp_path / "roles/inventory.yml").write_text('hosts: {a: {run_list: ["role[base]"]}}')
        found = load(tmp_path)
        host = configure(found, found.inventory.hosts["a"])
        assert host.attributes.postgresql.version == PgVersion(major=17)
        assert str(host.resolved.origin("postgresql.version")) == "roles/base.yml:1"

    def test_a_directory_without_an_inventory_is_refused(self, tmp_path: Path) -> None:
        """Whatever else is in it."""
        with pytest.raises(InputError, match=r"^roles/inventory\.yml: there is none"):
            load(tmp_path)

    def test_the_first_of_many_errors_is_raised(self) -> None:
        """The survey has them all."""
        first, second = errors(base="a: 1", other="b: 2")
        with pytest.raises(InputError) as caught:
            project(base="a: 1", other="b: 2")
        assert str(caught.value) == first.message != second.message


class TestHosts:
    """A host's attributes, from all files."""

    def test_the_ladder_has_all_files(self) -> None:
        """Attribute files by name, then the environment, then roles, then the host."""
        found = project(
            **ROLE_OF_ALL,
            inventory="""
                hosts:
                  a:
                    environment: production
                    run_list: ["role[base]"]
                    default_attributes: {pitr: {retention: {keep_full: 3}}}
            """,
        )
        host = configure(found, found.inventory.hosts["a"])
        assert host.expansion.recipes == ("archiving",)
        assert host.attributes.postgresql.version == PgVersion(major=16)
        assert host.attributes.pitr.profile == "wal-g"
        assert host.attributes.pitr.retention.keep_full == 9

    def test_what_every_host_needs_is_asked_for(self) -> None:
        """At the host's line."""
        found = project(base="run_list: ['recipe[pitr::archiving]']")
        hosts, (error,) = configure_all(found)
        assert hosts == ()
        assert error.message == "roles/inventory.yml:3: postgresql.version is not set for db-01"

    def test_a_host_that_runs_nothing_needs_nothing(self) -> None:
        """So it can be cleared of what was ours."""
        found = project(inventory="hosts: {a: {run_list: []}}")
        (host,), problems = configure_all(found)
        assert host.expansion.recipes == ()
        assert problems == ()

    def test_an_error_of_many_hosts_is_said_once(self) -> None:
        """A role's mistake is not five hundred."""
        found = project(
            base="default_attributes: {postgresql: {version: 15, settings: {no_such: 1}}}",
            inventory="""
                groups: {all: {hosts: [a, b], run_list: ["role[base]"]}}
                hosts: {a: {}, b: {}}
            """,
        )
        _, problems = configure_all(found)
        assert [each.message for each in problems] == [
            "roles/base.yml:1: postgresql.settings: PostgreSQL 15 has no setting no_such"
        ]

    def test_hosts_are_chosen_by_roles_that_roles_include(self) -> None:
        """Not only by those in their own run list."""
        found = project(
            base=BASE,
            replica='run_list: ["role[base]"]',
            inventory="""
            hosts:
              a: {run_list: ["role[replica]"]}
              b: {run_list: ["recipe[pitr::drill]"]}
        """,
        )
        assert [host.name for host in choose(found, Selectors(roles=("base",)))] == ["a"]

    def test_five_hundred_hosts_take_well_under_a_second_each_way(self) -> None:
        """A plan in CI is not to wait for this."""
        hosts = "".join(
            f"  db-{number}:\n    run_list: ['role[base]']\n    override_attributes:\n"
            f"      postgresql: {{settings: {{max_connections: {number + 100}}}}}\n"
            for number in range(500)
        )
        began = time.process_time()
        configured, problems = configure_all(project(inventory=f"hosts:\n{hosts}"))
        assert (len(configured), problems) == (500, ())
        assert time.process_time() - began < 2.5
