"""Times, lengths and sizes as a page says them; times are UTC, because a page travels."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from backup_core.report.html import Markup, tag

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_SHORT = {"day": "d", "hour": "h", "minute": "min", "second": "s"}
_BYTES = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def utc(time: datetime) -> datetime:
    """A time in UTC; one at the end of all time, which a wrong clock may tell, as it is."""
    try:
        return time.astimezone(UTC)
    except OverflowError:
        return time.replace(tzinfo=UTC)


def moment(time: datetime) -> str:
    """A moment to the second, without its zone."""
    at = utc(time)
    return f"{at.day} {at:%b %Y, %H:%M:%S}"


def moment_tag(time: datetime) -> Markup:
    """A moment that programs can read as well."""
    return tag("time", moment(time), datetime=utc(time).isoformat())


def length(span: timedelta) -> str:
    """A length of time in its two largest units: 3 days 4 hours."""
    return " ".join(f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in _parts(span))


def short(span: timedelta) -> str:
    """The same in short: 3 d 4 h."""
    return " ".join(f"{count} {_SHORT[unit]}" for count, unit in _parts(span))


def _parts(span: timedelta) -> list[tuple[int, str]]:
    seconds = max(0, round(span.total_seconds()))
    found: list[tuple[int, str]] = []
    for size, unit in _UNITS:
        count, rest = divmod(seconds, size)
        if count or found:
            found.append((count, unit))
            seconds = rest
    parts = [part for part in found[:2] if part[0]]
    return parts or [(0, "second")]


def volume(count: int) -> str:
    """A number of bytes with three significant digits."""
    power = min(max(0, count.bit_length() - 1) // 10, len(_BYTES) - 1)
    if count >= 999.5 * 1024**power and power < len(_BYTES) - 1:  # 1,000 reads worse than 0.98
        power += 1
    value = count / 1024**power
    return f"{value:.3g} {_BYTES[power]}" if power else f"{count} bytes"


def number(count: int, unit: str, plural: str = "") -> str:
    """A count with its unit: 1 backup, 1,024 backups."""
    return f"{count:,} {unit if count == 1 else plural or unit + 's'}"


def server(version: int) -> str:
    """A server_version_num as people write it."""
    if version >= 100000:
        return f"{version // 10000}.{version % 10000}"
    return f"{version // 10000}.{version // 100 % 100}.{version % 100}"
