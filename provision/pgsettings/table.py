"""The table of settings, and finding one in it.

One row holds for a range of majors, because most settings never change and a table with a column
per major would hide those that do. Before 12 the settings of recovery stand in recovery.conf; their
context is that file's name. A setting with a dot belongs to an extension and is taken as it is.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Literal

from provision.errors import InputError

MAJORS = (9, 10, 11, 12, 13, 14, 15, 16, 17, 18)
TABLE = Path(__file__).with_name("settings.tsv")

Effect = Literal["none", "reload", "restart", "recovery.conf"]
Type = Literal["bool", "integer", "real", "enum", "string"]

_TYPES: Mapping[str, Type] = {
    "bool": "bool",
    "enum": "enum",
    "integer": "integer",
    "real": "real",
    "string": "string",
}
_EFFECTS: Mapping[str, Effect] = {
    "internal": "none",
    "postmaster": "restart",
    "recovery.conf": "recovery.conf",
}
_EXTENSION = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)+")
_ELSEWHERE = {
    "checkpoint_segments": "Use max_wal_size, a size.",
    "force_parallel_mode": "It is called debug_parallel_query since 16.",
    "min_parallel_relation_size": "Use min_parallel_table_scan_size.",
    "pause_at_recovery_target": "Use recovery_target_action.",
    "promote_trigger_file": "Use pg_ctl promote or the function pg_promote.",
    "recovery_target_lsn": "Recover to a time, a transaction id or a restore point.",
    "ssl_ecdh_curve": "It is called ssl_groups since 18.",
    "standby_mode": "An empty file standby.signal makes a server a standby since 12.",
    "trigger_file": "It is called promote_trigger_file from 12 to 15; 16 has neither.",
    "vacuum_defer_cleanup_age": "Use hot_standby_feedback or a replication slot.",
    "wal_keep_segments": "Use wal_keep_size, a size.",
    "wal_keep_size": "Use wal_keep_segments, a number of segments.",
}


@dataclass(frozen=True, kw_only=True)
class PgSetting:
    """What one major version knows of a setting.

    `unit` is the unit of a number without one, "" for none; "8kB" is a block, "16MB" a segment.
    `minimum` and `maximum` are in it, None for no bound. `values` are an enum's. `context` is the
    one that pg_settings shows, or recovery.conf. `default` is the built-in one, "" for strings
    (manual, section 53.24 "pg_settings").
    """

    name: str
    major: int
    type: Type
    context: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] = ()
    default: str = ""

    @property
    def effect(self) -> Effect:
        """What a change of it needs before the server runs with it."""
        return _EFFECTS.get(self.context, "reload")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A definition and the majors, both included, for which it holds."""

    first: int
    last: int
    columns: Mapping[str, str]

    def setting(self, major: int) -> PgSetting:
        """The row's setting as `major` knows it."""
        get = self.columns.__getitem__
        return PgSetting(
            name=get("name"),
            major=major,
            type=_TYPES[get("type")],
            context=get("context"),
            unit=get("unit"),
            minimum=_bound(get("min")),
            maximum=_bound(get("max")),
            values=tuple(get("values").split("|")) if get("values") else (),
            default=get("default"),
        )


def label(major: int) -> str:
    """The version as people write it: 9 stands for 9.6."""
    return "9.6" if major == MAJORS[0] else str(major)


def lookup(name: str, major: int) -> PgSetting:
    """Return the setting `name`, in any case, of PostgreSQL `major`.

    Raises InputError for one that does not exist in that version and says what to use.
    """
    if _EXTENSION.fullmatch(name):
        return PgSetting(name=name, major=major, type="string", context="extension")
    rows = rows_by_name().get(name.lower(), ())
    for row in rows:
        if row.first <= major <= row.last:
            return row.setting(major)
    raise _absent(name, major, rows)


def effect(name: str, major: int) -> Effect:
    """What a change of the setting `name` needs in PostgreSQL `major`; raises as lookup does."""
    return lookup(name, major).effect


@cache
def rows_by_name() -> Mapping[str, tuple[Row, ...]]:
    """The whole table by lower-case name, oldest definition first."""
    with TABLE.open(encoding="utf-8", newline="") as lines:
        records = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    found: dict[str, tuple[Row, ...]] = {}
    for record in records:
        name = record["name"].lower()
        row = Row(first=_major(record["first"]), last=_major(record["last"]), columns=record)
        found[name] = (*found.get(name, ()), row)
    return found


def _bound(text: str) -> float | None:
    return float(text) if text else None


def _major(text: str) -> int:
    return int(text.partition(".")[0])


def _absent(name: str, major: int, rows: tuple[Row, ...]) -> InputError:
    hint = _ELSEWHERE.get(name.lower())
    if major not in MAJORS:
        return InputError(f"PostgreSQL {major} is not supported", hint=_supported())
    if rows and rows[0].first > major:
        return InputError(f"{name} is new in PostgreSQL {label(rows[0].first)}", hint=hint)
    if rows:
        return InputError(f"{name} was removed in PostgreSQL {rows[-1].last + 1}", hint=hint)
    if hint:
        return InputError(f"{name} was removed before PostgreSQL 9.6", hint=hint)
    near = get_close_matches(name.lower(), _known(major), n=1)
    return InputError(
        f"PostgreSQL {label(major)} has no setting {name}",
        hint=f"Did you mean {near[0]}?" if near else None,
    )


def _supported() -> str:
    return f"Choose one of {', '.join(map(label, MAJORS))}."


def _known(major: int) -> list[str]:
    table = rows_by_name()
    return [name for name, rows in table.items() if any(r.first <= major <= r.last for r in rows)]
