"""Show where an attribute's value comes from: every layer that sets it, and the one that wins."""

from __future__ import annotations

import argparse

from provision.cli.fleet import selectors_of
from provision.cli.options import add_project, add_selectors
from provision.explain import explain, format_explanations
from provision.project import choose, configure, load
from provision.run_list import format_trace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "attribute", metavar="ATTR", help="such as pitr.archive.timeout, or run_list"
    )
    add_project(parser)
    add_selectors(parser)


def run(arguments: argparse.Namespace) -> int:
    """Explain the attribute for each host that is selected; equal answers once."""
    project = load(arguments.project)
    hosts: dict[str, list[str]] = {}
    for host in choose(project, selectors_of(arguments)):
        configured = configure(project, host)
        if arguments.attribute == "run_list":
            text = format_trace(configured.expansion)
        else:
            text = format_explanations(explain(configured.resolved, arguments.attribute))
        hosts.setdefault(text, []).append(host.name)
    for text, names in hosts.items():
        print(f"{', '.join(names)}:")
        print(text.rstrip("\n"))
    return 0
