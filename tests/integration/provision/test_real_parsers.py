"""What is quoted is read back by the program that it is meant for.

The readers are the real ones, but for cron, which cannot be asked without running: its rule for the
percent sign is a few lines here, in both of the readings that its implementations have.
"""

from __future__ import annotations

import os
import shlex
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import psycopg
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from provision import quoting
from provision.cron_schedule import parse
from provision.errors import InputError, QuotingError
from provision.quoting import Quoted
from tests.support.postgres import Binaries, find_binaries

AWKWARD = "'\"\\$`%#:;*~ \t!&|<>(){}[]=,.-/@+^?aAnz09é\u2028\U0001f418"
TEXTS = st.text(st.sampled_from(AWKWARD), max_size=25) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=15
)
LINES = TEXTS.filter(lambda text: not any(ord(c) < 32 or ord(c) == 127 for c in text))
WORDS = st.lists(TEXTS.filter(lambda text: "\0" not in text), min_size=1, max_size=4)

Printf = Callable[[str], list[str]]


def output(*argv: str, **environ: str) -> bytes:
    """What a program prints; its failure is the test's."""
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environ}
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, env=environ).stdout


def words_of(shell: str, command: str) -> list[str]:
    """The arguments that a shell makes of the words of a command."""
    printed = output(shell, "-c", f"printf '%s\\0' {command}")
    return printed.decode().split("\0")[:-1]


class TestShell:
    """A POSIX shell."""

    @pytest.mark.parametrize("shell", ["dash", "bash"])
    @settings(max_examples=60)
    @given(words=WORDS)
    @example(words=["", "~", "-n", "*", "if", "a=b", "\n", "it's"])
    def test_words_are_read_back(self, shell: str, words: list[str]) -> None:
        """Whatever they hold, line breaks too."""
        assert words_of(shell, quoting.sh_command(words).text) == words

    @settings(max_examples=40)
    @given(words=WORDS)
    def test_a_command_in_a_command_is_read_back(self, words: list[str]) -> None:
        """As `sh -c` and sudo need it."""
        inner = quoting.sh_command(["printf", r"%s\0", *words])
        command = quoting.sh_command(["sh", "-c", quoting.sh(inner)])
        assert output("sh", "-c", command.text).decode().split("\0")[:-1] == words

    @pytest.mark.parametrize("word", ["while", "A=1", "~root", "#", "!", "{", "2>x"])
    def test_a_word_with_a_meaning_is_a_program_of_that_name(self, word: str) -> None:
        """Which is not there: the shell says so with 127."""
        command = quoting.sh_command([word, "a"]).text
        ended = subprocess.run(["sh", "-c", command], stderr=subprocess.DEVNULL, check=False)
        assert ended.returncode == 127

    @settings(max_examples=40)
    @given(note=TEXTS)
    @example(note="a\nexit 3")
    @example(note="a \\")
    def test_a_comment_does_nothing(self, note: str) -> None:
        """The line after it runs, and nothing before."""
        comment = quoting.comment(note).text.replace("\0", "")
        assert output("sh", "-c", f"# {comment}\necho ran") == b"ran\n"


def strip_backslash(command: str) -> str:
    """A cron that takes the backslash before % away; its shell gets the rest of the line."""
    text, rest = "", command
    while rest:
        if rest[0] == "%":
            return text
        if rest[:2] == "\\%":
            text, rest = text + "%", rest[2:]
        else:
            size = 2 if rest[0] == "\\" else 1
            text, rest = text + rest[:size], rest[size:]
    return text


def keep_backslash(command: str) -> str:
    """A cron that leaves the backslash to the shell."""
    text, rest = "", command
    while rest and rest[0] != "%":
        size = 2 if rest[0] == "\\" else 1
        text, rest = text + rest[:size], rest[size:]
    return text


@pytest.mark.parametrize("cron", [strip_backslash, keep_backslash])
@settings(max_examples=80)
@given(words=st.lists(LINES, min_size=1, max_size=3))
@example(words=["%", "a%b", "it's 5%", "\\%", "%%", "'%'"])
def test_cron_hands_the_words_to_the_shell(cron: Callable[[str], str], words: list[str]) -> None:
    """Percent signs included, whichever way the implementation reads the backslash."""
    line = quoting.cron_command(quoting.sh_command(words)).text
    assert words_of("sh", cron(line)) == words


class TestEnvdir:
    """daemontools' envdir."""

    @settings(max_examples=60)
    @given(value=TEXTS)
    @example(value="")
    @example(value=" leading")
    @example(value="x" * (128 * 1024 - 256))
    def test_values_are_read_back_or_refused(self, value: str) -> None:
        """Nothing reaches a program in another form."""
        try:
            line = quoting.env_value(value).text
        except QuotingError:
            assert set(value) & set("\n\r\0") or value != value.rstrip(" \t")
            return
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "KEY").write_bytes(line.encode() + b"\n")
            variables = output("envdir", directory, "env", "-0").decode().split("\0")
        assert f"KEY={value}" in variables


@pytest.fixture(scope="module")
def units() -> Iterator[Path]:
    """A directory with the units that systemd needs to look at one of ours."""
    with tempfile.TemporaryDirectory() as directory:
        for name in ("basic.target", "shutdown.target", "sysinit.target"):
            (Path(directory) / name).write_text("[Unit]\nDefaultDependencies=no\n")
        yield Path(directory)


def systemd_words(units: Path, command: str) -> list[str]:
    """The arguments that systemd makes of a command line, before it expands variables."""
    unit = f"[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart={command}\n"
    (units / "ours.service").write_text(unit)
    environ = {"SYSTEMD_UNIT_PATH": str(units), "XDG_RUNTIME_DIR": str(units), "HOME": str(units)}
    dump = output("/lib/systemd/systemd", "--test", "--user", "--unit=ours.service", **environ)
    lines = [line for line in dump.decode().split("\n") if "Command Line: " in line]
    assert len(lines) == 1
    return words_of("sh", lines[0].partition("Command Line: ")[2])


class TestSystemd:
    """The service manager itself, which reads a unit and dumps what it understood."""

    @settings(max_examples=40)
    @given(words=st.lists(LINES, min_size=1, max_size=4))
    @example(words=["%i", "$HOME", "${HOME}", ";", "", "~", "\\x41", "a\u2028b"])
    def test_arguments_are_read_back(self, units: Path, words: list[str]) -> None:
        """Dollar signs are still doubled then: variables are expanded when the program starts."""
        command = quoting.systemd_command(["/bin/echo", *words]).text
        expected = ["/bin/echo", *(word.replace("$", "$$") for word in words)]
        assert systemd_words(units, command) == expected

    @settings(max_examples=15)
    @given(name=st.text(st.sampled_from("a %;é@-*~"), min_size=1, max_size=10))
    def test_programs_are_found_whatever_their_path(self, name: str) -> None:
        """systemd-analyze looks for the file."""
        with tempfile.TemporaryDirectory() as directory:
            program = Path(directory) / f"x{name}"
            program.touch(mode=0o755)
            command = quoting.systemd_command([str(program)]).text
            unit = Path(directory) / "ours.service"
            unit.write_text(f"[Service]\nType=oneshot\nExecStart={command}\n")
            environ = {"HOME": directory, "XDG_RUNTIME_DIR": directory}
            output("systemd-analyze", "verify", "--user", "--man=no", str(unit), **environ)

    @settings(max_examples=40)
    @given(data=st.data())
    def test_timers_run_when_cron_does(self, data: st.DataObject) -> None:
        """The next three times, from a moment of two months before a leap day."""
        schedule = parse(data.draw(schedules()))
        try:
            calendar = schedule.on_calendar("UTC")
        except InputError:
            assume(False)
        start = datetime(2027, 12, 31, 23, 30, tzinfo=UTC)
        printed = output(
            *("systemd-analyze", "calendar", "--iterations=3"),
            *("--base-time=2027-12-31 23:30:00 UTC", calendar),
            TZ="UTC",
        ).decode()
        assert elapses(printed) == schedule.next_runs(start, 3)


def elapses(printed: str) -> list[datetime]:
    """The times that `systemd-analyze calendar` names."""
    lines = [line.strip() for line in printed.splitlines()]
    named = [line for line in lines if line.startswith(("Next elapse:", "Iter"))]
    texts = [line.partition(": ")[2] for line in named]
    return [
        datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S %Z").replace(tzinfo=UTC) for text in texts
    ]


@st.composite
def schedules(draw: st.DrawFn) -> str:
    """Times of cron that come more often than once in four years."""
    minute = draw(st.sampled_from(["0", "30", "*/7", "5-50/9", "*", "1,2,59"]))
    hour = draw(st.sampled_from(["3", "*", "*/5", "22-23", "0,12"]))
    day = draw(st.sampled_from(["*", "1", "31", "*/2", "1-7", "28,29"]))
    month = draw(st.sampled_from(["*", "1", "2,3", "JAN-mar", "*/3"]))
    weekday = draw(st.sampled_from(["*", "0", "7", "mon-fri", "5-7", "*/2", "sat"]))
    return f"{minute} {hour} {day} {month} {weekday}"


class TestLibpq:
    """The client library of PostgreSQL."""

    @settings(max_examples=150)
    @given(user=LINES, password=LINES)
    @example(user="", password="' \\ host=other")
    def test_connection_strings_are_read_back(self, user: str, password: str) -> None:
        """A value cannot become a keyword."""
        text = quoting.conninfo(host="db", port=5432, user=user, password=password).text
        read = conninfo_to_dict(text)
        assert read == {"host": "db", "port": "5432", "user": user, "password": password}

    @settings(max_examples=40)
    @given(
        user=LINES.filter(bool),
        database=LINES.filter(bool).filter(lambda name: name != "replication"),
        password=LINES.filter(bool),
    )
    @example(user="*", database=":", password="*")
    @example(user="a:b", database="\\", password="\\:\\")
    def test_passwords_are_found_in_the_password_file(
        self, user: str, database: str, password: str
    ) -> None:
        """The line before it is for everybody else; a star that is a name is not everybody."""
        with Postmaster() as server, tempfile.TemporaryDirectory() as directory:
            anything = quoting.PGPASS_ANY
            lines = [
                quoting.pgpass_line("127.0.0.1", str(server.port), "*", "#", "wrong"),
                quoting.pgpass_line("127.0.0.1", str(server.port), database, user, password),
                quoting.pgpass_line("127.0.0.1", anything, anything, anything, "wrong"),
            ]
            assume((database, user) != ("*", "#"))
            path = Path(directory) / "pgpass"
            path.touch(mode=0o600)
            path.write_text("".join(f"{line.text}\n" for line in lines))
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(
                    host="127.0.0.1",
                    port=server.port,
                    user=user,
                    dbname=database,
                    passfile=str(path),
                    sslmode="disable",
                    gssencmode="disable",
                )
        assert server.password == password


class Postmaster:
    """So much of a server that a client says its password, which is then refused."""

    def __init__(self) -> None:
        self.password = ""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        self._listener.settimeout(10)
        client, _ = self._listener.accept()
        with client, client.makefile("rwb") as stream:
            stream.read(struct.unpack(">i", stream.read(4))[0] - 4)
            stream.write(b"R" + struct.pack(">ii", 8, 3))  # AuthenticationCleartextPassword
            stream.flush()
            assert stream.read(1) == b"p"
            said: bytes = stream.read(struct.unpack(">i", stream.read(4))[0] - 4)
            self.password = said.removesuffix(b"\0").decode()


def setting_of(binaries: Binaries, name: str, value: Quoted) -> subprocess.CompletedProcess[bytes]:
    """What the server's own parser reads from a configuration with one line."""
    with tempfile.TemporaryDirectory() as directory:
        line = f"{quoting.pg_name(name).text} = {value.text}\n"
        (Path(directory) / "postgresql.conf").write_text(line)
        command = [str(binaries.program("postgres")), "-D", directory, "-C", name]
        return subprocess.run(command, capture_output=True, check=False)


@pytest.mark.parametrize("major", [12, 15, 18])
@settings(max_examples=30)
@given(value=LINES)
@example(value="cp %p '/a b/%f' \\ || exit $?")
@example(value="\\'; archive_mode = on #")
def test_postgresql_reads_settings_back(major: int, value: str) -> None:
    """Quotes, backslashes and comment signs are parts of the value."""
    read = setting_of(find_binaries(major), "archive_command", quoting.pg_conf(value))
    assert read.returncode == 0, read.stderr
    assert read.stdout == value.encode() + b"\n"


@settings(max_examples=30)
@given(words=st.lists(LINES, min_size=1, max_size=3))
@example(words=["%p", "100%", "it's", "%%"])
def test_a_command_passes_postgresql_and_the_shell(words: list[str]) -> None:
    """The server expands placeholders, and the shell finds the words as they were."""
    command = quoting.pg_command("{ours} %f %p", ours=quoting.sh_command(words))
    read = setting_of(find_binaries(15), "archive_command", quoting.pg_conf(command))
    text = read.stdout.decode().removesuffix("\n")
    assert words_of("sh", expanded(text, f="000", p="pg_wal/000")) == [*words, "000", "pg_wal/000"]


def expanded(command: str, **values: str) -> str:
    """What the archiver runs: each %x replaced, %% by a percent sign."""
    first, *rest = command.split("%%")
    parts = [first, *rest]
    for name, value in values.items():
        parts = [part.replace(f"%{name}", value) for part in parts]
    return "%".join(parts)


def test_the_shells_words_are_also_those_of_python() -> None:
    """Plans show commands that people paste."""
    words = ["a b", "it's", "$x", "", "--a=b"]
    assert shlex.split(quoting.sh_command(words).text) == words
