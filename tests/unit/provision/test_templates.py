"""A template takes only what is quoted for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision import quoting
from provision.content import Content, SecretPart, SecretRef
from provision.errors import InputError
from provision.templates import Templates

SECRET = SecretPart(ref=SecretRef(scheme="env", name="KEY"))


@pytest.fixture
def templates(tmp_path: Path) -> Templates:
    """A directory of templates, empty so far."""
    return Templates(tmp_path / "templates")


def write(templates: Templates, text: str, *, name: str = "a") -> None:
    """Put a template there."""
    templates.directory.mkdir(exist_ok=True)
    (templates.directory / name).write_text(text)


def refusal(templates: Templates, name: str = "a", **values: object) -> InputError:
    """The error of a rendering that must not succeed."""
    with pytest.raises(InputError) as caught:
        templates.render(name, **values)
    return caught.value


class TestPlainTexts:
    """Forgetting to quote is an error."""

    def test_a_plain_text_names_the_line_where_it_stands(self, templates: Templates) -> None:
        """Whatever the text is, a harmless one too."""
        write(templates, "{# sinks: sh #}\n#!/bin/sh\nexec {{ program }}\n")
        error = refusal(templates, program="true")
        assert str(error) == "templates/a:3: a str is not quoted"
        assert error.hint == "Quote it, as in {{ value | sh }}."

    @pytest.mark.parametrize("value", [None, True, 1.5, ["a"], b"a", Content.of("a")])
    def test_nothing_but_whole_numbers_goes_unquoted(
        self, templates: Templates, value: object
    ) -> None:
        """What None, true or a list should look like depends on the place."""
        write(templates, "{# sinks: sh #}\n{{ value }}")
        assert str(refusal(templates, value=value)).startswith("templates/a:2: ")

    def test_joining_makes_a_plain_text_again(self, templates: Templates) -> None:
        """Words are joined before they are quoted, as a command."""
        write(templates, "{# sinks: sh #}\n{{ words | join(' ') }}")
        assert "is not quoted" in str(refusal(templates, words=[quoting.sh("a")]))

    def test_a_constant_of_the_template_is_no_exception(self, templates: Templates) -> None:
        """Whoever means it writes it without braces."""
        write(templates, "{# sinks: sh #}\n{{ 'true' }}")
        assert "is not quoted" in str(refusal(templates))

    def test_an_included_template_is_named_itself(self, templates: Templates) -> None:
        """The line is the one to mend."""
        write(templates, "{# sinks: sh #}\n{% include 'b' %}\n")
        write(templates, "{# sinks: sh #}\n\n{{ value }}\n", name="b")
        assert str(refusal(templates, value="x")).startswith("templates/b:3: ")


class TestPlaces:
    """A template says for what it has room."""

    def test_what_is_quoted_for_another_place_is_refused(self, templates: Templates) -> None:
        """Words of a shell mean something else in a unit."""
        write(templates, "{# sinks: systemd #}\nExecStart={{ command }}\n")
        error = refusal(templates, command=quoting.sh_command(["/bin/echo", "a b"]))
        assert str(error) == "templates/a:2: it is quoted for sh; here stands systemd"

    def test_several_kinds_of_place_are_listed(self, templates: Templates) -> None:
        """A script has comments; the line itself leaves nothing behind."""
        write(templates, "{# sinks: sh, comment #}\n# {{ note | comment }}\nexec {{ word | sh }}\n")
        content = templates.render("a", note="two\nlines", word="a b")
        assert content == Content.of("# two lines\nexec 'a b'\n")

    def test_a_template_that_does_not_say_it_is_wrong(self, templates: Templates) -> None:
        """Otherwise nothing could be checked."""
        write(templates, "exec {{ word | sh }}\n")
        assert "does not say what stands in it" in str(refusal(templates, word="a"))

    def test_a_filter_that_refuses_names_the_line(self, templates: Templates) -> None:
        """The text came from a role; where it was to go is known here."""
        write(templates, "{# sinks: pg_conf #}\n\nx = {{ value | pg_conf }}\n")
        assert str(refusal(templates, value="a\nb")).startswith("templates/a:3: ")


class TestTrouble:
    """A wrong template is an error of the input with file and line."""

    @pytest.mark.parametrize("use", ["{{ nothing }}", "{{ nothing | sh }}", "{{ value.nothing }}"])
    def test_a_missing_value_is_an_error(self, templates: Templates, use: str) -> None:
        """An empty text in its place would be a different command."""
        write(templates, f"{{# sinks: sh #}}\n\n\n{use}\n")
        error = refusal(templates, value=quoting.sh("a"))
        assert str(error).startswith("templates/a:4: ")
        assert "nothing" in str(error)

    def test_a_syntax_error_is_an_error(self, templates: Templates) -> None:
        """Found when the template is first used."""
        write(templates, "{# sinks: sh #}\n{% if %}\n")
        assert str(refusal(templates)).startswith("templates/a:2: ")

    def test_a_template_that_is_not_there_is_an_error(self, templates: Templates) -> None:
        """The message names it."""
        write(templates, "")
        assert "templates/b" in str(refusal(templates, "b"))


class TestSecrets:
    """Secrets pass through as references."""

    def test_a_secret_comes_out_as_a_part(self, templates: Templates) -> None:
        """Its value is quoted when it is revealed, for the place where it stands."""
        write(templates, "{# sinks: pgpass #}\ndb:*:*:pitr:{{ password | pgpass_field }}\n")
        content = templates.render("a", password=SECRET)
        assert content.references == (SECRET.ref,)
        assert content.reveal(lambda _: "a:b") == b"db:*:*:pitr:a\\:b\n"

    def test_a_secret_needs_quoting_as_any_text(self, templates: Templates) -> None:
        """Nobody knows its value here."""
        write(templates, "{# sinks: pgpass #}\n{{ password }}\n")
        assert "a SecretPart is not quoted" in str(refusal(templates, password=SECRET))

    def test_a_text_around_a_secret_is_quoted_with_it(self, templates: Templates) -> None:
        """A connection string with a password is one value of a setting."""
        write(templates, "{# sinks: pg_conf #}\nx = {{ value | pg_conf }}\n")
        value = Content.of("user='a' password=", SECRET)
        content = templates.render("a", value=value)
        assert content.reveal(lambda _: "it's") == b"x = 'user=''a'' password=it''s'\n"

    def test_rendering_again_gives_an_equal_content(self, templates: Templates) -> None:
        """So a plan finds no difference where there is none."""
        write(templates, "{# sinks: sh #}\n{{ password | sh }}{{ password | sh }}\n")
        first, second = (templates.render("a", password=SECRET) for _ in range(2))
        assert first == second

    def test_a_place_that_needs_the_whole_text_takes_no_secret(self, templates: Templates) -> None:
        """Such as a label of a metric: nothing secret belongs there."""
        write(templates, "{# sinks: metric #}\n{{ password | metric_label }}\n")
        assert "cannot be quoted" in str(refusal(templates, password=SECRET))


def test_numbers_stand_as_they_are(templates: Templates) -> None:
    """A port needs no quotes anywhere."""
    write(templates, "{# sinks: sh #}\n{{ port }} {{ port | sh }}\n")
    assert templates.render("a", port=5432) == Content.of("5432 5432\n")
