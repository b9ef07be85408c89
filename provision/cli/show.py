"""How plans are printed: in colour on a terminal, and in the forms that programs read."""

from __future__ import annotations

import sys
from collections.abc import Callable

from provision.plan.document import json_of
from provision.plan.junit import junit_of
from provision.plan.markdown import markdown_of
from provision.plan.model import Plan
from provision.plan.text import plain, text_of

FORMATS = ("text", "json", "markdown", "junit")
_ANSI = {"green": "32", "yellow": "33", "red": "31", "magenta": "35", "dim": "2"}


def show(plan: Plan, form: str) -> None:
    """Print a plan."""
    if form == "text":
        print(text_of(plan, paint=_paint if sys.stdout.isatty() else plain), end="")
    else:
        print(_FORMATTERS[form](plan), end="")
    sys.stdout.flush()  # before what is said on standard error


def _paint(text: str, colour: str) -> str:
    code = _ANSI.get(colour)
    return text if code is None else f"\x1b[{code}m{text}\x1b[0m"


_FORMATTERS: dict[str, Callable[[Plan], str]] = {
    "json": json_of,
    "markdown": markdown_of,
    "junit": junit_of,
}
