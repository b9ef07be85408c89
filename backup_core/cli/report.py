"""Draw what can be recovered as one page that needs nothing else: a file to open, print or send.

Exit codes: 0, also if nothing can be recovered and nothing is promised; 10 if a promise is broken
(recovery_window, recovery_freshness), with the page written; others in docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from backup_core import __version__
from backup_core.cli.options import add_common, open_repository
from backup_core.cli.report_facts import drills_on_record, outlook, request_in
from backup_core.cli.windows import (
    BROKEN,
    add_promises,
    promise_of,
    settings_with_promises,
)
from backup_core.errors import PitrError
from backup_core.report.document import render
from backup_core.report.survey import read_report


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        *("-o", "--output"), metavar="FILE", default="-", help="where to write it (standard output)"
    )
    parser.add_argument(
        "--json", action="store_true", help="write the facts as JSON instead (docs/json.md)"
    )
    add_promises(parser)
    parser.add_argument(
        "--retain",
        metavar="WORDS",
        help="show what this would remove next: the words of pitr delete retain, as 'FULL 7'",
    )
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Make the report and write it."""
    settings = settings_with_promises(args)
    request = None if args.retain is None else request_in(args.retain)
    storage = open_repository(settings)
    retention = None
    if request is not None:
        now = datetime.now(UTC)
        retention = outlook(storage, request, settings, words=args.retain, now=now)
    report = read_report(
        storage,
        promise_of(settings),
        clock=lambda: datetime.now(UTC),
        pitr_version=__version__,
        drills=drills_on_record(storage, settings),
        retention=retention,
    )
    if args.json:
        text = render(report) + "\n"
    else:
        from backup_core.report.page import render_page

        text = render_page(report)
    write(args.output, text)
    return BROKEN if report.broken else 0


def write(output: str, text: str) -> None:
    """Write a file whole or not at all, since others may be looking at the last one; - prints.

    Raises PitrError.
    """
    if output == "-":
        sys.stdout.write(text)
        return
    path = Path(output)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    if path.exists() and not path.is_file():  # a device, a pipe
        temporary = path
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
        if temporary != path:
            temporary.replace(path)
    except OSError as error:
        if temporary != path:
            temporary.unlink(missing_ok=True)
        raise PitrError(f"cannot write {path}: {error.strerror}") from None
