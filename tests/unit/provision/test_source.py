"""YAML with its lines kept, and without its traps."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import InputError
from provision.source import MOST_ALIASED, Mapping, Node, Scalar, Sequence, load, parse
from tests.unit.provision.projects import node

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]


def plain(value: Node) -> Plain:
    """Return a node without its lines."""
    if isinstance(value, Scalar):
        return value.value
    if isinstance(value, Sequence):
        return [plain(each) for each in value.items]
    return {str(key.value): plain(each) for key, each in value.items}


def value_of(text: str) -> Plain:
    """Return what stands under `key`."""
    found = plain(parse(f"key: {text}\n".encode(), "x.yml"))
    assert isinstance(found, dict)
    return found["key"]


def refusal(text: str | bytes) -> InputError:
    """Return the error that a file is refused with."""
    with pytest.raises(InputError) as caught:
        parse(text if isinstance(text, bytes) else text.encode(), "roles/x.yml")
    return caught.value


class TestValues:
    """What every reader of YAML agrees on."""

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("15", 15),
            ("-3", -3),
            ("0", 0),
            ("0.5", 0.5),
            ("9.6", 9.6),
            ("true", True),
            ("false", False),
            ("null", None),
            ("~", None),
            ("", None),
            ("replica", "replica"),
            ("8GB", "8GB"),
            ("10.0.0.1", "10.0.0.1"),
            ("s3://bucket/prefix", "s3://bucket/prefix"),
            ("0 2 * * *", "0 2 * * *"),
            ('"0640"', "0640"),
            ("'on'", "on"),
            ('""', ""),
            ("[a, 1]", ["a", 1]),
            ("{a: {b: 1}}", {"a": {"b": 1}}),
            ("|\n  one\n  two\n", "one\ntwo\n"),
        ],
    )
    def test_undisputed_words_have_their_type(self, text: str, value: Plain) -> None:
        """A number is a number, and what only resembles one is a text."""
        found = value_of(text)
        assert found == value
        assert type(found) is type(value)

    def test_the_text_as_written_is_kept(self) -> None:
        """A version 9.60 is not 9.6, though the numbers are equal."""
        found = node("v: 9.60")
        assert isinstance(found, Mapping)
        version = found.get("v")
        assert isinstance(version, Scalar)
        assert version.text == "9.60"

    def test_every_value_knows_its_line(self) -> None:
        """Lines count from 1, and a file is called what the caller says."""
        found = node("a: 1\nb:\n  - c\n  - d\n", "roles/base.yml")
        assert isinstance(found, Mapping)
        items = found.get("b")
        assert isinstance(items, Sequence)
        assert str(items.items[1].origin) == "roles/base.yml:4"

    def test_an_empty_file_is_null(self) -> None:
        """So that who asked for a map can say what is missing."""
        found = parse(b"# nothing yet\n", "x.yml")
        assert isinstance(found, Scalar)
        assert found.is_empty

    def test_an_alias_repeats_its_anchor(self) -> None:
        """Plain aliases mean the same everywhere."""
        assert plain(node("a: &x [1, 2]\nb: *x")) == {"a": [1, 2], "b": [1, 2]}


class TestTraps:
    """What readers of YAML disagree on is refused, with the words to write instead."""

    @pytest.mark.parametrize(
        "word",
        [
            *("0640", "010", "0o640", "0x1F", "0b11", "1_000", "08", "+012"),
            *("on", "off", "yes", "no", "y", "n", "ON", "No", "Y"),
            *("12:30:00", "12:30", "1:1", "190:20:30.15"),
            *("2024-05-01", "2024-5-1", "2024-05-01T12:00:00Z", "2024-05-01 12:00:00 +00:00"),
            *("1e3", "1.5e3", "1.0e+3", "12e03", ".5", "5.", "-.5", "01.5", "1_0.5"),
            *(".inf", "-.INF", ".nan", "=", "<<"),
        ],
    )
    def test_a_disputed_word_is_refused(self, word: str) -> None:
        """Also as a key, and in a list; in quotes it is a text."""
        for text in (f"a: 1\nkey: {word}\n", f"- x\n- {word}\n"):
            error = refusal(text)
            assert error.message.startswith("roles/x.yml:2: ")
            assert f'"{word}"' in (error.hint or "")
        assert refusal(f"a: 1\n{word}: 1\n").message.startswith("roles/x.yml:2: ")
        assert value_of(f'"{word}"') == word

    @given(st.from_regex(r"[-+]?[0-9][0-9_.:eExobTZ+-]{0,12}", fullmatch=True))
    def test_a_word_is_read_as_yaml_1_1_reads_it_or_not_at_all(self, word: str) -> None:
        """Whatever begins with a digit."""
        try:
            found = value_of(word)
        except InputError:
            return
        assert yaml.safe_load(f"key: {word}\n") == {"key": found}

    @pytest.mark.parametrize(
        ("text", "line", "words"),
        [
            ("a: 1\nb: 2\na: 3\n", 3, "the key a is in line 1 already"),
            ("a: 1\n'a': 3\n", 2, "the key a is in line 1 already"),
            ("a: !!str 5\n", 1, "the tag"),
            ("a: ! 5\n", 1, "the tag"),
            ("a: !ruby/object 5\n", 1, "the tag"),
            ("a: &x {b: 1}\nc:\n  <<: *x\n", 3, "merge keys are not taken"),
            ("a: 1\n---\nb: 1\n", 2, "a second document"),
            ("%YAML 1.1\n---\na: 1\n", 1, "a line that begins with %"),
            ("a: *b\n", 1, "no anchor &b"),
            ("a: &x [*x]\n", 1, "within what it repeats"),
            ("a: &x 1\nb: &x 2\n", 2, "the anchor &x is there already"),
            ("1: a\n", 1, "a key must be a text"),
            ("[a]: b\n", 1, "a key must be a text"),
            ("null: b\n", 1, "a key must be a text"),
            ("a: 1\n\tb: 2\n", 2, "this is not YAML"),
            ("a: * 2 * * *\n", 1, "this is not YAML"),
            ("a: b: c\n", 1, "this is not YAML"),
            ("a: [1\nb: 2\n", 2, "this is not YAML"),
            ("a: 1\n b: 2\n", 2, "this is not YAML"),
            ("a: 1\nb: \x07\n", 2, "U+0007"),
            ("a: 1\nb: x\u2028y\n", 2, "U+2028"),
            ("\ufeffa: 1\n", 1, "U+FEFF"),
        ],
    )
    def test_a_file_is_refused_at_its_line(self, text: str, line: int, words: str) -> None:
        """The message names the line that has to change."""
        message = refusal(text).message
        assert message.startswith(f"roles/x.yml:{line}: ")
        assert words in message

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("a:\n\tb: 1\n", "Indent with blanks"),
            ("a: *\n", "written in quotes"),
            ("a: @daily\n", "written in quotes"),
            ("a: b: c\n", "colon"),
            ('a: "\\d"\n', "doubled"),
        ],
    )
    def test_a_common_slip_has_a_hint(self, text: str, words: str) -> None:
        """What to write stands in the hint."""
        assert words in (refusal(text).hint or "")

    def test_what_is_not_utf_8_is_refused_at_its_line(self) -> None:
        """Latin-1 reads without an error in many editors."""
        assert refusal(b"a: 1\nb: caf\xe9\n").message == "roles/x.yml:2: this is not UTF-8"

    def test_aliases_cannot_multiply_without_bounds(self) -> None:
        """Ten aliases of ten aliases, and so on, are a small file."""
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        for level in range(1, 8):
            names = ", ".join([f"*a{level - 1}"] * 10)
            lines.append(f"a{level}: &a{level} [{names}]")
        assert f"more than {MOST_ALIASED}" in refusal("\n".join(lines)).message

    def test_nesting_is_bounded(self) -> None:
        """A recursive reader has an end."""
        assert "levels deep" in refusal("[" * 500 + "]" * 500).message

    def test_a_file_that_cannot_be_read_is_an_error_of_input(self, tmp_path: Path) -> None:
        """Not a traceback."""
        with pytest.raises(InputError, match="No such file"):
            load(tmp_path / "none.yml")


WORDS = st.from_regex(r"[a-z/][a-zA-Z0-9 ._:/%'\"#-]{0,20}", fullmatch=True).filter(
    lambda word: word.lower() not in ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
)
VALUES: st.SearchStrategy[Plain] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


class TestRoundTrip:
    """What another program wrote comes back as it was."""

    @given(st.dictionaries(WORDS, VALUES, max_size=4), st.booleans())
    def test_what_is_dumped_is_loaded(self, value: dict[str, Plain], flow: bool) -> None:
        """Whatever has no traps, in block style and in flow style."""
        text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
        assert plain(parse(text.encode(), "x.yml")) == value

    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def test_any_text_comes_back_out_of_quotes(self, text: str) -> None:
        """Control characters, signs and traps alike."""
        dumped = yaml.safe_dump({"key": text}, default_style='"')
        assert plain(parse(dumped.encode(), "x.yml")) == {"key": text}

    @given(st.binary(max_size=60))
    def test_any_bytes_are_read_or_refused(self, data: bytes) -> None:
        """Nothing but InputError comes out."""
        with suppress(InputError):
            parse(data, "x.yml")

    @given(st.text("ab:-{}[]&*!|>%@#'\"\n ,?\t0<", max_size=40))
    def test_any_signs_are_read_or_refused(self, text: str) -> None:
        """Nothing but InputError comes out."""
        with suppress(InputError):
            parse(text.encode(), "x.yml")
