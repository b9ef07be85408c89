"""The kinds of values that attributes take, and how each is read from YAML.

A kind is a value itself (its words for the documentation and a function), so that a schema line
says in one place what mypy, the reader and the documentation have to know. Errors name the line
and the attribute; what was written is repeated only where no secret can stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from provision import cron_schedule
from provision.content import SecretRef
from provision.cron_schedule import CronSchedule
from provision.errors import InputError
from provision.reading import described, items_of, open_map, problem
from provision.secrets.references import parse_reference
from provision.source import Mapping as Map
from provision.source import Node, Scalar
from provision.suggestion import did_you_mean
from provision.values import SIZE_UNITS, TIME_UNITS, Duration, PgVersion, Size, shown

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Word = TypeVar("Word", bound=str)

OLDEST_VERSION, NEWEST_VERSION = 10, 18
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_MODE = re.compile(r"0[0-7]{3}")
_AMOUNT = re.compile(r"([0-9]{1,12}) ?([A-Za-z]+)")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_SECRET_FORM = 'Write {secret: "bag:BAG/ITEM"}, {secret: "env:NAME"} or {secret: "file:PATH"}.'


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[T_co]):
    """One kind of value: `text` for people, and `read(node, attribute)`, which raises InputError.

    `attribute` is the path that an error names.
    """

    text: str
    read: Callable[[Node, str], T_co]


@dataclass(frozen=True, kw_only=True)
class MapKind(Kind[Mapping[str, T_co]]):
    """A map with keys of the engineer's choice; `key(written, attribute)` returns how one is kept.

    It raises InputError for a key that cannot be one.
    """

    item: Kind[T_co]
    key: Callable[[Scalar, str], str]


def _string(node: Node, at: str, hint: str | None = None) -> str:
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return node.value
    if isinstance(node, Map) and node.get("secret"):
        hint = "A secret cannot stand here, where everybody reads it."
    elif hint is None and isinstance(node, Scalar) and node.value is not None:
        hint = f'Write it in quotes, "{node.text}".'
    raise problem(node.origin, at, f"this is {described(node)}, not a text", hint)


def _read_boolean(node: Node, at: str) -> bool:
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    hint = "Write true or false, without quotes."
    raise problem(node.origin, at, f"this is {described(node)}, not true or false", hint)


def integer(low: int, high: int) -> Kind[int]:
    """A whole number in bounds, both included."""

    def read(node: Node, at: str) -> int:
        if not isinstance(node, Scalar) or type(node.value) is not int:
            hint = "Write it without quotes." if isinstance(node, Scalar) and node.quoted else None
            raise problem(node.origin, at, f"this is {described(node)}, no whole number", hint)
        if not low <= node.value <= high:
            raise problem(node.origin, at, f"{node.value} is not within {low} and {high}")
        return node.value

    return Kind(text=f"whole number, {low} to {high}", read=read)


def text(
    what: str = "text", pattern: str = "", *, hint: str = "", lines: bool = False
) -> Kind[str]:
    """A text that matches `pattern` as a whole, on one line unless it may have `lines`."""
    valid = re.compile(pattern) if pattern else None
    forbidden = _CONTROL_BUT_LINES if lines else _CONTROL

    def read(node: Node, at: str) -> str:
        value = _string(node, at)
        if not value:
            raise problem(node.origin, at, "this is an empty text", "Leave it out, or write null.")
        if forbidden.search(value):
            raise problem(node.origin, at, "this has a control character or a line break")
        if valid and not valid.fullmatch(value):
            raise problem(node.origin, at, f"{shown(value)} is not {_a(what)}", hint or None)
        return value

    return Kind(text=what, read=read)


def one_of(*words: Word) -> Kind[Word]:
    """One word of a few."""

    quoted = " or ".join(f'"{word}"' for word in words)

    def read(node: Node, at: str) -> Word:
        value = _string(node, at, f"Write {quoted}.")
        for word in words:
            if word == value:
                return word
        known = did_you_mean(value, words)
        raise problem(node.origin, at, f"{shown(value)} is not one of {', '.join(words)}", known)

    return Kind(text=f"one of {', '.join(words)}", read=read)


def _read_path(node: Node, at: str) -> str:
    value = _string(node, at)
    parts = value.split("/")[1:]
    if _CONTROL.search(value):
        raise problem(node.origin, at, "this has a control character or a line break")
    if not value.startswith("/") or ".." in parts or "." in parts or not all(parts):
        hint = "Begin with a slash; leave out . and .., double slashes and one at the end."
        raise problem(node.origin, at, f"{shown(value)} is not a plain absolute path", hint)
    return value


def _read_mode(node: Node, at: str) -> str:
    value = _string(node, at, 'Write four octal digits in quotes, "0640".')
    if not _MODE.fullmatch(value):
        hint = 'Write four octal digits in quotes, "0640".'
        raise problem(node.origin, at, f"{shown(value)} is not the mode of a file", hint)
    return value


def duration(low: str = "0s", high: str = "3650d") -> Kind[Duration]:
    """A span of time with a unit, in bounds, both included."""
    least, most = _amount(low, TIME_UNITS), _amount(high, TIME_UNITS)
    if least is None or most is None:
        raise ValueError(f"{low} and {high} are no spans of time")

    def read(node: Node, at: str) -> Duration:
        number = _with_unit(node, at, TIME_UNITS, "span of time", "90s, 15min, 8h or 1d")
        if not least <= number <= most:
            raise problem(node.origin, at, f"this is not within {low} and {high}")
        return Duration(seconds=number)

    return Kind(text=f"span of time, {low} to {high}", read=read)


def _read_size(node: Node, at: str) -> Size:
    return Size(bytes=_with_unit(node, at, SIZE_UNITS, "size", "64kB, 16MB or 1GB"))


def _with_unit(node: Node, at: str, units: Mapping[str, int], what: str, examples: str) -> int:
    hint = f"Write a whole number and a unit, as in {examples}."
    value = _string(node, at, hint)
    number = _amount(value, units)
    if number is not None:
        return number
    unit = re.sub(r"[0-9. ]", "", value)
    meant = next((each for each in units if each.lower() == unit.lower()), None)
    if meant and meant != unit:
        hint = f"Units are case-sensitive: write {value.replace(unit, meant)}."
    raise problem(node.origin, at, f"{shown(value)} is not {_a(what)}", hint)


def _amount(written: str, units: Mapping[str, int]) -> int | None:
    matched = _AMOUNT.fullmatch(written)
    if matched is None or matched[2] not in units:
        return None
    return int(matched[1]) * units[matched[2]]


def _read_user_name(node: Node, at: str) -> str:
    value = _string(node, at)
    if not _USER.fullmatch(value):
        hint = "Write lower-case letters, digits, _ and -, a letter or _ first."
        raise problem(node.origin, at, f"{shown(value)} is not the name of a user or group", hint)
    return value


def _read_pg_version(node: Node, at: str) -> PgVersion:
    if not isinstance(node, Scalar) or node.value is None or isinstance(node.value, bool):
        raise problem(node.origin, at, f"this is {described(node)}, not a version of PostgreSQL")
    if node.text == "9.6":
        return PgVersion(major=9)
    supported = [str(major) for major in range(OLDEST_VERSION, NEWEST_VERSION + 1)]
    if node.text in supported:
        return PgVersion(major=int(node.text))
    major = node.text.partition(".")[0]
    hint = f"Write the major version only, {major}." if major in supported else None
    message = f"{shown(node.text)} is not a major version of PostgreSQL, 9.6 or 10 to 18"
    raise problem(node.origin, at, message, hint)


def _read_schedule(node: Node, at: str) -> CronSchedule:
    value = _string(node, at, 'Write the five fields of cron in quotes, "30 3 * * *".')
    try:
        return cron_schedule.parse(value)
    except InputError as error:
        raise problem(node.origin, at, error.message, error.hint) from None


def _read_setting(node: Node, at: str) -> str | int | float | bool:
    """A PostgreSQL setting's value; what it may be depends on the version, checked later."""
    if isinstance(node, Scalar) and node.value is not None:
        if isinstance(node.value, str) and _CONTROL.search(node.value):
            raise problem(node.origin, at, "this has a control character or a line break")
        return node.value
    raise problem(node.origin, at, f"this is {described(node)}, not the value of a setting")


def _read_secret(node: Node, at: str) -> SecretRef:
    if not isinstance(node, Map):
        raise problem(
            node.origin,
            at,
            f"this is {described(node)}, where only a reference to a secret may stand",
            f"Put the secret into a data bag. {_SECRET_FORM}",
        )
    if [key.text for key, _ in node.items] != ["secret"]:
        raise problem(node.origin, at, "this is not a reference to a secret", _SECRET_FORM)
    reference = node.items[0][1]
    if not isinstance(reference, Scalar) or not isinstance(reference.value, str):
        raise problem(reference.origin, at, "this is not a reference to a secret", _SECRET_FORM)
    try:
        return parse_reference(reference.value)
    except InputError as error:
        raise problem(reference.origin, at, error.message, error.hint) from None


def _read_text_or_secret(node: Node, at: str) -> str | SecretRef:
    return _read_secret(node, at) if isinstance(node, Map) else TEXT.read(node, at)


def list_of(item: Kind[T]) -> Kind[tuple[T, ...]]:
    """A list of values of one kind."""

    def read(node: Node, at: str) -> tuple[T, ...]:
        return tuple(
            item.read(each, f"{at}[{number}]") for number, each in enumerate(items_of(node, at))
        )

    return Kind(text=f"list of: {item.text}", read=read)


def map_of(
    item: Kind[T],
    pattern: str,
    what: str,
    *,
    fold: Callable[[str], str] = str,
) -> MapKind[T]:
    """A map of values of one kind by names that match `pattern`; `fold` makes equal names equal."""
    valid = re.compile(pattern)

    def key(written: Scalar, at: str) -> str:
        if not valid.fullmatch(written.text):
            hint = None
            if ":" in written.text:
                hint = "A colon between key and value is followed by a blank."
            raise problem(written.origin, at, f"{shown(written.text)} is not {_a(what)}", hint)
        return fold(written.text)

    def read(node: Node, at: str) -> Mapping[str, T]:
        return {
            key(name, at): item.read(each, f"{at}.{name.text}") for name, each in open_map(node, at)
        }

    return MapKind(text=f"map of {what}: {item.text}", read=read, item=item, key=key)


def _a(what: str) -> str:
    return f"an {what}" if what[0] in "aeio" else f"a {what}"


BOOLEAN = Kind(text="true or false", read=_read_boolean)
TEXT = text()
LINES = text("text of any number of lines", lines=True)
PATH = Kind(text="absolute path", read=_read_path)
MODE = Kind(text="mode of a file, four octal digits", read=_read_mode)
SIZE = Kind(text="size", read=_read_size)
USER_NAME = Kind(text="name of a user or group", read=_read_user_name)
PG_VERSION = Kind(text="major version of PostgreSQL, 9.6 or 10 to 18", read=_read_pg_version)
SCHEDULE = Kind(text="five fields of cron", read=_read_schedule)
SETTING = Kind(text="text, number, true or false", read=_read_setting)
SECRET = Kind(text="reference to a secret", read=_read_secret)
TEXT_OR_SECRET = Kind(text="text or reference to a secret", read=_read_text_or_secret)
PORT = integer(1, 65535)
