"""Show what would change on hosts, and change nothing.

Without --against, hosts are looked at, one round trip each. With it, the roles are compared with
those of a git revision or with a rendered tree, and no host is reached.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Mapping
from pathlib import Path

from provision.cli.fleet import (
    Member,
    chosen,
    eyes_of,
    jobs_of,
    members_of,
    revision_of,
    rules_of,
    selectors_of,
)
from provision.cli.options import add_connection, add_project, add_selectors
from provision.cli.progress import progress
from provision.cli.show import FORMATS, show
from provision.errors import InputError, UsageError, worst
from provision.observe import plan_hosts
from provision.plan.model import Plan
from provision.plan.trees import compare_trees, removed_host
from provision.project import belongs, from_files
from provision.selection import Selectors
from provision.tree import Tree, read_tree, tree_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    against = parser.add_mutually_exclusive_group()
    against.add_argument("--against-git", metavar="REV", help="compare with a revision of git")
    against.add_argument(
        "--against", metavar="DIR", type=Path, help="compare with a tree of provision render"
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="how it is printed")
    parser.add_argument(
        "--prune", action="store_true", help="also remove what earlier roles left behind"
    )
    add_project(parser)
    add_selectors(parser)
    add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make the plan and print it; the exit code says whether anything would change."""
    plan = _plan(arguments)
    show(plan, arguments.format)
    return worst(plan.exit_codes)


def _plan(arguments: argparse.Namespace) -> Plan:
    members = chosen(arguments)
    revision = revision_of(arguments.project)
    if arguments.against is not None:
        trees = _rendered(arguments.against)
        return _offline(members, trees, f"tree {arguments.against}", revision)
    if arguments.against_git is not None:
        trees = _trees_of(arguments.project, arguments.against_git)
        _check_selection(arguments)
        return _offline(members, trees, f"git {arguments.against_git}", revision)
    names = [member.host.name for member in members]
    with progress(names, verb="looking", lines=False) as shown:
        return plan_hosts(
            jobs_of(members, arguments),
            eyes_of(arguments, prune=arguments.prune),
            revision=revision,
            started=lambda host: shown.tell(host, "looking", done=False),
            finished=lambda host, status: shown.tell(host, status),
        )


def _offline(
    members: tuple[Member, ...], trees: Mapping[str, Tree], against: str, revision: str
) -> Plan:
    plans = [
        compare_trees(
            member.catalog,
            trees.get(member.host.name, {}),
            rules_of(member.major).needs_restart,
        )
        for member in members
    ]
    present = {member.host.name for member in members}
    plans += [removed_host(name, tree) for name, tree in trees.items() if name not in present]
    return Plan(hosts=tuple(plans), against=against, revision=revision)


def _check_selection(arguments: argparse.Namespace) -> None:
    selectors = selectors_of(arguments)
    if selectors != Selectors():
        raise UsageError(
            "a revision is compared as a whole",
            hint="Leave --host, --role, --environment and --group out.",
        )


def _rendered(directory: Path) -> dict[str, Tree]:
    if not directory.is_dir():
        raise InputError(
            f"{directory} is not a directory", hint="Name what provision render has written."
        )
    return {path.name: read_tree(path) for path in sorted(directory.iterdir()) if path.is_dir()}


def _trees_of(project: Path, revision: str) -> dict[str, Tree]:
    """Compile the project as it was in a revision, without checking it out."""
    names = _git(project, "ls-tree", "-r", "-z", "--name-only", revision, "--", "roles")
    found = [name for name in names.decode().split("\0") if name and belongs(name)]
    files = {name: _git(project, "show", f"{revision}:./{name}") for name in found}
    members = members_of(from_files(files), Selectors())
    return {member.host.name: tree_of(member.catalog) for member in members}


def _git(project: Path, *words: str) -> bytes:
    done = subprocess.run(["git", "-C", str(project), *words], capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise InputError(
            f"git cannot read the revision: {said[-1] if said else 'no reason given'}",
            hint="Name a revision that is here; CI often fetches the newest commit only.",
        )
    return done.stdout
