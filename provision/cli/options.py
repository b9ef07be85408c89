"""What several commands take: the project, and which of its hosts are meant."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from provision.errors import UsageError


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ours: 2 means changes here, not a wrong command line."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(message, hint=f"{self.prog} --help lists the arguments.")


def add_project(parser: argparse.ArgumentParser, *, default: Path | str = Path()) -> None:
    """Add the option that says where roles/ is."""
    parser.add_argument(
        "--project", metavar="DIR", type=Path, default=default, help="where roles/ is (here)"
    )


def add_selectors(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose hosts; without one, all are meant."""
    group = parser.add_argument_group("which hosts (all)")
    for name, metavar, what in (
        ("host", "PATTERN", "hosts by name, also with * and ?"),
        ("role", "ROLE", "hosts with this role in their expanded run list"),
        ("environment", "NAME", "hosts of this environment"),
        ("group", "NAME", "hosts of this group"),
    ):
        group.add_argument(f"--{name}", metavar=metavar, action="append", default=[], help=what)


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add the options for reaching hosts."""
    group = parser.add_argument_group("connections")
    group.add_argument(
        "--parallel", metavar="N", type=_positive, default=10, help="hosts at once (10)"
    )
    group.add_argument(
        "--ask-sudo-password", action="store_true", help="ask once for hosts whose sudo wants one"
    )
    group.add_argument(
        "--identity", metavar="FILE", type=Path, action="append", default=[], help="a private key"
    )
    group.add_argument(
        "--known-hosts",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="keys of hosts that the inventory does not pin (~/.ssh/known_hosts)",
    )
    group.add_argument("--use-agent", action="store_true", help="offer the ssh agent's keys")


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of hosts")
    return number
