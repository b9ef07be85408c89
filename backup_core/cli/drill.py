"""Prove that the backups can be restored: restore one, recover it, ask it, record what was found.

`run` restores into a scratch directory, starts a server there that reaches neither production nor
the repository (it archives nothing, listens to no network), replays WAL, runs pg_verifybackup,
pg_amcheck and the checks of a file, and removes everything. `list` and `show` tell of the records.
Exit codes: 0 proved; 20-29 failed, by the phase: 20 prepare, 21 plan, 22 restore, 23 verify, 24
archive, 25 start, 26 replay, 27 amcheck, 28 checks, 29 cleanup or record; 2 wrong arguments or
settings; 5 no such record; 130, 143 interrupted, after everything was removed.
"""

from __future__ import annotations

import argparse
import re
from datetime import datetime, timedelta
from pathlib import Path

from backup_core.cli.backup_fetch import parse_time
from backup_core.cli.options import add_common, load_settings, open_repository
from backup_core.config import values
from backup_core.drill.request import LATEST, OLDEST, DrillRequest, Until
from backup_core.errors import UsageError

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_DAY = timedelta(days=1)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    run_ = actions.add_parser("run", help="restore a backup, recover it and ask it")
    _add_run(run_)
    listing = actions.add_parser("list", help="list the records of drills")
    listing.add_argument("--count", metavar="N", default="20", help="the newest N (20)")
    show = actions.add_parser("show", help="show the record of a drill")
    show.add_argument("record", help="a record's name, or LATEST")
    for action in actions.choices.values():
        action.add_argument("--json", action="store_true", help="print JSON (docs/json.md)")
        add_common(action)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scratch", type=Path, help="a directory to restore into, then emptied")
    parser.add_argument("--name", default="drill", help="what the drill is called in its record")
    parser.add_argument(
        "--backup", metavar="NAME", default=LATEST, help="latest (the default), oldest or a name"
    )
    parser.add_argument(
        "--until",
        metavar="WHEN",
        help="how far to replay: start, past the drill's own start (the default); end, what is "
        "archived; a time; or +1d after the backup (the default for the oldest)",
    )
    parser.add_argument("--wait", metavar="TIME", default="15min", help="for WAL after the start")
    parser.add_argument("--timeout", metavar="TIME", default="12h", help="of start and of replay")
    parser.add_argument("--checks", metavar="FILE", type=Path, help="questions (docs/drill.md)")
    parser.add_argument("--no-verifybackup", action="store_true", help="leave pg_verifybackup out")
    parser.add_argument("--no-amcheck", action="store_true", help="leave pg_amcheck out")
    parser.add_argument(
        "--heapallindexed", action="store_true", help="let pg_amcheck look for each row in indexes"
    )
    parser.add_argument("--bin-directory", metavar="DIR", type=Path, help="PostgreSQL's programs")
    parser.add_argument("--user", metavar="ROLE", help="a superuser in the cluster (postgres)")
    parser.add_argument(
        "--setting", metavar="NAME=VALUE", action="append", default=[], help="of the drill's server"
    )
    parser.add_argument("--workers", metavar="N", help="restore this many parts at once")
    parser.add_argument("--keep", action="store_true", help="leave what was restored, for looking")
    parser.add_argument("--no-record", action="store_true", help="store no record")


def run(args: argparse.Namespace) -> int:
    """Drill, list or show."""
    from backup_core.cli import drill_records, drill_run

    if args.action == "run":
        loaded = load_settings(args, download_concurrency=args.workers)
        return drill_run.drill(args, loaded, request_of(args))
    settings = load_settings(args).settings
    storage = open_repository(settings)
    if args.action == "list":
        count = values.integer(1, 1_000_000)(args.count)
        return drill_records.print_list(storage, settings, count, as_json=args.json)
    return drill_records.print_record(storage, settings, args.record, as_json=args.json)


def request_of(args: argparse.Namespace) -> DrillRequest:
    """What the arguments ask for; raises UsageError."""
    if _NAME.fullmatch(args.name) is None:
        raise UsageError(
            f'"{args.name}" is no name for a drill',
            hint="Use lower-case letters, digits, hyphens, dots and underscores.",
        )
    is_oldest = args.backup.upper() == OLDEST
    return DrillRequest(
        name=args.name,
        backup=args.backup,
        until=_until(args.until) if args.until else (_DAY if is_oldest else "start"),
        scratch=args.scratch.absolute(),
        bin_directory=args.bin_directory,
        user=args.user or "postgres",
        checks=args.checks,
        settings=tuple(map(_setting, args.setting)),
        wait=values.duration(args.wait),
        timeout=values.duration(args.timeout),
        verify=not args.no_verifybackup,
        amcheck=not args.no_amcheck,
        heapallindexed=args.heapallindexed,
        keep=args.keep,
    )


def _until(text: str) -> Until:
    if text in ("start", "end"):
        return "start" if text == "start" else "end"
    if text.startswith("+"):
        return timedelta(seconds=values.duration(text[1:]))
    return _moment(text)


def _moment(text: str) -> datetime:
    try:
        return parse_time(text)
    except UsageError as error:
        raise UsageError(
            error.message, hint='Write start, end, +1d, or a time: "2026-11-22 10:15:00+00".'
        ) from None


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f'"{text}" is not a setting', hint="Write NAME=VALUE.")
    return name.strip(), value
