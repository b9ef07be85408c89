"""Settings that are texts to the table and yet have a syntax of their own.

Each of these mistakes starts a server that does not do what was meant, or does not start it at all:
a target time `latest`, a target time in whatever zone the server happens to have, a misspelt `%`.
The server itself reads a timeline `newest` as 0. It reads these settings before it knows any names
of zones, so that not even Z passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from provision.errors import InputError
from provision.pgsettings.table import PgSetting

_FIRST_WITH_CURRENT = 12
_MAX_NAME_BYTES = 63
_32_BITS = 1 << 32

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?) ?(UTC|[+-]\d\d(?::?\d\d)?)",
    re.ASCII,
)
_LSN = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")
_PLACEHOLDER = re.compile(r"%(.?)")

Check = Callable[[PgSetting, str], None]


def check_string(setting: PgSetting, text: str) -> None:
    """Raise InputError where the server would refuse the text or misunderstand it.

    An empty text unsets a setting, but recovery.conf wants the line left out.
    """
    if _CONTROL.search(text):
        raise InputError(f"{setting.name}: a control character cannot stand in a setting")
    if text:
        _CHECKS.get(setting.name, _anything)(setting, text)
    elif setting.effect == "recovery.conf" and setting.name in _CHECKS:
        raise InputError(f"{setting.name} cannot be empty in recovery.conf", hint="Leave it out.")


def _anything(_setting: PgSetting, _text: str) -> None:
    """Most texts are free."""


def _target_time(setting: PgSetting, text: str) -> None:
    if text.lower() == "latest":
        raise InputError(
            f"{setting.name}: {text!r} is not a time",
            hint="latest is a timeline; without a target recovery goes to the end of the WAL.",
        )
    found = _TIME.fullmatch(text)
    if found is None or not _exists(*found.groups()):
        raise InputError(
            f"{setting.name}: {text!r} is not a time with its offset from UTC",
            hint="Write it like '2024-05-31 14:30:00+02'.",
        )


def _exists(day: str, clock: str, zone: str) -> bool:
    offset = "+00:00" if zone == "UTC" else zone
    digits = offset[1:].replace(":", "").ljust(4, "0")
    try:
        datetime.fromisoformat(f"{day}T{clock}{offset[0]}{digits[:2]}:{digits[2:]}")
    except ValueError:
        return False
    return True


def _target_timeline(setting: PgSetting, text: str) -> None:
    words = {"latest"} if setting.major < _FIRST_WITH_CURRENT else {"latest", "current"}
    if text not in words:
        _number(setting, text, least=1)


def _target_xid(setting: PgSetting, text: str) -> None:
    _number(setting, text, least=3)


def _number(setting: PgSetting, text: str, *, least: int) -> None:
    if not (text.isascii() and text.isdecimal() and least <= int(text) < _32_BITS):
        raise InputError(
            f"{setting.name}: {text!r} makes no sense",
            hint=f"Write a decimal number from {least} to {_32_BITS - 1}.",
        )


def _target_lsn(setting: PgSetting, text: str) -> None:
    if not _LSN.fullmatch(text):
        raise InputError(f"{setting.name}: {text!r} is not an LSN", hint="Write it like 0/16B3740.")


def _target_name(setting: PgSetting, text: str) -> None:
    if len(text.encode()) > _MAX_NAME_BYTES:
        raise InputError(f"{setting.name}: {text!r} is longer than {_MAX_NAME_BYTES} bytes")


def _target(setting: PgSetting, text: str) -> None:
    if text != "immediate":
        raise InputError(f"{setting.name}: {text!r} makes no sense", hint="Write immediate.")


def _command(placeholders: str) -> Check:
    """A command with placeholders; since 16 the server refuses those that it does not know."""

    def check(setting: PgSetting, text: str) -> None:
        unknown = {each for each in _PLACEHOLDER.findall(text) if each not in (*placeholders, "%")}
        if unknown:
            raise InputError(
                f"{setting.name}: %{min(unknown)} has no meaning",
                hint=f"It knows %{', %'.join(placeholders)}; write %% for a percent sign.",
            )

    return check


_CHECKS: Mapping[str, Check] = {
    "archive_cleanup_command": _command("r"),
    "archive_command": _command("pf"),
    "recovery_end_command": _command("r"),
    "recovery_target": _target,
    "recovery_target_lsn": _target_lsn,
    "recovery_target_name": _target_name,
    "recovery_target_time": _target_time,
    "recovery_target_timeline": _target_timeline,
    "recovery_target_xid": _target_xid,
    "restore_command": _command("pfr"),
}
