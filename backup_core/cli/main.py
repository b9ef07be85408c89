"""The composition root: finds the command, runs it, and turns its end into an exit code.

Only the module of the command in hand is imported; PostgreSQL starts wal-push once a segment.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from types import FrameType, ModuleType

from backup_core import __version__
from backup_core.cli.options import Parser
from backup_core.errors import PitrError, UsageError


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command: its module's name and what `pitr --help` says of it."""

    module: str
    summary: str


COMMANDS = {
    "wal-push": Command(module="wal_push", summary="archive a WAL file (archive_command)"),
    "wal-fetch": Command(module="wal_fetch", summary="fetch a WAL file (restore_command)"),
    "wal-show": Command(module="wal_show", summary="show timelines, ranges and gaps of the WAL"),
    "wal-verify": Command(module="wal_verify", summary="verify that the needed WAL is there"),
    "wal-repair": Command(module="wal_repair", summary="archive what was lost, from a pg_wal"),
    "backup-push": Command(module="backup_push", summary="take a base backup of a running cluster"),
    "backup-list": Command(module="backup_list", summary="list the base backups"),
    "backup-fetch": Command(module="backup_fetch", summary="restore a base backup to a moment"),
    "backup-cat": Command(module="backup_cat", summary="write a file of a backup to the output"),
    "backup-verify": Command(module="backup_verify", summary="verify stored backups by digest"),
    "backup-mark": Command(module="backup_mark", summary="mark a backup permanent, or not"),
    "delete": Command(module="delete", summary="remove backups, and WAL that none needs"),
    "windows": Command(module="windows", summary="show from when to when recovery is possible"),
    "check": Command(module="check", summary="look at everything that can be wrong"),
    "metrics": Command(module="metrics", summary="write metrics for Prometheus"),
    "report": Command(module="report", summary="draw what can be recovered as a page"),
    "drill": Command(module="drill", summary="prove that the backups can be restored"),
    "copy": Command(module="copy", summary="copy backups and WAL to another repository"),
    "st": Command(module="st", summary="look at, move and check single objects of the store"),
    "keys": Command(module="keys", summary="list which objects need which key"),
    "rewrap": Command(module="rewrap", summary="encrypt what is stored for other age keys"),
    "config": Command(module="config", summary="show every setting and where it comes from"),
    "compat": Command(module="compat", summary="take the command line of wal-e or wal-g"),
}
_WORKERS = {
    "push-ahead": Command(module="push_ahead", summary="what wal-push leaves behind"),
    "prefetch": Command(module="prefetch", summary="what wal-fetch leaves behind"),
}
TOOLS = ("wal-e", "wal-g")
"""Names under which pitr, called by a link, takes that tool's command line."""
_HIDDEN = {
    "wal-e backup-list": Command(module="compat_list_wal_e", summary=""),
    "wal-g backup-list": Command(module="compat_list_wal_g", summary=""),
}


class TerminatedError(BaseException):
    """SIGTERM arrived; raised in the main thread so that cleaning up happens."""


def program() -> None:
    """Run as the installed command; ending without the interpreter's own tidying saves 8 ms."""
    code = main()
    gpg = sys.modules.get("backup_core.stream.encrypt.gpg")
    if gpg is not None:
        gpg.remove_homes()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.flush()
    os._exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code (docs/exit-codes.md)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    called = sys.argv[0].rpartition("/")[2] if argv is None else ""
    if called in TOOLS:
        arguments = ["compat", called, *arguments]
    name = arguments[0] if arguments else ""
    command = COMMANDS.get(name) or _WORKERS.get(name)
    if command is None:
        return _without_command(name)
    return _run(name, command, arguments[1:], who=f"pitr {name}")


def run_for(tool: str, name: str, arguments: Sequence[str]) -> int:
    """Run one of our commands for a call of another tool; return its exit code."""
    command = _HIDDEN.get(f"{tool} {name}") or COMMANDS[name]
    return _run(name, command, list(arguments), who=f"{tool} {name}")


def _run(name: str, command: Command, arguments: list[str], *, who: str) -> int:
    module: ModuleType | None = None
    signal.signal(signal.SIGTERM, _terminate)
    try:
        module = import_module(f"backup_core.cli.{command.module}")
        parser = Parser(prog=who, description=module.__doc__)
        module.configure(parser)
        args = parser.parse(arguments)
        args.command = name
        code = int(module.run(args))
        _flush_output()
        return code
    except SystemExit as exit_:  # argparse, after --help
        return int(exit_.code or 0)
    except BaseException as error:
        report_error(who, error)
        words = [name, *arguments] if name == "compat" else [name]
        return _failure_code(module, error, otherwise=_code_for_any(words, error))


def _flush_output() -> None:
    """What was printed counts only once it is written; a closed output prints nothing."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise PitrError(f"cannot write the output: {error.strerror}") from None


def _failure_code(module: ModuleType | None, error: BaseException, *, otherwise: int) -> int:
    """The command's own code; `otherwise` if it has none, or could not even be imported."""
    own = getattr(module, "failure_code", None)
    return otherwise if own is None else int(own(error))


def _code_for_any(words: Sequence[str], error: BaseException) -> int:
    """What the server may see: never the end of the archive, never the end of its archiver."""
    if "wal-fetch" in words:
        return 200
    code = exit_code(error)
    return min(code, 125) if "wal-push" in words else code


def exit_code(error: BaseException) -> int:
    """The exit code of most commands for an error that ended them."""
    if isinstance(error, PitrError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return 130
    return 143 if isinstance(error, TerminatedError) else 1


def report_error(who: str, error: BaseException) -> None:
    """Say on standard error what happened and what to do; never a traceback."""
    hint = None
    if isinstance(error, PitrError):
        message, hint = error.message, error.hint
    elif isinstance(error, KeyboardInterrupt | TerminatedError):
        message = "interrupted"
    elif isinstance(error, BrokenPipeError):
        message = "nobody reads the output any more"
    else:
        message = f"unexpected {type(error).__name__}: {error}"
        hint = "This is a defect in pitr; please report it with the command line and this message."
    lines = [f"{who}: error: {_one_line(message)}"]
    if hint:
        lines.append(f"hint: {_one_line(hint)}")
    try:
        print("\n".join(lines), file=sys.stderr, flush=True)
    except OSError:
        return


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _terminate(number: int, frame: FrameType | None) -> None:
    del number, frame
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise TerminatedError


def _without_command(name: str) -> int:
    if name in ("", "--help", "-h", "help"):
        print(_help(), file=sys.stdout if name else sys.stderr)
        return 0 if name else 2
    if name in ("--version", "version"):
        print(f"pitr {__version__}")
        return 0
    report_error("pitr", _unknown(name))
    return 2


def _unknown(name: str) -> UsageError:
    from difflib import get_close_matches

    near = get_close_matches(name, COMMANDS, n=1)
    meant = f'Did you mean "{near[0]}"? ' if near else ""
    return UsageError(f'there is no command "{name}"', hint=f"{meant}pitr --help lists them.")


def _help() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: pitr COMMAND [ARGUMENTS]",
            "",
            "Continuous archiving and point-in-time recovery for PostgreSQL.",
            "",
            *rows,
            "",
            "pitr COMMAND --help tells the arguments and exit codes of each; pitr --version.",
        ]
    )
