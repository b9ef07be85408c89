"""What a log line looks like, to people, to grep and to collectors."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core import log


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    logger = logging.getLogger("pitr")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


def logged(message: str, *, style: str = "text", **fields: object) -> str:
    """Return what one event at level info writes."""
    stream = io.StringIO()
    log.configure("info", style, stream)
    log.event(log.get("wal-push"), log.INFO, message, **fields)
    return stream.getvalue()


def body(line: str) -> str:
    """Cut off time, level and logger, and the process number."""
    return line.partition(": ")[2].rpartition(" pid=")[0]


class TestText:
    """Lines of key=value."""

    def test_a_line_opens_with_time_level_and_logger(self) -> None:
        """Time in UTC with milliseconds, level, logger, message first, process number last."""
        assert re.fullmatch(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO pitr\.wal-push: "
            rf'msg="archived" action=push-wal pid={os.getpid()}\n',
            logged("archived", action="push-wal"),
        )

    def test_time_is_utc_to_the_millisecond(self) -> None:
        """An instant is written alike whatever the time zone; milliseconds are cut, not rounded."""
        stream = io.StringIO()
        log.configure("info", "text", stream)
        record = logging.makeLogRecord({"name": "pitr.x", "levelno": log.INFO, "msg": "m"})
        record.created = 1795341600.9999
        log.get("x").handle(record)
        assert stream.getvalue().startswith("2026-11-22T10:00:00.999Z ")

    def test_fields_keep_their_order(self) -> None:
        """Fields stand as the caller gave them."""
        line = logged("m", seg="01", key="wal_005/01.zst", prefix="file:///b", state="complete")
        assert body(line) == ('msg="m" seg=01 key=wal_005/01.zst prefix=file:///b state=complete')

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("a b", '"a b"'),
            ("", '""'),
            ('say "hi"', r'"say \"hi\""'),
            ("a=b", '"a=b"'),
            (r"a\b", r'"a\\b"'),
            ("a\nb", r'"a\nb"'),
            ("\x1b[31m", r'"\x1b[31m"'),
            ("caf\udce9", r'"caf\udce9"'),
            ("\u2028", r'"\u2028"'),
            (True, "true"),
            (42, "42"),
        ],
    )
    def test_values_that_are_not_one_word_are_quoted(self, value: object, text: str) -> None:
        """Blanks, quotes, equal signs and what cannot be printed put a value in quotes."""
        assert body(logged("m", value=value)) == f'msg="m" value={text}'

    def test_none_is_left_out(self) -> None:
        """A field without a value is not written."""
        assert body(logged("m", rate=None, seg="01")) == 'msg="m" seg=01'

    @given(message=st.text(), value=st.text())
    def test_an_event_is_one_line(self, message: str, value: str) -> None:
        """Whatever is logged, a line is a line."""
        assert len(logged(message, value=value).splitlines()) == 1

    @given(value=st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"])))
    def test_a_shell_s_words_give_values_back(self, value: str) -> None:
        """Quoting is such that shell-like splitting reads a value as it was."""
        words = shlex.split(body(logged("m", value=value)))
        assert words[1:] == [f"value={value}"]

    def test_a_field_named_like_part_of_the_line_gets_an_underscore(self) -> None:
        """Nothing a caller logs replaces the message or the process number."""
        assert body(logged("m", msg="x", pid=1)) == 'msg="m" msg_=x pid_=1'

    def test_percent_signs_in_a_message_mean_nothing(self) -> None:
        """The message is a sentence, not a format."""
        assert body(logged("100% of %s")) == 'msg="100% of %s"'

    def test_an_exception_is_part_of_the_line(self) -> None:
        """Its type and words are a field; the stack stays out."""
        stream = io.StringIO()
        log.configure("info", "text", stream)
        try:
            raise OSError("disk\nfull")
        except OSError:
            log.get("x").exception("failed")
        assert body(stream.getvalue()) == r'msg="failed" error="OSError: disk\nfull"'


class TestJson:
    """One JSON object a line."""

    def test_it_has_the_same_parts(self) -> None:
        """Time, level, logger, message, fields and process number, numbers as numbers."""
        document = json.loads(logged("archived", style="json", seg="01", bytes=16, whole=True))
        assert document.pop("time").endswith("Z")
        assert document == {
            "level": "INFO",
            "logger": "pitr.wal-push",
            "msg": "archived",
            "seg": "01",
            "bytes": 16,
            "whole": True,
            "pid": os.getpid(),
        }

    def test_a_field_named_like_a_part_gets_an_underscore(self) -> None:
        """A compression level does not pass for the level of the event."""
        document = json.loads(logged("m", style="json", level=3))
        assert (document["level"], document["level_"]) == ("INFO", 3)

    @given(message=st.text(), value=st.text(alphabet=st.characters(exclude_categories=[])))
    def test_an_event_is_one_line(self, message: str, value: str) -> None:
        """Whatever is logged, file names that are no Unicode included, a line is a line."""
        line = logged(message, style="json", value=value)
        assert len(line.splitlines()) == 1
        assert json.loads(line)["msg"] == message


@pytest.mark.parametrize("style", ["text", "json"])
class TestSecrets:
    """What is masked before it is written."""

    @pytest.mark.parametrize("name", ["password", "secret_access_key", "session_token"])
    def test_fields_with_a_secret_name(self, style: str, name: str) -> None:
        """A field that is called a secret is one."""
        assert "hunter2" not in logged("m", style=style, **{name: "hunter2"})

    @pytest.mark.parametrize(
        "text",
        [
            "postgresql://me:hunter2@db/app",
            "postgresql://me:hunter2/@x@db/app",
            "https://:hunter2@proxy",
            "host=db password=hunter2 user=me",
            "password = 'has hunter2 in it'",
            "AWS_SECRET_ACCESS_KEY=hunter2",
            "https://store/?token=hunter2&x=1",
        ],
    )
    def test_connection_strings(self, style: str, text: str) -> None:
        """Passwords inside a URL or a conninfo string are masked, in messages and in values."""
        assert "hunter2" not in logged(f"cannot reach {text}", style=style, target=text)

    def test_the_rest_of_a_connection_string_stays(self, style: str) -> None:
        """Where it went is still told."""
        assert "postgresql://me:***@db/app" in logged("postgresql://me:x@db/app", style=style)

    def test_repository_urls_are_not_secrets(self, style: str) -> None:
        """A key or prefix is written whole."""
        line = logged("m", style=style, prefix="file:///b", key="wal_005/01.zst", at="h:80/x@y")
        assert all(part in line for part in ("file:///b", "wal_005/01.zst", "h:80/x@y"))


class TestConfigure:
    """Set up once, by the command line."""

    @pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
    def test_events_below_the_level_are_not_written(self, level: str) -> None:
        """The level is the least that is shown."""
        stream = io.StringIO()
        log.configure(level, "text", stream)
        names = {"debug": log.DEBUG, "info": log.INFO, "warning": log.WARNING, "error": log.ERROR}
        for name, number in names.items():
            log.event(log.get("x"), number, name)
        written = re.findall(r'msg="(\w+)"', stream.getvalue())
        assert written == list(names)[list(names).index(level) :]

    def test_configuring_twice_writes_once(self) -> None:
        """The second call replaces the first."""
        first = io.StringIO()
        log.configure("info", "text", first)
        assert logged("m").count("\n") == 1
        assert first.getvalue() == ""

    def test_a_closed_stream_does_not_stop_the_work(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A log that cannot be written is lost in silence: archiving goes on."""
        stream = io.StringIO()
        log.configure("info", "text", stream)
        stream.close()
        log.event(log.get("x"), log.INFO, "m")
        assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("backup_core.log", {"json", "datetime", "pathlib", "logging.handlers"}),
        ("backup_core.config", {"json", "tomllib", "difflib", "logging", "urllib.request"}),
    ],
)
def test_the_import_is_light(module: str, absent: set[str]) -> None:
    """Settings and log are read once a WAL segment: what is not always needed is not imported."""
    code = f"import sys; old = set(sys.modules); import {module}; print(*(set(sys.modules) - old))"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert module in output.split()
    assert absent.isdisjoint(output.split())
