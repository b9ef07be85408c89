"""A report travels as JSON, and what comes back is believed in nothing."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError
from backup_core.report.document import parse, render
from backup_core.report.page import render_page
from tests.support.reports import EMPTY, REPORT, WHOLE


@pytest.mark.parametrize("report", [REPORT, WHOLE, EMPTY], ids=["gap", "whole", "empty"])
def test_what_is_written_is_read_again(report: Any) -> None:
    """Nothing is lost on the way to another host."""
    assert parse(render(report), name="x") == report


def test_keys_that_are_not_known_are_passed_over() -> None:
    """A newer version may say more."""
    found = json.loads(render(REPORT)) | {"news": 1}
    assert parse(json.dumps(found), name="x") == REPORT


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (["windows", 0, "begin_time"], "yesterday", r"windows\[\]\.begin_time is no time"),
        (["windows", 0, "begin_time"], "2026-11-22T12:00:00", "no time with an offset"),
        (["windows", 0, "timeline"], "2", r"windows\[\]\.timeline is of another type"),
        (["windows", 0, "timeline"], True, "another type"),
        (["windows"], {}, "windows is no array"),
        (["windows", 0], 7, r"windows\[\] is no object"),
        (["backups", 0, "hostname"], None, "hostname is of another type"),
        (["version"], 2, "it has not the version 1"),
    ],
)
def test_a_value_of_another_kind_is_refused(path: list[Any], value: Any, complaint: str) -> None:
    """The message names the key."""
    document = json.loads(render(REPORT))
    inside = document
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = value
    with pytest.raises(CorruptError, match=complaint):
        parse(json.dumps(document), name="x")


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"version": 1}'])
def test_what_is_no_report_is_refused(text: str) -> None:
    """Without a traceback."""
    with pytest.raises(CorruptError, match="x is not a report"):
        parse(text, name="x")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.data())
def test_whatever_is_put_into_a_report_is_read_and_drawn_or_refused(data: st.DataObject) -> None:
    """Nothing that a host can answer breaks the page of the others."""
    document = json.loads(render(replace(WHOLE, backups=WHOLE.backups[:1], drills=())))
    inside: Any = document
    while True:
        keys = sorted(inside) if isinstance(inside, dict) else list(range(len(inside)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(inside[key], dict | list) and inside[key] and data.draw(st.booleans()):
            inside = inside[key]
            continue
        inside[key] = data.draw(JSON)
        break
    try:
        report = parse(json.dumps(document), name="x")
    except CorruptError:
        return
    assert render_page(report).startswith("<!DOCTYPE html>")
