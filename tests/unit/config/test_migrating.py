"""docs/migrating.md and the configuration say the same of every variable of WAL-E and WAL-G."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backup_core.config.foreign import FOREIGN_SUFFIXES, OWN_NAMES
from backup_core.errors import ConfigError
from tests.unit.config.arrange import S3, from_environment

PAGE = (Path(__file__).parents[3] / "docs/migrating.md").read_text(encoding="utf-8")
TABLES = PAGE[PAGE.index("## WAL-G's settings") :]
ROW = re.compile(
    r"^\| (`.+) \| (same|different|no effect|refused|theirs|not read) \|", re.MULTILINE
)
FATES = [
    (name, fate) for names, fate in ROW.findall(TABLES) for name in re.findall(r"`(\w+)`", names)
]


def named(*fates: str) -> list[str]:
    """The variables with one of these fates, each once."""
    return sorted({name for name, fate in FATES if fate in fates})


def suffix(name: str) -> str:
    """A variable's name without a tool's prefix: the table has one spelling of several."""
    return name.removeprefix("WALG_").removeprefix("WALE_")


def test_every_row_is_understood() -> None:
    """A fate that is misspelt would not be checked."""
    rows = [line for line in TABLES.splitlines() if line.startswith("| `")]
    assert len(rows) == len(ROW.findall(TABLES)) > 100


@pytest.mark.parametrize("name", named("same", "different"))
def test_what_is_followed_is_a_setting(name: str) -> None:
    """It sets something, under this very name."""
    assert name in OWN_NAMES


@pytest.mark.parametrize("name", named("no effect"))
def test_what_has_no_effect_says_so(name: str) -> None:
    """A warning names the variable."""
    warnings = from_environment(**S3, **{name: "x"}).warnings
    assert any(warning.startswith(f"{name} has no effect: ") for warning in warnings)


@pytest.mark.parametrize("name", named("refused"))
def test_what_is_refused_is_refused_by_name(name: str) -> None:
    """An error names the variable and says what to do."""
    with pytest.raises(ConfigError, match=rf"environment {name} ") as caught:
        from_environment(**S3, **{name: "x"})
    assert caught.value.hint


@pytest.mark.parametrize("name", named("theirs", "not read"))
def test_what_is_not_read_is_left_alone(name: str) -> None:
    """Neither a warning nor an error, and no setting."""
    assert name not in OWN_NAMES
    assert from_environment(**S3, **{name: "x"}).warnings == ()


def test_every_setting_of_theirs_that_is_known_is_in_the_tables() -> None:
    """What the configuration knows by WAL-G's or WAL-E's prefix, whatever becomes of it."""
    known = {suffix(name) for name in OWN_NAMES if name.startswith(("WALG_", "WALE_"))}
    assert not (known | FOREIGN_SUFFIXES) - {suffix(name) for name, _ in FATES}
