"""Values of settings: what a role says, made into what a server takes.

A role may write `8 h` and a server shows 28800, so texts are compared by what the server makes of
them. Stricter than the server in one respect: an abbreviated word that only it understands in one
version (wal_level = archive) is refused, for the table holds the names that it shows.
"""

from __future__ import annotations

import re

from provision.errors import InputError
from provision.pgsettings.quantities import quantity
from provision.pgsettings.strings import check_string
from provision.pgsettings.table import PgSetting

Value = str | int | float | bool

_TRUTHS = (("true", True), ("yes", True), ("on", True), ("1", True))
_UNTRUTHS = (("false", False), ("no", False), ("off", False), ("0", False))
_BLANKS = re.compile(r"[ \t]+")


def check(setting: PgSetting, value: Value) -> str:
    """Return the text, unquoted, that stands for `value` in the server's configuration.

    Raises InputError, with a hint, for what a server of that version would not take.
    """
    if setting.effect == "none":
        raise InputError(f"{setting.name} cannot be set in a configuration file")
    text = _text(value)
    if setting.type == "bool":
        return "on" if _boolean(setting, text) else "off"
    if setting.type == "enum":
        return _one_of(setting, text)
    if setting.type == "string":
        if not isinstance(value, str):
            raise InputError(f"{setting.name}: {text} is not a text", hint="Quote it.")
        check_string(setting, text)
        return text
    quantity(setting, text)
    return _BLANKS.sub("", text)


def parsed(setting: PgSetting, text: str) -> bool | float | str:
    """Return what the server makes of a text; numbers are in the setting's own unit."""
    if setting.type == "bool":
        return _boolean(setting, text)
    if setting.type == "enum":
        return _one_of(setting, text)
    return text if setting.type == "string" else quantity(setting, text)


def same(setting: PgSetting, a: str, b: str) -> bool:
    """Whether two texts mean the same to the server, as 60s and 1min do.

    Texts that it would refuse are the same as themselves only.
    """
    try:
        return parsed(setting, a) == parsed(setting, b)
    except InputError:
        return a == b


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _boolean(setting: PgSetting, text: str) -> bool:
    """Any unambiguous beginning of a word is enough for the server."""
    word = text.lower()
    for full, meaning in (*_TRUTHS, *_UNTRUTHS):
        if word and full.startswith(word) and word != "o":
            return meaning
    raise InputError(f"{setting.name}: {text!r} is not a boolean", hint="Write on or off.")


def _one_of(setting: PgSetting, text: str) -> str:
    """Switches that grew into enums go on taking the words of a boolean."""
    named = next((each for each in setting.values if each.lower() == text.lower()), None)
    if named is not None:
        return named
    if {"on", "off"} <= set(setting.values):
        words = dict((*_TRUTHS, *_UNTRUTHS))
        if text.lower() in words:
            return "on" if words[text.lower()] else "off"
    raise InputError(
        f"{setting.name}: {text!r} is not one of its values",
        hint=f"It takes {', '.join(each or 'an empty text' for each in setting.values)}.",
    )
