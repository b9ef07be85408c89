"""The frame of a page: one file that needs nothing else and lets nothing else in."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path

from backup_core.report.drawing import patterns
from backup_core.report.html import Content, Markup, tag


def page(title: str, *content: Content) -> str:
    """A whole document.

    The policy allows this one style sheet, by its digest, and neither scripts nor requests: what
    slipped through all escaping would still find nothing to run.
    """
    style = _style()
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", Markup(style)),
    )
    body = tag("body", patterns(), content)
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


@cache
def _style() -> str:
    return Path(__file__).with_name("style.css").read_text(encoding="utf-8")
