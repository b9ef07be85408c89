"""A file of checks is read or refused with a hint, and an answer is judged as it was meant."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.drill.checks import SqlCheck, complaint, read_checks
from backup_core.errors import ConfigError
from tests.support.backups import NOON


def check(**expectation: object) -> SqlCheck:
    """A check with this expectation."""
    return SqlCheck(name="c", query="select 1", **expectation)  # type: ignore[arg-type]


def read(tmp_path: Path, text: str) -> tuple[SqlCheck, ...]:
    """Read a file with this text."""
    path = tmp_path / "checks.toml"
    path.write_text(text)
    return read_checks(path)


def test_a_file_has_everything_that_a_check_can_say(tmp_path: Path) -> None:
    """What is left out has its default: the database postgres, and t as the answer."""
    text = """
        [[check]]
        name = "short"
        query = "select true"
        [[check]]
        name = "long"
        database = "shop"
        query = '''select count(*)
                   from orders'''
        at_least = 1000
        timeout = 60
        [[check]]
        name = "fresh"
        query = "select max(at) from orders"
        max_age = 900
    """
    short, long, fresh = read(tmp_path, text)
    assert (short.database, short.expect, short.timeout) == ("postgres", "t", 300)
    assert (long.database, str(long.at_least), long.timeout) == ("shop", "1000", 60)
    assert fresh.max_age == 900


@pytest.mark.parametrize(
    "text",
    [
        "",
        "check = 1",
        "[[check]]",
        "[[check]]\nname = 'a'",
        "[[check]]\nname = 'a'\nquery = ' '",
        "[[check]]\nname = 'a'\nquery = 'q'\nexpects = 't'",
        "[[check]]\nname = 'a'\nquery = 'q'\nexpect = true",
        "[[check]]\nname = 'a'\nquery = 'q'\nexpect = 't'\nat_least = 1",
        "[[check]]\nname = 'a'\nquery = 'q'\nat_least = 'many'",
        "[[check]]\nname = 'a'\nquery = 'q'\nmax_age = -1",
        "[[check]]\nname = 'a'\nquery = 'q'\n" * 2,
        "[[checks]]\nname = 'a'\nquery = 'q'",
        "not toml",
    ],
)
def test_what_is_no_check_is_refused(tmp_path: Path, text: str) -> None:
    """A key with a typing error must not become a check that always passes."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert caught.value.hint


@given(text=st.text(max_size=20))
def test_an_answer_is_compared_as_psql_shows_it(text: str) -> None:
    """Nothing, null, is no answer."""
    assert complaint(check(expect=text), text, NOON) is None
    assert complaint(check(expect=text), f"{text}x", NOON)
    assert complaint(check(expect=text), None, NOON) == (
        f"the answer is nothing, and is to be {text!r}"
    )


@given(least=st.integers(-(10**20), 10**20), more=st.integers(0, 10**20))
def test_a_number_is_at_least(least: int, more: int) -> None:
    """Also beyond the precision of floating point."""
    assert complaint(check(at_least=least), str(least + more), NOON) is None
    assert complaint(check(at_least=least), str(least - more - 1), NOON)


@pytest.mark.parametrize("answer", [None, "", "many", "t"])
def test_what_is_no_number_or_time_is_no_good_answer(answer: str | None) -> None:
    """An empty table has no newest row."""
    assert "no number" in (complaint(check(at_least=1), answer, NOON) or "")
    assert "no time" in (complaint(check(max_age=1.0), answer, NOON) or "")


def test_an_age_counts_back_from_the_moment_recovered_to() -> None:
    """With or without a zone, which is UTC then."""
    young = f"{NOON - timedelta(seconds=59):%Y-%m-%d %H:%M:%S}"
    assert complaint(check(max_age=60.0), f"{young}+00", NOON) is None
    assert complaint(check(max_age=60.0), young, NOON) is None
    old = complaint(check(max_age=60.0), f"{young}+01", NOON) or ""
    assert re.search(r"is 3659 s old, and may be 60 s", old)
