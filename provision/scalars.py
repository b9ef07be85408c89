"""What a word of YAML means without quotes: only what every reader of YAML agrees on.

YAML 1.1 takes 0640 for 416, on for true and 12:30 for 750, YAML 1.2 does not, and neither tells.
So a word that any of them takes for something else than its text is refused here, unless all of
them take it for the same (yaml.org/type for 1.1, section 10.3.2 of YAML 1.2 for its core schema).
"""

from __future__ import annotations

import re

Value = str | int | float | bool | None

_SIMPLE: dict[str, Value] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_SWITCHES = {
    **dict.fromkeys(("y", "yes", "on"), "true"),
    **dict.fromkeys(("n", "no", "off"), "false"),
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+")
_LONGEST_NUMBER = 32

_QUOTE = 'Write it in quotes, "{0}"'
_PLAIN_NUMBER = ", or as a plain decimal number."
_TRAPS = tuple(
    (re.compile(pattern), what, hint)
    for pattern, what, hint in (
        (
            r"[-+]?0[0-9_]+",
            "is an octal number to some readers of YAML",
            f"{_QUOTE}: a file mode always is a text.",
        ),
        (
            r"[-+]?0[box][0-9a-fA-F_]+",
            "is a number to some readers of YAML",
            _QUOTE + _PLAIN_NUMBER,
        ),
        (
            r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?",
            "is a number of base 60 to some readers of YAML",
            f"{_QUOTE}.",
        ),
        (
            r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t]+[0-9]{1,2}:[0-9]{2}:[0-9]{2}.*)?",
            "is a date to some readers of YAML",
            f"{_QUOTE}.",
        ),
        (
            r"[-+]?(?=[._]?[0-9])[0-9_]*\.?[0-9_]*(?:[eE][-+]?[0-9]+)?",
            "is a number to some readers of YAML, and a text or another number to others",
            _QUOTE + _PLAIN_NUMBER,
        ),
        (
            r"(?i:[-+]?\.inf|\.nan)",
            "is not a finite number",
            _QUOTE + _PLAIN_NUMBER,
        ),
        (r"=|<<", "is a sign with a meaning of its own in YAML 1.1", f"{_QUOTE}."),
    )
)
_MAY_BE_TRAP = frozenset("+-.0123456789=<_")


class ScalarTrapError(Exception):
    """A plain word that readers of YAML take for different things; `hint` says what to write."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def plain(text: str) -> Value:
    """Return what a word without quotes stands for; raises ScalarTrapError if that is disputed."""
    if text in _SIMPLE:
        return _SIMPLE[text]
    if text[0] in _MAY_BE_TRAP:
        return _number_or_text(text)
    meant = _SWITCHES.get(text.lower())
    if meant is not None:
        raise ScalarTrapError(
            f"{text} is true or false to some readers of YAML, and a text to others",
            f'Write {meant}, or "{text}" in quotes for a text.',
        )
    return text


def _number_or_text(text: str) -> Value:
    if len(text) <= _LONGEST_NUMBER:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return float(text)
    for pattern, what, hint in _TRAPS:
        if pattern.fullmatch(text):
            shown = text if len(text) <= _LONGEST_NUMBER else f"{text[:_LONGEST_NUMBER]}..."
            raise ScalarTrapError(f"{shown} {what}", hint.format(shown))
    return text
