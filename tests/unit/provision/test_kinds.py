"""The kinds of values that attributes take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision import kinds
from provision.content import SecretRef
from provision.errors import InputError
from provision.kinds import Kind
from provision.source import Node, parse
from provision.values import SIZE_UNITS, TIME_UNITS, Duration, PgVersion, Size, shown

WORDS = kinds.one_of("on", "always")
SMALL = kinds.integer(1, 10)
SPAN = kinds.duration("1s", "1d")
LIST = kinds.list_of(SMALL)
MAP = kinds.map_of(kinds.TEXT_OR_SECRET, r"[A-Z_]+", "name of a variable")


def value(text: str) -> Node:
    """Read one value of YAML."""
    return parse(text.encode(), "roles/x.yml")


def refusal(kind: Kind[object], text: str) -> InputError:
    """Return the error that a value is refused with."""
    with pytest.raises(InputError) as caught:
        kind.read(value(text), "pitr.thing")
    return caught.value


class TestReading:
    """Each kind takes what it says."""

    @pytest.mark.parametrize(
        ("kind", "text", "expected"),
        [
            (kinds.BOOLEAN, "true", True),
            (SMALL, "10", 10),
            (kinds.TEXT, "any text", "any text"),
            (kinds.TEXT, '"10"', "10"),
            (kinds.LINES, "|\n  a\n  b\n", "a\nb\n"),
            (WORDS, '"on"', "on"),
            (kinds.PATH, "/var/lib/pitr", "/var/lib/pitr"),
            (kinds.MODE, '"0640"', "0640"),
            (SPAN, "90s", Duration(seconds=90)),
            (SPAN, "1 d", Duration(seconds=86400)),
            (kinds.SIZE, "16MB", Size(bytes=16 << 20)),
            (kinds.USER_NAME, "gitlab-psql", "gitlab-psql"),
            (kinds.PG_VERSION, "9.6", PgVersion(major=9)),
            (kinds.PG_VERSION, "15", PgVersion(major=15)),
            (kinds.PG_VERSION, '"10"', PgVersion(major=10)),
            (kinds.SETTING, "0.9", 0.9),
            (kinds.SECRET, '{secret: "env:TOKEN"}', SecretRef(scheme="env", name="TOKEN")),
            (kinds.TEXT_OR_SECRET, "eu-west-1", "eu-west-1"),
            (LIST, "[1, 2]", (1, 2)),
            (LIST, "[]", ()),
            (MAP, "{A: b}", {"A": "b"}),
        ],
    )
    def test_a_value_is_read(self, kind: Kind[object], text: str, expected: object) -> None:
        """As its type says."""
        assert kind.read(value(text), "pitr.thing") == expected

    def test_a_schedule_is_canonical(self) -> None:
        """So that equal times compare equal."""
        assert kinds.SCHEDULE.read(value('"05 04 * * mon"'), "at").text == "5 4 * * 1"

    @given(st.integers(0, 10**6), st.sampled_from(sorted(TIME_UNITS)))
    def test_a_span_of_time_is_shown_as_it_can_be_written(self, number: int, unit: str) -> None:
        """Units are those of PostgreSQL."""
        span = Duration(seconds=number * TIME_UNITS[unit])
        assert kinds.duration("0s", f"{10**7}d").read(value(str(span)), "at") == span

    @given(st.integers(0, 10**9), st.sampled_from(sorted(SIZE_UNITS)))
    def test_a_size_is_shown_as_it_can_be_written(self, number: int, unit: str) -> None:
        """Units are those of PostgreSQL."""
        size = Size(bytes=number * SIZE_UNITS[unit])
        if len(str(size)) <= 12:
            assert kinds.SIZE.read(value(str(size)), "at") == size

    @given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1))
    def test_a_text_is_shown_as_it_can_be_written(self, text: str) -> None:
        """An explanation can be pasted back."""
        assert kinds.TEXT.read(value(shown(text)), "at") == text


class TestRefusing:
    """What a kind does not take is refused at its line, by the attribute's name."""

    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            (kinds.BOOLEAN, '"true"'),
            (kinds.BOOLEAN, "1"),
            (SMALL, "0"),
            (SMALL, "11"),
            (SMALL, "1.0"),
            (SMALL, "true"),
            (SMALL, '"5"'),
            (kinds.TEXT, "5"),
            (kinds.TEXT, '""'),
            (kinds.TEXT, '"a\\nb"'),
            (kinds.TEXT, "[a]"),
            (kinds.TEXT, '{secret: "env:X"}'),
            (kinds.LINES, '"a\\tb\\0"'),
            (WORDS, "of"),
            (WORDS, "true"),
            (kinds.PATH, "/"),
            (kinds.PATH, "relative"),
            (kinds.PATH, "/a/../b"),
            (kinds.PATH, "/a//b"),
            (kinds.PATH, "/a/"),
            (kinds.PATH, '"/a\\nb"'),
            (kinds.MODE, "640"),
            (kinds.MODE, '"640"'),
            (kinds.MODE, '"0o640"'),
            (kinds.MODE, '"0888"'),
            (SPAN, "60"),
            (SPAN, "0s"),
            (SPAN, "2d"),
            (SPAN, "1.5h"),
            (SPAN, "8hours"),
            (SPAN, "8H"),
            (kinds.SIZE, "16"),
            (kinds.SIZE, "16mb"),
            (kinds.USER_NAME, "Postgres"),
            (kinds.USER_NAME, "root:x"),
            (kinds.PG_VERSION, "9.5"),
            (kinds.PG_VERSION, "9.60"),
            (kinds.PG_VERSION, "15.4"),
            (kinds.PG_VERSION, "19"),
            (kinds.PG_VERSION, "true"),
            (kinds.SCHEDULE, '"61 * * * *"'),
            (kinds.SCHEDULE, "5"),
            (kinds.SETTING, "null"),
            (kinds.SETTING, "[a]"),
            (kinds.SECRET, "hunter22"),
            (kinds.SECRET, "{secret: hunter22}"),
            (kinds.SECRET, "{secrets: env:X}"),
            (kinds.SECRET, "{secret: [a]}"),
            (LIST, "1"),
            (LIST, "[1, a]"),
            (MAP, "{a: b}"),
        ],
    )
    def test_a_wrong_value_is_refused(self, kind: Kind[object], text: str) -> None:
        """The message begins with the line and the attribute's path."""
        assert refusal(kind, text).message.startswith("roles/x.yml:1: pitr.thing")

    @pytest.mark.parametrize(
        ("kind", "text", "hint"),
        [
            (SPAN, "8H", "write 8h"),
            (kinds.SIZE, "16mb", "write 16MB"),
            (kinds.PG_VERSION, "15.4", "15"),
            (kinds.MODE, "640", '"0640"'),
            (kinds.TEXT, "5", '"5"'),
            (WORDS, "alway", "Did you mean always?"),
            (WORDS, "true", '"on" or "always"'),
            (kinds.SECRET, "hunter22", '{secret: "bag:BAG/ITEM"}'),
        ],
    )
    def test_the_hint_says_what_to_write(self, kind: Kind[object], text: str, hint: str) -> None:
        """In the words of the file."""
        assert hint in (refusal(kind, text).hint or "")

    @pytest.mark.parametrize("text", ["hunter22", "{secret: hunter22}", "{secret: env:hunter-22}"])
    def test_a_pasted_secret_is_not_repeated(self, text: str) -> None:
        """An error is printed, logged and kept by CI."""
        error = refusal(kinds.SECRET, text)
        assert "hunter" not in error.message + (error.hint or "")

    def test_an_item_is_named_by_its_number(self) -> None:
        """And by its own line."""
        message = refusal(LIST, "\n- 1\n- x\n").message
        assert message.startswith("roles/x.yml:3: pitr.thing[1]")
