"""Scrubbing: no spelling of a known secret passes, and nothing else is touched."""

import base64
import io
import json
import logging
import shlex
import threading
import time
from collections.abc import Callable
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.scrubbing import (
    REDACTED,
    ScrubbedStream,
    Scrubber,
    ScrubbingFormatter,
    spellings,
)
from tests.unit.provision.secrets.people import CANARIES

SPELLINGS: list[Callable[[str], str]] = [
    str,
    lambda value: base64.b64encode(value.encode()).decode(),
    lambda value: base64.b64encode(b"x" + value.encode() + b"y").decode(),
    lambda value: base64.b64encode(b"xy" + value.encode() + b"z").decode(),
    lambda value: base64.urlsafe_b64encode(b"user:" + value.encode()).decode(),
    lambda value: value.encode().hex(),
    lambda value: quote(value, safe=""),
    quote,
    quote_plus,
    json.dumps,
    repr,
    lambda value: repr(value.encode()),
    shlex.quote,
    lambda value: "'" + value.replace("'", "'\\''") + "'",
    lambda value: "'" + value.replace("'", "''") + "'",
    lambda value: value.replace("\\", "\\\\").replace("'", "''"),
    lambda value: value.replace("\\", "\\\\").replace(":", "\\:"),
    lambda value: value.replace("%", "\\%"),
    lambda value: value.replace("%", "%%"),
    escape,
]


@pytest.mark.parametrize("number", range(len(SPELLINGS)))
@given(canary=CANARIES, before=st.text(max_size=8), after=st.text(max_size=8))
def test_no_spelling_passes(number: int, canary: str, before: str, after: str) -> None:
    """Its beginning and its end are twenty characters that stand in every spelling but base64."""
    spelled = SPELLINGS[number](canary)
    scrubbed = Scrubber([canary]).scrub(f"{before} {spelled} {after}")
    assert REDACTED in scrubbed
    assert canary not in scrubbed
    assert spelled not in scrubbed
    assert canary[:16] not in scrubbed
    assert canary[-8:] not in scrubbed


@given(text=st.text(), values=st.lists(st.text(max_size=3)))
def test_a_text_without_a_secret_stays_as_it_is(text: str, values: list[str]) -> None:
    """Values that are too short to be looked for do not matter."""
    assert Scrubber(values).scrub(text) == text


@given(st.lists(st.text("ab", min_size=4, max_size=8), max_size=5), st.text("ab", max_size=40))
def test_secrets_that_overlap_are_taken_out_together(values: list[str], text: str) -> None:
    """The rest of one does not stay because another was found first."""
    scrubbed = Scrubber(values).scrub(text)
    assert not any(value in scrubbed for value in values)
    assert all(len(piece) < 4 or piece in text for piece in scrubbed.split(REDACTED))


def test_only_the_secret_is_taken_out() -> None:
    """What stands around it is what one reads a message for."""
    scrubber = Scrubber(["hunter2-and-more", "another one"])
    text = "cannot log in as bob:hunter2-and-more@db, nor with 'another one'"
    assert scrubber.scrub(text) == "cannot log in as bob:<redacted>@db, nor with '<redacted>'"


def test_a_value_of_several_lines_is_found_line_by_line() -> None:
    """A difference shows them with signs in front; lines that everyone has are left alone."""
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN1\nBgkqhkiG9w0B2\n-----END PRIVATE KEY-----\n"
    shown = "-----BEGIN PRIVATE KEY-----\n+MIIEvQIBADAN1\n+BgkqhkiG9w0B2\n"
    assert Scrubber([key]).scrub(shown) == (
        "-----BEGIN PRIVATE KEY-----\n+<redacted>\n+<redacted>\n"
    )
    assert Scrubber([key]).scrub(f"<{key}>") == "<<redacted>>"


def test_it_shows_nothing_itself() -> None:
    """Its repr is in tracebacks of those who hold it."""
    assert "hunter2" not in repr(Scrubber(["hunter2-and-more"]))


def test_every_spelling_is_long_enough() -> None:
    """Else every other word would be one."""
    assert all(len(form) >= 4 for form in spellings("a\nbcdé\n12345678\n"))
    assert spellings("abc") == frozenset()


def test_time_grows_with_the_text_and_not_with_the_secrets() -> None:
    """A thousand secrets cost about what one costs."""
    text = "the quick brown fox jumps over the lazy dog 0123456789\n" * 2000

    def cost(count: int) -> float:
        scrubber = Scrubber(f"secret-{number:08}-value" for number in range(count))
        best = []
        for _ in range(3):
            start = time.process_time()
            scrubber.scrub(text)
            best.append(time.process_time() - start)
        return min(best)

    assert cost(1000) < 10 * cost(1)


def test_threads_may_teach_it_at_once() -> None:
    """Hosts are worked on in parallel; all spellings begin alike, so each change meets another."""
    scrubber = Scrubber()
    values = [[f"same-{thread}-{number}" for number in range(50)] for thread in range(8)]

    def teach(mine: list[str]) -> None:
        for value in mine:
            scrubber.learn(value)

    threads = [threading.Thread(target=teach, args=(mine,)) for mine in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = [value for mine in values for value in mine]
    assert scrubber.scrub(" ".join(every)) == " ".join([REDACTED] * len(every))


class TestStream:
    def test_a_line_written_in_pieces_is_scrubbed_as_one(self) -> None:
        """As print writes it."""
        below = io.StringIO()
        stream = ScrubbedStream(below, Scrubber(["hunter2"]))
        stream.write("password: hun")
        stream.write("ter2")
        assert below.getvalue() == ""
        stream.write("\nnext")
        assert below.getvalue() == "password: <redacted>\n"
        stream.flush()
        assert below.getvalue() == "password: <redacted>\nnext"

    def test_print_writes_to_it(self) -> None:
        """It takes the place of standard output."""
        below = io.StringIO()
        print("a hunter2", "b", file=ScrubbedStream(below, Scrubber(["hunter2"])), flush=True)
        assert below.getvalue() == "a <redacted> b\n"

    def test_it_is_what_the_stream_below_is(self) -> None:
        """A terminal or not."""
        with open("/dev/null", "w", encoding="utf-8") as below:  # noqa: PTH123
            stream = ScrubbedStream(below, Scrubber())
            assert stream.fileno() == below.fileno()
            assert stream.encoding == "utf-8"
            assert stream.writable()
            assert not stream.isatty()


def test_a_log_record_is_scrubbed_with_its_traceback() -> None:
    """A library's exception repeats what it was given."""
    below = io.StringIO()
    handler = logging.StreamHandler(below)
    handler.setFormatter(ScrubbingFormatter(logging.Formatter(), Scrubber(["hunter2"])))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    try:
        int("hunter2")
    except ValueError:
        logger.exception("cannot use %s", "hunter2")
    assert "hunter2" not in below.getvalue()
    assert below.getvalue().startswith("cannot use <redacted>\nTraceback")
    assert "'<redacted>'" in below.getvalue()
