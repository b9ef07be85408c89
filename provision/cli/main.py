"""The composition root of `provision`: finds the command, runs it, and turns its end into a code.

Whatever a command prints passes a scrubber that knows every secret that was resolved: the last line
of defence behind references and redacted diffs.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from types import FrameType, ModuleType

from provision.cli.options import Parser
from provision.errors import ProvisionError, UsageError
from provision.scrubbing import ScrubbedStream, Scrubber

INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command: its module's name and what `provision --help` says of it."""

    module: str
    summary: str


COMMANDS = {
    "validate": Command(module="validate", summary="check roles, environments and inventory"),
    "render": Command(module="render", summary="write what each host would get into a directory"),
    "plan": Command(module="plan", summary="show what would change, and change nothing"),
    "apply": Command(module="apply", summary="change hosts as the plan says"),
    "drift": Command(module="drift", summary="show what others changed since the last apply"),
    "report": Command(module="report", summary="draw what can be recovered of every cluster"),
    "explain": Command(module="explain", summary="show where an attribute's value comes from"),
    "lint": Command(module="lint", summary="find mistakes on single hosts and between hosts"),
    "hosts": Command(module="hosts", summary="list hosts; hold and release them; pin their keys"),
    "secrets": Command(module="secrets", summary="keep secrets in encrypted data bags"),
}
_EXIT_CODES = """
exit codes: 0 nothing to do, or done; 1 error; 2 changes pending; 3 refused; 4 a host is
unreachable; 5 partly applied; 130 interrupted. Of several, the first of 1 5 4 3 2 0 counts."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else ""
    if name in ("", "-h", "--help", "help"):
        print(_help(), file=sys.stdout if name else sys.stderr)
        return 0 if name else 1
    if name == "--version":
        from backup_core import __version__

        print(f"provision {__version__}")
        return 0
    scrubber = Scrubber()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (ScrubbedStream(stream, scrubber) for stream in streams)
    try:
        return _run(name, words[1:], scrubber)
    finally:
        sys.stdout, sys.stderr = streams


def _run(name: str, words: list[str], scrubber: Scrubber) -> int:
    try:
        command = COMMANDS.get(name)
        if command is None:
            raise _unknown(name)
        module = _module(command.module)
        parser = Parser(prog=f"provision {name}", description=module.__doc__)
        module.add_arguments(parser)
        arguments = parser.parse_args(words)
        arguments.scrubber = scrubber
        arguments.variables = os.environ
        code = int(module.run(arguments))
        sys.stdout.flush()
        return code
    except SystemExit as end:  # argparse, after --help
        return int(end.code or 0)
    except ProvisionError as error:
        _report(name, error.message, error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        _report(name, "interrupted", None)
        return INTERRUPTED
    except BrokenPipeError:
        return 1
    except Exception as error:
        _report(
            name,
            f"unexpected {type(error).__name__}: {error}",
            "This is a defect in provision; please report it with the command line.",
        )
        return 1


def _module(name: str) -> ModuleType:
    """Import a command; database hosts have the engine without what this needs."""
    try:
        return import_module(f"provision.cli.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "provision":
            raise
        raise UsageError(
            f"the library {error.name} is not installed",
            hint="Install what provision needs: pip install 'pitr[provision]'",
        ) from None


def _report(name: str, message: str, hint: str | None) -> None:
    print(f"provision {name}: error: {' '.join(message.split())}", file=sys.stderr)
    if hint:
        print(f"hint: {' '.join(hint.split())}", file=sys.stderr)


def _unknown(name: str) -> UsageError:
    near = get_close_matches(name, COMMANDS, n=1)
    meant = f'Did you mean "{near[0]}"? ' if near else ""
    return UsageError(f'there is no command "{name}"', hint=f"{meant}provision --help lists them.")


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does, so that plain text in an editor's file is removed."""
    del number, frame
    raise KeyboardInterrupt


def _help() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    head = "usage: provision COMMAND [ARGUMENTS]\n\nFrom role YAML to converged database hosts.\n"
    return "\n".join([head, *rows, _EXIT_CODES, "", "provision COMMAND --help says more."])
