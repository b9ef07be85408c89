"""A text is quoted for one place, and no other place takes it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from provision import quoting
from provision.errors import InputError, QuotingError
from provision.quoting import SINKS, Quoted

Quote = Callable[[str], Quoted]


class TestComposition:
    """What is quoted for one place enters another only where a function says so."""

    def test_a_shell_command_enters_a_cron_line(self) -> None:
        """cron hands the rest of its line to a shell."""
        command = quoting.sh_command(["/bin/echo", "a b"])
        assert quoting.cron_command(command) == Quoted("cron", "/bin/echo 'a b'")

    def test_a_shell_command_is_an_argument_of_another_shell(self) -> None:
        """A command for a shell is one word of the command that starts this shell."""
        inner = quoting.sh_command(["echo", "a b"])
        assert quoting.sh_command(["sh", "-c", quoting.sh(inner)]).text == (
            r"sh -c 'echo '\''a b'\'''"
        )

    def test_a_connection_string_enters_a_setting(self) -> None:
        """primary_conninfo holds one, quoted once for libpq and once for the file."""
        text = quoting.conninfo(host="db1", user="re pl")
        assert quoting.pg_conf(text).text == "'host=db1 user=''re pl'''"

    def test_a_shell_command_enters_a_setting_through_its_placeholders(self) -> None:
        """Percent signs of the words mean themselves, those of the form are PostgreSQL's."""
        words = quoting.sh("/archive/100%")
        command = quoting.pg_command("cp %p {to}/%f", to=words)
        assert quoting.pg_conf(command).text == "'cp %p /archive/100%%/%f'"

    @pytest.mark.parametrize("place", ["sh", "cron", "systemd", "pgpass", "pg_conf", "env"])
    def test_a_setting_refuses_what_is_quoted_for_another_place(self, place: quoting.Place) -> None:
        """A shell command without the percent signs doubled is not yet one for a setting."""
        with pytest.raises(QuotingError, match=f"quoted for {place}, not for pg_conf"):
            quoting.pg_conf(Quoted(place, "x"))

    def test_texts_for_different_places_are_not_joined(self) -> None:
        """The result would be quoted for neither."""
        with pytest.raises(QuotingError, match="pgpass, sh"):
            quoting.join([quoting.sh("a"), quoting.pgpass_field("b")])

    def test_parts_for_the_same_place_are_joined(self) -> None:
        """Such as two commands with an operator between them."""
        commands = [quoting.sh_command(["a"]), quoting.sh_command(["b"])]
        assert quoting.join(commands, " && ") == Quoted("sh", "a && b")

    def test_a_plain_text_is_no_command_of_cron(self) -> None:
        """Whatever is run is made of words."""
        with pytest.raises(QuotingError, match="no command yet"):
            quoting.cron_command("echo 1")  # type: ignore[arg-type]

    def test_a_plain_text_is_no_word_of_a_command_of_postgresql(self) -> None:
        """A directory's name may hold blanks."""
        with pytest.raises(QuotingError, match="no command yet"):
            quoting.pg_command("cp %p {to}/%f", to="/a b")  # type: ignore[arg-type]

    def test_the_error_is_one_of_the_input(self) -> None:
        """Texts come from roles, so the engineer's file is at fault."""
        with pytest.raises(InputError):
            quoting.pg_conf("a\nb")


class TestRefusals:
    """What a place cannot hold is an error and not mended in silence."""

    @pytest.mark.parametrize(
        "quote",
        [
            quoting.sh,
            quoting.pg_conf,
            quoting.env_value,
            quoting.pgpass_field,
            quoting.conninfo_value,
            quoting.systemd_word,
            quoting.cron_variable,
            quoting.yaml_text,
            quoting.metric_label,
            quoting.sql_ident,
        ],
    )
    @pytest.mark.parametrize("text", ["a\0b", "a\udc80b"])
    def test_no_place_holds_nul_or_what_is_not_utf_8(self, quote: Quote, text: str) -> None:
        """Files are UTF-8, and programs end their texts at NUL."""
        with pytest.raises(QuotingError):
            quote(text)

    @pytest.mark.parametrize(
        "quote",
        [
            quoting.pg_conf,
            quoting.env_value,
            quoting.pgpass_field,
            quoting.conninfo_value,
            quoting.systemd_word,
            quoting.systemd_value,
            quoting.cron_variable,
        ],
    )
    @pytest.mark.parametrize("text", ["a\nb", "a\rb"])
    def test_line_breaks_end_what_is_a_line(self, quote: Quote, text: str) -> None:
        """None of these formats can carry one to every reader."""
        with pytest.raises(QuotingError):
            quote(text)

    @pytest.mark.parametrize("text", ["key ", "key\t", "x" * (128 * 1024)])
    def test_an_envdir_refuses_what_it_would_change_or_choke_on(self, text: str) -> None:
        """Blanks at the end are lost, and a long value keeps every program from starting."""
        with pytest.raises(QuotingError):
            quoting.env_value(text)

    @pytest.mark.parametrize("name", ["PATH-1", "X.bak", "a=b", "1A", "", "lower"])
    def test_names_of_variables_are_those_of_a_shell(self, name: str) -> None:
        """envdir would set any file's name."""
        with pytest.raises(QuotingError):
            quoting.env_name(name)

    def test_cron_cuts_long_lines_so_they_are_refused(self) -> None:
        """A command that loses its end is another command."""
        with pytest.raises(QuotingError, match="too long"):
            quoting.cron_command(quoting.sh("x" * 999))

    def test_cron_commands_stay_on_their_line(self) -> None:
        """What follows a line break would be a line of its own."""
        with pytest.raises(QuotingError):
            quoting.cron_command(quoting.sh("a\n* * * * * root id"))

    @pytest.mark.parametrize("text", ["* * * * *;", "a b%", "ro\not", "", "a  b"])
    def test_cron_fields_are_numbers_and_names(self, text: str) -> None:
        """A user's name cannot bring a command with it."""
        with pytest.raises(QuotingError):
            quoting.cron_fields(text)

    @pytest.mark.parametrize("program", ["pitr", "", "-/bin/true", "/opt/$x", "@/bin/sh"])
    def test_systemd_runs_absolute_paths(self, program: str) -> None:
        """Signs in front of the path would change how it runs."""
        with pytest.raises(QuotingError):
            quoting.systemd_command([program, "a"])

    @pytest.mark.parametrize("text", [" a", "a ", "a\\"])
    def test_values_of_units_begin_and_end_with_text(self, text: str) -> None:
        """Blanks are stripped, and a backslash would swallow the next line."""
        with pytest.raises(QuotingError):
            quoting.systemd_value(text)

    @pytest.mark.parametrize("path", ["relative", "/var/log/*", '/a"b', "/a\nb", "/a[1]"])
    def test_logrotate_takes_plain_paths(self, path: str) -> None:
        """A path that is a pattern would rotate other files."""
        with pytest.raises(QuotingError):
            quoting.logrotate_path(path)

    @pytest.mark.parametrize("form", ["cp %x", "cp %p 100%", "date +%Y", "cp %%x %d"])
    def test_a_command_has_no_percent_sign_that_postgresql_does_not_know(self, form: str) -> None:
        """Servers since 16 refuse to run it."""
        with pytest.raises(QuotingError):
            quoting.pg_command(form)

    def test_a_form_names_each_of_its_words(self) -> None:
        """A word that is left over was meant to stand somewhere."""
        with pytest.raises(QuotingError):
            quoting.pg_command("cp %p /archive/%f", to=quoting.sh("/archive"))

    def test_a_refusal_does_not_show_the_text(self) -> None:
        """It may be a secret."""
        with pytest.raises(QuotingError) as caught:
            quoting.env_value("hunter2 ")
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("name", ["a b", "1a", "", "a.", "a='x'"])
    def test_names_of_settings_are_identifiers(self, name: str) -> None:
        """Nothing else can stand before the equals sign."""
        with pytest.raises(QuotingError):
            quoting.pg_name(name)

    @pytest.mark.parametrize("name", ["", "x" * 64, "ä" * 32])
    def test_identifiers_have_one_to_63_bytes(self, name: str) -> None:
        """A longer one is cut by the server and then names something else."""
        with pytest.raises(QuotingError):
            quoting.sql_ident(name)


class TestReading:
    """What is written is read by people too."""

    @pytest.mark.parametrize("word", ["/usr/bin/pitr", "wal-push", "--prefix=/a/b", "db1.example"])
    def test_harmless_words_stay_bare(self, word: str) -> None:
        """Quotes stand where they are needed."""
        assert quoting.sh(word).text == word

    @pytest.mark.parametrize("word", ["A=1", "while", "~", "", "a*", "#x", "{a,b}", "ä"])
    def test_words_with_a_meaning_are_quoted(self, word: str) -> None:
        """An assignment, a reserved word and a pattern are words like others."""
        assert quoting.sh(word).text == f"'{word}'"

    def test_settings_are_always_quoted(self) -> None:
        """Without quotes a path is a syntax error."""
        assert quoting.pg_conf("/a/b").text == "'/a/b'"
        assert quoting.pg_conf("it's \\").text == "'it''s \\\\'"

    @pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\x85b", "a\u2028b", "a b\\", "a\0b"])
    def test_a_comment_is_one_line_whatever_it_says(self, text: str) -> None:
        """Who reads it wants the words; a line that goes on would be read by a program."""
        assert quoting.comment(text).text == "a b"

    def test_a_pattern_of_logs_stands_within_the_quotes(self) -> None:
        """logrotate reads one quoted word."""
        assert quoting.logrotate_path("/var/log/pitr", "*.log").text == '"/var/log/pitr/*.log"'

    @pytest.mark.parametrize(("text", "written"), [("a b", '"a b"'), ('"a"', "'\"a\"'")])
    def test_cron_variables_choose_the_quotes_that_they_do_not_hold(
        self, text: str, written: str
    ) -> None:
        """cron has no escapes."""
        assert quoting.cron_variable(text).text == written

    def test_cron_variables_hold_one_kind_of_quotes(self) -> None:
        """Both cannot be written."""
        with pytest.raises(QuotingError):
            quoting.cron_variable("'\"")

    def test_the_stars_of_the_password_file_are_asked_for(self) -> None:
        """A database that is called * is not every database."""
        line = quoting.pgpass_line("db:1", quoting.PGPASS_ANY, "*", "pi\\tr", "se:cret")
        assert line.text == r"db\:1:*:\*:pi\\tr:se\:cret"

    def test_names_of_sql_keep_their_case(self) -> None:
        """Without quotes they are folded."""
        assert quoting.sql_ident('Pi"tr').text == '"Pi""tr"'

    def test_labels_of_metrics_are_escaped(self) -> None:
        """Prometheus knows three escapes."""
        assert quoting.metric_label('a"b\\c\nd').text == r'"a\"b\\c\nd"'


@pytest.mark.parametrize("place", SINKS)
def test_a_sink_quotes_a_whole_text_as_its_function_would_read_it(place: str) -> None:
    """A secret's part is quoted in the same way, and two of the same kind are equal."""
    quoted = SINKS[place]("it's 5% of\\")
    assert quoted.startswith(SINKS[place].opening)
    assert quoted.endswith(SINKS[place].closing)
    assert len(quoted) >= len("it's 5% of\\")
