"""A report as JSON, and back.

The keys are the names of the fields, so that the two cannot part. What is read comes from another
host and is believed in nothing: each value must have the type that the field says, and times their
offset. Keys that are not known are passed over, as readers of all our JSON are asked to.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from datetime import UTC, datetime
from typing import Union, get_args, get_origin, get_type_hints

from backup_core.errors import CorruptError
from backup_core.report.model import Report

VERSION = 1


def render(report: Report) -> str:
    """The report as one JSON object (docs/json.md)."""
    return json.dumps(asdict(report), indent=1, default=datetime.isoformat)


def parse(text: str | bytes, *, name: str) -> Report:
    """Read what `render` wrote; `name` is for the message. Raises CorruptError."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _unlike(name, "it is not JSON") from None
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise _unlike(name, f"it has not the version {VERSION}")
    try:
        report = _read(Report, found, "")
    except _UnlikeError as error:
        raise _unlike(name, str(error)) from None
    assert isinstance(report, Report)
    return report


class _UnlikeError(Exception):
    """A value is not what its field says."""


def _unlike(name: str, reason: str) -> CorruptError:
    return CorruptError(
        f"{name} is not a report: {reason}", hint="pitr report --json writes one; use its version."
    )


def _read(kind: object, value: object, path: str) -> object:
    """The value as one of this type; raises _UnlikeError, naming the key."""
    if get_origin(kind) in (types.UnionType, Union):
        return _read_optional(kind, value, path)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise _UnlikeError(f"{path} is no array")
        return tuple(_read(get_args(kind)[0], item, f"{path}[]") for item in value)
    if kind is datetime:
        return _time(value, path)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and is_dataclass(kind):
        return _read_object(kind, value, path)
    if not isinstance(kind, type) or type(value) is not kind:
        raise _UnlikeError(f"{path} is of another type")
    return value


def _read_optional(kind: object, value: object, path: str) -> object:
    if value is None:
        return None
    (inner,) = (each for each in get_args(kind) if each is not types.NoneType)
    return _read(inner, value, path)


def _read_object(kind: type, value: object, path: str) -> object:
    if not isinstance(value, Mapping):
        raise _UnlikeError(f"{path or 'the document'} is no object")
    hints = get_type_hints(kind)
    values = {}
    for field in fields(kind):
        inner = f"{path}.{field.name}" if path else field.name
        if field.name not in value:
            raise _UnlikeError(f"{inner} is missing")
        values[field.name] = _read(hints[field.name], value[field.name], inner)
    return kind(**values)


def _time(value: object, path: str) -> datetime:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise _UnlikeError(f"{path} is no time with an offset")
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise _UnlikeError(f"{path} is out of range") from None
