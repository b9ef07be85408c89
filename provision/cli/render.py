"""Write what each host would get into a directory: one tree a host, with a manifest.

Secrets stand in it as references, so the tree can be kept, compared and shown.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from provision.cli.fleet import chosen
from provision.cli.options import add_project, add_selectors
from provision.errors import RefusedError
from provision.tree import MANIFEST, tree_of, write_tree


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("out", metavar="OUT", type=Path, help="a directory, new or empty")
    add_project(parser)
    add_selectors(parser)


def run(arguments: argparse.Namespace) -> int:
    """Render the hosts that are selected."""
    out: Path = arguments.out
    if out.exists() and any(out.iterdir()):
        raise RefusedError(
            f"{out} is not empty", hint="Name a new directory: files that are gone would stay."
        )
    members = chosen(arguments)
    for member in members:
        directory = out / member.host.name
        directory.mkdir(parents=True)
        write_tree(tree_of(member.catalog), directory)
    print(f"rendered {len(members)} hosts into {out}; each has a {MANIFEST}")
    return 0
