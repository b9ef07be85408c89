"""Values with units that attributes hold, and how any value of an attribute is shown.

Units are PostgreSQL's, in its spelling, so that a duration in a role and one in postgresql.conf
look the same (manual, section 20.1.1).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass

from provision.content import SecretRef
from provision.cron_schedule import CronSchedule

TIME_UNITS = {"d": 86_400, "h": 3_600, "min": 60, "s": 1}
SIZE_UNITS = {"TB": 1 << 40, "GB": 1 << 30, "MB": 1 << 20, "kB": 1 << 10, "B": 1}
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./:@%+=-]*")


@dataclass(frozen=True, kw_only=True, order=True)
class Duration:
    """A span of time, in whole seconds."""

    seconds: int

    def __str__(self) -> str:
        return _with_unit(self.seconds, TIME_UNITS, "s")


@dataclass(frozen=True, kw_only=True, order=True)
class Size:
    """A number of bytes."""

    bytes: int

    def __str__(self) -> str:
        return _with_unit(self.bytes, SIZE_UNITS, "B")


@dataclass(frozen=True, kw_only=True, order=True)
class PgVersion:
    """A major version of PostgreSQL; `major` is 9 for 9.6."""

    major: int

    def __str__(self) -> str:
        return "9.6" if self.major == 9 else str(self.major)


def counted(number: int, noun: str) -> str:
    """Say how many there are: "1 host", "2 hosts"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shown(value: object) -> str:
    """Write a value of an attribute as YAML would have it, on one line."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, SecretRef):
        return f'{{secret: "{value}"}}'
    if isinstance(value, CronSchedule):
        return f'"{value.text}"'
    if isinstance(value, str):
        return value if _is_plain(value) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{shown(k)}: {shown(v)}' for k, v in value.items())}}}"
    if is_dataclass(value) and not isinstance(value, Duration | Size | PgVersion):
        pairs = ((each.name, getattr(value, each.name)) for each in fields(value))
        return f"{{{', '.join(f'{name}: {shown(item)}' for name, item in pairs)}}}"
    return str(value)


def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None and text.lower() not in _WORDS and text[-1] != ":"


_WORDS = frozenset(("y", "yes", "on", "n", "no", "off", "true", "false", "null"))


def _with_unit(number: int, units: Mapping[str, int], of_zero: str) -> str:
    if number == 0:
        return f"0{of_zero}"
    return next(
        f"{number // factor}{unit}" for unit, factor in units.items() if number % factor == 0
    )
