"""The table of settings: complete, shown, documented, and silent about secrets."""

from __future__ import annotations

import string
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.config import Settings, describe, values
from backup_core.config.row import Row
from backup_core.config.table import TABLE
from backup_core.errors import ConfigError
from tests.unit.config.arrange import REPOSITORY, from_environment, refusal

ROOT = Path(__file__).parents[3]


class TestDescription:
    """What `pitr config` and the manual say of the table."""

    def test_every_setting_has_a_row_and_every_row_a_setting(self) -> None:
        """The table and the dataclass go together."""
        assert [item.name for item in fields(Settings)] == list(TABLE)

    def test_defaults_pass_their_own_parsers(self) -> None:
        """What is shown for a setting can be set again."""
        for shown in describe(from_environment(**REPOSITORY)):
            if shown.value:
                value = getattr(from_environment(**REPOSITORY).settings, shown.name)
                assert TABLE[shown.name].parse(shown.value) == value

    def test_it_shows_value_and_origin(self) -> None:
        """One row tells what is in force and since where."""
        shown = {row.name: row for row in describe(from_environment(**REPOSITORY))}
        assert (shown["repository"].value, shown["repository"].origin) == (
            "file:///backups",
            "environment WALG_FILE_PREFIX",
        )

    @pytest.mark.parametrize("name", TABLE)
    def test_the_manual_lists_every_setting(self, name: str) -> None:
        """docs/settings.md has each setting with its variables, its default and its meaning."""
        row = TABLE[name]
        default = row.default or row.show(getattr(Settings(repository="file:///x"), name))
        variables = ", ".join(f"`{variable}`" for variable in row.environment_names(name))
        line = f"| `{name}` | {variables} | {default} | {row.about} |"
        assert line in (ROOT / "docs/settings.md").read_text(encoding="utf-8").splitlines()


class TestSecrets:
    """A row that is marked secret."""

    ROW = Row(parse=values.integer(0, 9), about="A secret number.", secret=True)

    def test_its_value_is_masked(self) -> None:
        """It shows that it is set, not what it is set to."""
        assert self.ROW.show(7) == "********"

    def test_its_error_does_not_repeat_it(self) -> None:
        """A secret that is wrong is still a secret."""
        with pytest.raises(ConfigError) as caught:
            self.ROW.read("hunter2", "environment PITR_PIN")
        assert caught.value.message == "environment PITR_PIN: the value cannot be used"
        assert "hunter2" not in (caught.value.hint or "")


@given(text=st.text(alphabet=string.printable, max_size=20))
@pytest.mark.parametrize("name", TABLE)
def test_a_value_is_read_or_refused_with_a_hint(name: str, text: str) -> None:
    """Bad input of any kind is one clear error that says what to do."""
    assert refusal(TABLE[name].parse, text) != ""
