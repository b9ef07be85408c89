"""Numbers with units, read as the server reads them.

The server's reading has changed: fractions, exponents and units of real numbers came with 12, bytes
with 11 and microseconds with 12, and what a smaller unit leaves over was cut off before 12 and is
rounded since. Anything that only resembles a unit (8H, 8hours) is an error in every version
(manual, section 20.1.1 "Parameter Names and Values").
"""

from __future__ import annotations

import re

from provision.errors import InputError
from provision.pgsettings.table import PgSetting, label

_BYTES = {"TB": 1 << 40, "GB": 1 << 30, "MB": 1 << 20, "kB": 1 << 10, "B": 1}
_MICROSECONDS = {
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "min": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
}
_BASES = {**_BYTES, "8kB": 8 << 10, "16MB": 16 << 20}
_SINCE = {"B": 11, "us": 12}
_FRACTIONS_SINCE = 12
_NUMBER = re.compile(
    r"([+-]?(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?))"
)
_OCTAL = re.compile(r"[+-]?0[0-7]+")
_HEX = re.compile(r"[+-]?0[xX]")
_DECIMAL = re.compile(r"[+-]?(0|[1-9][0-9]*)")


def quantity(setting: PgSetting, text: str) -> float:
    """Return the number in the setting's own unit; an integer setting's is whole.

    Raises InputError for what the server of that version would refuse.
    """
    number, unit = split(setting, text)
    base = number * _factor(setting, unit) if unit else number
    if setting.major < _FRACTIONS_SINCE:
        result = float(int(base)) if setting.type == "integer" else base
    else:
        result = _rounded(setting, base, number, unit)
    _check_bounds(setting, text, result)
    return result


def split(setting: PgSetting, text: str) -> tuple[float, str]:
    """Return a text's number and its unit, "" for none."""
    matched = _NUMBER.match(text.strip(" \t"))
    if matched is None:
        raise InputError(f"{setting.name}: {text!r} is not a number")
    unit = text.strip(" \t")[matched.end() :].lstrip(" \t")
    if unit and unit not in units(setting):
        raise _wrong_unit(setting, text, unit)
    return _number(setting, matched[1]), unit


def units(setting: PgSetting) -> tuple[str, ...]:
    """The units that the setting takes in its version, largest first."""
    if not setting.unit or (setting.type == "real" and setting.major < _FRACTIONS_SINCE):
        return ()
    scale = _BYTES if setting.unit in _BASES else _MICROSECONDS
    return tuple(unit for unit in scale if _SINCE.get(unit, 0) <= setting.major)


def _number(setting: PgSetting, text: str) -> float:
    """A number may be hexadecimal and an integer octal, as in C."""
    if _HEX.match(text):
        return int(text, 16)
    if setting.type == "integer":
        if _OCTAL.fullmatch(text):
            return int(text, 8)
        if _DECIMAL.fullmatch(text):
            return int(text)
    if setting.type == "integer" and (setting.major < _FRACTIONS_SINCE or _zeros(text)):
        raise InputError(f"{setting.name}: {text} is not an integer")
    return float(text)


def _zeros(text: str) -> bool:
    digits = text.lstrip("+-")
    return digits.startswith("0") and digits[1:2].isdigit()


def _factor(setting: PgSetting, unit: str) -> float:
    scale = _BASES if setting.unit in _BASES else _MICROSECONDS
    return scale[unit] / scale[setting.unit]


def _rounded(setting: PgSetting, base: float, number: float, unit: str) -> float:
    """A fraction of a unit is rounded to the next smaller unit: 30.1GB is 30822MB."""
    known = units(setting)
    if unit and number != int(number) and unit != known[-1]:
        step = _factor(setting, known[known.index(unit) + 1])
        base = round(base / step) * step
    return float(round(base)) if setting.type == "integer" else base


def _check_bounds(setting: PgSetting, text: str, number: float) -> None:
    low, high = setting.minimum, setting.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        raise InputError(
            f"{setting.name}: {text} is out of range",
            hint=f"It takes {_shown(low)} to {_shown(high)}{_of_unit(setting)}.",
        )


def _shown(bound: float | None) -> str:
    return "any number" if bound is None else f"{bound:.10g}"


def _of_unit(setting: PgSetting) -> str:
    return f", in units of {setting.unit}" if setting.unit else ""


def _wrong_unit(setting: PgSetting, text: str, unit: str) -> InputError:
    message = f"{setting.name}: {text!r} has a unit that PostgreSQL {label(setting.major)} refuses"
    known = units(setting)
    if not known:
        return InputError(message, hint="Write a number without a unit.")
    meant = next((each for each in known if each.lower() == unit.lower()), None)
    if meant:
        written = text.replace(unit, meant)
        return InputError(message, hint=f"Units are case-sensitive: write {written}.")
    return InputError(message, hint=f"Its units are {', '.join(known)}.")
