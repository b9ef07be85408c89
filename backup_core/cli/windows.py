"""Show which moments can be recovered: from when to when, on which timeline, by which backup.

Exit codes: 0, also without a backup if nothing is promised; 10 if a promise is broken
(recovery_window, recovery_freshness); others in docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from backup_core.cli.options import add_common, load_settings, open_repository
from backup_core.cli.output import duration, moment, table
from backup_core.config import Settings
from backup_core.verify.ends import Damaged, read_recovery
from backup_core.verify.promise import Breach, Promise, judge
from backup_core.verify.window import Recovery, RecoveryWindow

BROKEN = 10
_SOURCES = {
    "backup": "the end of its newest backup: no transaction ended since, as far as is known",
    "stored": "when its last segment was stored: the WAL cannot be read without its key",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--json", action="store_true", help="print JSON (docs/json.md)")
    add_promises(parser)
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Print the windows, and whether they keep what was promised."""
    settings = settings_with_promises(args)
    found, damaged = read_recovery(open_repository(settings))
    now = datetime.now(UTC)
    breaches = judge(found, promise_of(settings), now)
    if args.json:
        print(json.dumps(document(found, damaged, breaches), indent=2))
    else:
        _print(found, damaged, breaches, now)
    return BROKEN if breaches else 0


def add_promises(parser: argparse.ArgumentParser) -> None:
    """Add the options that promise for this call what the settings do for all."""
    parser.add_argument(
        "--recovery-window", metavar="TIME", help="how far back recovery must be possible: 14d"
    )
    parser.add_argument(
        "--recovery-freshness",
        metavar="TIME",
        help="how old the newest recoverable moment may be: 15min",
    )


def settings_with_promises(args: argparse.Namespace) -> Settings:
    """The settings for a call with these options."""
    return load_settings(
        args,
        recovery_window=args.recovery_window,
        recovery_freshness=args.recovery_freshness,
    ).settings


def promise_of(settings: Settings) -> Promise:
    """What the settings promise."""

    def span(seconds: float | None) -> timedelta | None:
        return None if seconds is None else timedelta(seconds=seconds)

    return Promise(
        window=span(settings.recovery_window), freshness=span(settings.recovery_freshness)
    )


def _print(
    found: Recovery, damaged: Sequence[Damaged], breaches: Sequence[Breach], now: datetime
) -> None:
    if not found.windows:
        print("nothing can be recovered")
    else:
        heads = ["timeline", "from", "to", "length", "from LSN", "to LSN", "backups", "newest"]
        rows = [_row(window) for window in found.windows]
        for line in table(heads, rows, right=[0, 6]):
            print(line)
    current = found.current
    if current is not None and current.end_time is not None:
        age = duration(now - current.end_time)
        print(
            f"current: timeline {current.timeline}, from {moment(current.begin_time)} "
            f"to {moment(current.end_time)}, which was {age} ago"
        )
        if current.end_source in _SOURCES:
            print(f"the end of the window is {_SOURCES[current.end_source]}")
    for broken in damaged:
        print(f"DAMAGED {broken.name}: {broken.reason}")
    for item in found.unusable:
        print(f"UNUSABLE {item.name}: {item.reason}")
    for breach in breaches:
        print(f"BROKEN {breach.promise}: {breach.message}")


def _row(window: RecoveryWindow) -> list[str]:
    end = window.end_time or window.begin_time
    return [
        str(window.timeline),
        moment(window.begin_time),
        moment(end),
        duration(end - window.begin_time),
        str(window.begin_lsn),
        str(window.end_lsn),
        str(len(window.backups)),
        window.backups[-1].name,
    ]


def document(
    found: Recovery, damaged: Sequence[Damaged], breaches: Sequence[Breach]
) -> dict[str, object]:
    """What --json prints (docs/json.md)."""
    return {
        "version": 1,
        "windows": [_window(window, window is found.current) for window in found.windows],
        "unusable": [{"name": item.name, "reason": item.reason} for item in found.unusable],
        "damaged": [{"name": item.name, "reason": item.reason} for item in damaged],
        "broken": [{"promise": item.promise, "message": item.message} for item in breaches],
    }


def _window(window: RecoveryWindow, is_current: bool) -> dict[str, object]:
    def time(value: datetime | None) -> str | None:
        return None if value is None else value.isoformat()

    return {
        "timeline": window.timeline,
        "system_identifier": str(window.system_identifier or ""),
        "current": is_current,
        "begin_time": time(window.begin_time),
        "begin_lsn": str(window.begin_lsn),
        "end_time": time(window.end_time),
        "end_lsn": str(window.end_lsn),
        "end_source": window.end_source,
        "last_segment": window.last_segment,
        "last_stored": time(window.last_stored),
        "backups": [
            {
                "name": backup.name,
                "from_time": time(backup.finish_time),
                "from_lsn": str(backup.finish_lsn),
            }
            for backup in window.backups
        ],
    }
