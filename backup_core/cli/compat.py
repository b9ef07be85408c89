"""Take the command line of wal-e or wal-g: pitr compat wal-e ARGUMENTS, or a link of that name.

The call is turned into one of ours, so that there is one way to do each thing. Exit codes: those of
our command, but for wal-fetch of a file that is proven absent: 1 with wal-e, 74 with wal-g. Trouble
is 200, or 75 on a standby, because the server would take a lower code for the end of the archive;
wal-push never ends above 125. 2 is a call that is not understood or not taken over.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from backup_core.cli.foreign_call import Call
from backup_core.cli.main import TOOLS, exit_code, report_error, run_for
from backup_core.cli.options import environment, replace_environment
from backup_core.errors import PitrError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("tool", choices=TOOLS, help="whose command line it is")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="as that tool takes them")


def run(args: argparse.Namespace) -> int:
    """Run the call as ours."""
    try:
        call = _translate(args.tool, args.arguments, environment())
    except PitrError as error:
        report_error(args.tool, error)
        return _failure_code(args.arguments, error)
    for warning in call.warnings:
        _warn(f"{args.tool}: warning: {warning}")
    if call.says is not None:
        print(call.says)
        return 0
    replace_environment(call.environment)
    code = run_for(args.tool, call.command, call.arguments)
    return call.codes.get(code, code)


def _translate(tool: str, arguments: Sequence[str], environ: Mapping[str, str]) -> Call:
    if tool == "wal-e":
        from backup_core.cli import compat_wal_e

        return compat_wal_e.translate(arguments, environ)
    from backup_core.cli import compat_wal_g

    return compat_wal_g.translate(arguments, environ)


def _failure_code(arguments: Sequence[str], error: PitrError) -> int:
    """A call that is not understood must not end recovery either."""
    if "wal-fetch" not in arguments:
        return exit_code(error)
    from backup_core.cli.wal_fetch import failure_code

    return failure_code(error)


def _warn(line: str) -> None:
    if sys.stderr is not None:
        with suppress(OSError):
            print(line, file=sys.stderr, flush=True)
