"""Remove backups, and the WAL that no backup needs any more.

  before [FIND_FULL] NAME|TIME   what is older than that backup, or than that time
  retain [FULL|FIND_FULL] [N]    all but the newest N, and what the options keep
  target [FIND_FULL] NAME        that backup and all that are made on it; no WAL
  garbage [ARCHIVES|BACKUPS]     WAL that no backup needs; what is left of broken backups
  everything [FORCE]             all backups and all WAL

Without --confirm the plan is printed and nothing is removed. Backups that are marked permanent and
the last good one stay. Exit codes: 0 removed, or with the plan only: it could be; 1 some objects
could not be removed; 3 refused: a backup is running, or what is named is permanent or the last good
one; 5 no such backup; 7 the repository cannot be read; others in docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from backup_core import log
from backup_core.cli.delete_plan import document, print_plan
from backup_core.cli.options import add_common, load_settings, open_repository
from backup_core.config import Settings
from backup_core.errors import PitrError, UsageError
from backup_core.repository import layout
from backup_core.repository.lock import backup_lock
from backup_core.retention.apply import apply_retention
from backup_core.retention.policy import RetentionPlan, plan_retention
from backup_core.retention.request import (
    Before,
    Everything,
    Garbage,
    Kind,
    Point,
    Request,
    Retain,
    Target,
)
from backup_core.retention.survey import read_holdings
from backup_core.storage.base import Storage

FORMS = ("before", "retain", "target", "garbage", "everything")
_MODIFIERS = ("FULL", "FIND_FULL", "FORCE", "ARCHIVES", "BACKUPS")
_ALLOWED = {
    "before": ("FIND_FULL",),
    "retain": ("FULL", "FIND_FULL"),
    "target": ("FIND_FULL",),
    "garbage": ("ARCHIVES", "BACKUPS"),
    "everything": ("FORCE",),
}
_PERIODS = ("daily", "weekly", "monthly", "yearly")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("form", choices=FORMS, help="what to remove")
    parser.add_argument("words", nargs="*", metavar="WORD", help="as above")
    parser.add_argument("--confirm", action="store_true", help="carry the plan out")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument(
        "--system-identifier",
        metavar="N",
        type=int,
        help="remove from this cluster, where the repository holds several; else the newest",
    )
    policy = parser.add_argument_group("retain keeps what any of these keeps")
    policy.add_argument(
        "-a",
        "--after",
        metavar="NAME|TIME",
        help="all from here on, and before a time what leads to it",
    )
    policy.add_argument("--window", metavar="TIME", help="what recovery over this time needs: 14d")
    for name in _PERIODS:
        policy.add_argument(
            f"--{name}",
            metavar="N",
            type=int,
            default=0,
            help=f"the newest backup of each of the last N {_plural(name)}",
        )
    policy.add_argument(
        "--wal-around",
        action="store_true",
        help="keep WAL only around the backups that are counted, not onwards from the oldest",
    )
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Plan, print, and with --confirm remove."""
    request = request_of(args)
    settings = load_settings(args).settings
    storage = open_repository(settings)
    if not args.confirm:
        _show(_plan(storage, request, settings, args), args)
        return 0
    with backup_lock(storage) as check:
        plan = _plan(storage, request, settings, args)
        _show(plan, args)
        outcome = apply_retention(storage, plan, check=check)
    logger = log.get("delete")
    for key, why in outcome.failed.items():
        log.event(logger, log.ERROR, "not removed", action="delete", key=key, why=why)
    log.event(
        logger,
        log.INFO,
        "removed",
        action="delete",
        prefix=storage.url,
        backups=len(plan.backups),
        objects=outcome.removed,
    )
    if outcome.failed:
        raise PitrError(
            f"{len(outcome.failed)} objects could not be removed",
            hint="The log names each with the reason. Run the same command again when it is gone.",
        )
    return 0


def _plan(
    storage: Storage, request: Request, settings: Settings, args: argparse.Namespace
) -> RetentionPlan:
    promised = settings.recovery_window
    held = read_holdings(
        storage,
        now=datetime.now(UTC),
        promised=None if promised is None else timedelta(seconds=promised),
        cluster=args.system_identifier,
    )
    return plan_retention(request, held)


def _show(plan: RetentionPlan, args: argparse.Namespace) -> None:
    if args.json:
        print(json.dumps(document(plan, confirmed=args.confirm), indent=2))
    else:
        print_plan(plan, confirmed=args.confirm)


def request_of(args: argparse.Namespace) -> Request:
    """What the words ask for; raises UsageError."""
    words = list(args.words)
    modifier = words.pop(0).upper() if words and words[0].upper() in _MODIFIERS else ""
    if modifier and modifier not in _ALLOWED[args.form]:
        raise UsageError(
            f"delete {args.form} does not take {modifier}",
            hint=f"It takes {' or '.join(_ALLOWED[args.form])}.",
        )
    _check_options(args)
    if args.form == "retain":
        return _retain(args, modifier, words)
    if args.form == "before":
        return Before(point=_point(_only(args, words)), find_full=modifier == "FIND_FULL")
    if args.form == "target":
        return Target(name=_only(args, words), find_full=modifier == "FIND_FULL")
    if words:
        raise UsageError(f'delete {args.form} does not take "{words[0]}"')
    if args.form == "garbage":
        return Garbage(wal=modifier != "BACKUPS", backups=modifier != "ARCHIVES")
    return Everything(force=modifier == "FORCE")


def _retain(args: argparse.Namespace, modifier: str, words: Sequence[str]) -> Retain:
    from backup_core.config.values import period_or_off

    if len(words) > 1 or (words and not words[0].isdecimal()):
        raise UsageError(
            f'delete retain does not take "{words[-1]}"', hint="Give the number of backups to keep."
        )
    kinds: dict[str, Kind] = {"": "any", "FULL": "full", "FIND_FULL": "find_full"}
    window = period_or_off(args.window) if args.window else None
    periods = {name: getattr(args, name) for name in _PERIODS}
    if not words and window is None and args.after is None and not any(periods.values()):
        raise UsageError(
            "delete retain needs a rule that keeps something",
            hint="Give a number of backups, --window, --after, or --daily and its kin.",
        )
    if (words and int(words[0]) < 1) or min(periods.values()) < 0:
        raise UsageError("a number of backups to keep is at least 1")
    return Retain(
        count=int(words[0]) if words else None,
        kind=kinds[modifier],
        after=_point(args.after) if args.after else None,
        window=None if window is None else timedelta(seconds=window),
        around=args.wal_around,
        **periods,
    )


def _check_options(args: argparse.Namespace) -> None:
    given = [name for name in ("after", "window", *_PERIODS, "wal_around") if getattr(args, name)]
    if given and args.form != "retain":
        raise UsageError(
            f"--{given[0].replace('_', '-')} is a rule of delete retain, not of {args.form}"
        )


def _only(args: argparse.Namespace, words: Sequence[str]) -> str:
    if len(words) != 1:
        raise UsageError(
            f"delete {args.form} takes one backup", hint="pitr backup-list shows their names."
        )
    return words[0]


def _point(text: str) -> Point:
    """A backup's name, or a time."""
    if layout.is_backup_name(text):
        return text
    from backup_core.cli.backup_fetch import parse_time

    try:
        return parse_time(text)
    except UsageError:
        raise UsageError(
            f'"{text}" is neither the name of a backup nor a time',
            hint='Names look like base_000000010000000000000002, times like "2026-11-22 10:15+00".',
        ) from None


def _plural(period: str) -> str:
    return {"daily": "days"}.get(period, f"{period.removesuffix('ly')}s")
