"""The questions that a restored server is asked, and what counts as a good answer (pure).

A file of TOML, written by hand or by `provision` from the roles: each check is one query that
returns one value, and one of three expectations. Numbers and times have their own, since a count
and an age can only be compared, never equal what was written down.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from backup_core.errors import ConfigError

TRUE = "t"
_SHAPE = (
    'Write [[check]] with name = "..." and query = "...", and one of expect, at_least and max_age.'
)
_KEYS = {"name", "query", "database", "expect", "at_least", "max_age", "timeout"}


@dataclass(frozen=True, kw_only=True)
class SqlCheck:
    """One query and its expectation: a text as psql shows it, a least number, or a greatest age.

    `max_age` and `timeout` in seconds.
    """

    name: str
    query: str
    database: str = "postgres"
    expect: str = TRUE
    at_least: Decimal | None = None
    max_age: float | None = None
    timeout: float = 300.0


def read_checks(path: Path) -> tuple[SqlCheck, ...]:
    """Read a file of checks; raises ConfigError that names the check."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f'cannot read the checks "{path}": {error.strerror}',
            hint="Check the path, and that this user may read it.",
        ) from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}", hint="Correct the TOML syntax.") from None
    entries = document.get("check")
    if not isinstance(entries, list) or set(document) != {"check"}:
        raise ConfigError(f"{path} is not a file of checks", hint=_SHAPE)
    checks = tuple(
        _check(f"{path}: check {number}", each) for number, each in enumerate(entries, 1)
    )
    names = [check.name for check in checks]
    if len(set(names)) < len(names):
        raise ConfigError(f"{path}: two checks have one name", hint="Name each differently.")
    return checks


def _check(where: str, entry: object) -> SqlCheck:
    if not isinstance(entry, Mapping) or not set(entry) <= _KEYS:
        raise ConfigError(f"{where} is not a check", hint=_SHAPE)
    if not all(isinstance(entry.get(key), str) and entry[key].strip() for key in ("name", "query")):
        raise ConfigError(f"{where} has no name or no query", hint=_SHAPE)
    where = f"{where} ({entry['name']})"
    if len({"expect", "at_least", "max_age"} & set(entry)) > 1:
        raise ConfigError(f"{where} has more than one expectation", hint=_SHAPE)
    return SqlCheck(
        name=entry["name"],
        query=entry["query"],
        database=_text(where, entry, "database", "postgres"),
        expect=_text(where, entry, "expect", TRUE),
        at_least=_number(where, entry.get("at_least")),
        max_age=_seconds(where, entry, "max_age", None),
        timeout=_seconds(where, entry, "timeout", 300.0) or 300.0,
    )


def _text(where: str, entry: Mapping[str, object], key: str, default: str) -> str:
    value = entry.get(key, default)
    if not isinstance(value, str):
        raise ConfigError(f"{where}: {key} is not a text", hint=f'Write {key} = "...".')
    return value


def _number(where: str, value: object) -> Decimal | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{where}: at_least is not a number", hint="Write at_least = 1000.")
    return Decimal(str(value))


def _seconds(
    where: str, entry: Mapping[str, object], key: str, default: float | None
) -> float | None:
    value = entry.get(key, default)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ConfigError(
            f"{where}: {key} is not a time in seconds", hint=f"Write {key} = 900, in seconds."
        )
    return float(value)


def complaint(check: SqlCheck, answer: str | None, moment: datetime) -> str | None:
    """Why the answer is not what the check expects; None if it is.

    Ages are counted back from `moment`, to which the server was to be recovered.
    """
    if check.at_least is not None:
        number = _as_number(answer)
        if number is None:
            return f"the answer is {_shown(answer)}, which is no number"
        if number < check.at_least:
            return f"the answer is {answer}, and is to be {check.at_least} at least"
        return None
    if check.max_age is not None:
        time = _as_time(answer)
        if time is None:
            return f"the answer is {_shown(answer)}, which is no time"
        age = (moment - time).total_seconds()
        if age > check.max_age:
            return f"the answer, {answer}, is {age:.0f} s old, and may be {check.max_age:g} s"
        return None
    if answer != check.expect:
        return f"the answer is {_shown(answer)}, and is to be {check.expect!r}"
    return None


def _shown(answer: str | None) -> str:
    return "nothing" if answer is None else repr(answer[:200])


def _as_number(answer: str | None) -> Decimal | None:
    try:
        return Decimal(answer or "")
    except InvalidOperation:
        return None


def _as_time(answer: str | None) -> datetime | None:
    """A time as the session shows it, ISO and in UTC; without a zone it is taken for UTC."""
    try:
        time = datetime.fromisoformat(answer or "")
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
