"""Where an attribute comes from."""

from __future__ import annotations

import pytest

from provision.attributes import Resolved
from provision.errors import UsageError
from provision.explain import Explanation, explain, format_explanations
from provision.project import configure
from provision.schema import Row, documented
from tests.unit.provision.projects import project


def resolved() -> Resolved:
    """Resolve a host whose attributes come from everywhere."""
    found = project(
        inventory="""
            hosts:
              db-01:
                environment: production
                run_list: ["role[base]"]
                override_attributes: {pitr: {base_backup: {flags: [--full]}}}
        """,
        base="""
            run_list: ["recipe[pitr::archiving]"]
            default_attributes:
              postgresql:
                version: 15
                settings: {pg_stat_statements.max: "100"}
              pitr:
                archive: {timeout: 2min}
                encryption: {recipients: [a]}
                environment: {TOKEN: {secret: "bag:prod/token"}, GONE: x}
        """,
        environments__production="""
            default_attributes:
              pitr:
                archive: {timeout: 5min}
                encryption: {recipients: [b]}
            override_attributes:
              pitr:
                base_backup: null
                environment: {GONE: null}
        """,
    )
    return configure(found, found.inventory.hosts["db-01"]).resolved


def explained(path: str) -> Explanation:
    """Explain the one attribute of a path."""
    (found,) = explain(resolved(), path)
    return found


class TestExplain:
    """Every layer's value, its line, and the winner."""

    def test_the_winner_is_marked(self) -> None:
        """Role over environment by default."""
        found = explained("pitr.archive.timeout")
        assert found.value == "2min"
        assert [(said.layer, said.value, said.verdict) for said in found.said] == [
            ("schema", "1min", "overruled"),
            ("default · environment production", "5min", "overruled"),
            ("default · role base", "2min", "wins"),
        ]
        assert found.said[-1].origin == "roles/base.yml:8"

    def test_layers_that_add_are_told_apart(self) -> None:
        """All of them are in the value."""
        found = explained("pitr.encryption.recipients")
        assert found.value == "[b, a]"
        assert [said.verdict for said in found.said] == ["overruled", "adds", "adds"]

    def test_a_null_is_shown_with_what_it_forgets(self) -> None:
        """The value is gone, and one sees why."""
        found = explained("pitr.environment.GONE")
        assert found.value == "not set"
        assert [said.verdict for said in found.said] == ["forgotten", "forgets"]

    def test_a_secret_is_its_reference(self) -> None:
        """Values are not here."""
        assert explained("pitr.environment.TOKEN").value == '{secret: "bag:prod/token"}'

    def test_a_key_with_a_dot_is_found(self) -> None:
        """Settings of extensions have one."""
        assert explained("postgresql.settings.pg_stat_statements.max").value == '"100"'

    def test_what_is_derived_says_from_what(self) -> None:
        """The schema has no value of its own."""
        assert explained("postgresql.data_directory").value == "from version and cluster"

    def test_a_section_is_explained_by_its_attributes(self) -> None:
        """All that are below it."""
        paths = [each.path for each in explain(resolved(), "pitr.logrotate")]
        assert paths == ["pitr.logrotate.rotate", "pitr.logrotate.frequency"]

    @pytest.mark.parametrize(
        "row", [row for row in documented() if "[]" not in row.path], ids=lambda row: row.path
    )
    def test_whatever_is_documented_is_explained(self, row: Row) -> None:
        """Under the same path."""
        assert explain(resolved(), row.path)

    def test_what_does_not_exist_is_a_usage_error(self) -> None:
        """With the nearest path."""
        with pytest.raises(UsageError) as caught:
            explain(resolved(), "pitr.archive.time")
        assert caught.value.hint == "Did you mean pitr.archive.timeout?"

    def test_the_text_is_aligned(self) -> None:
        """A line a layer, and the winner has a star."""
        text = format_explanations(explain(resolved(), "pitr.archive.timeout"))
        assert text.splitlines() == [
            "pitr.archive.timeout: 2min",
            "After how long a segment that is not full is archived as well; 0s for never.",
            "     schema                            1min",
            "     default · environment production  5min  roles/environments/production.yml:4",
            "  *  default · role base               2min  roles/base.yml:8",
        ]
