"""Show what would change on hosts, and change nothing.

Without --against, hosts are looked at, one round trip each. With it, the roles are compared with
those of a git revision or with a rendered tree, and no host is reached.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from provision.cli.fleet import (
    Member,
    chosen,
    eyes_of,
    jobs_of,
    revision_of,
    rules_of,
    secrets_of,
    selectors_of,
)
from provision.cli.options import add_connection, add_project, add_selectors
from provision.cli.progress import progress
from provision.cli.revision import Revision, read_revision
from provision.cli.show import FORMATS, show
from provision.content import Label
from provision.errors import InputError, UsageError, worst
from provision.observe import plan_hosts
from provision.plan.model import Plan
from provision.plan.trees import compare_trees, removed_host
from provision.redaction import Fingerprints, labels_of_both
from provision.selection import Selectors
from provision.tree import Tree, bare, read_tree, tree_of


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
        if selectors_of(arguments) != Selectors():  # the others are not gone
            present = {member.host.name for member in members}
            trees = {name: tree for name, tree in trees.items() if name in present}
        return _offline(members, trees, f"tree {arguments.against}", revision)
    if arguments.against_git is not None:
        _check_selection(arguments)
        old = read_revision(arguments.project, arguments.against_git)
        labels = _labels(arguments, old)
        trees = {member.host.name: tree_of(member.catalog, labels[0]) for member in old.members}
        against = f"git {arguments.against_git}"
        return _offline(members, trees, against, revision, label=labels[1])
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
    members: tuple[Member, ...],
    trees: Mapping[str, Tree],
    against: str,
    revision: str,
    label: Label = bare,
) -> Plan:
    plans = [
        compare_trees(
            member.catalog,
            trees.get(member.host.name, {}),
            rules_of(member.major).needs_restart,
            label,
        )
        for member in members
    ]
    present = {member.host.name for member in members}
    plans += [removed_host(name, tree) for name, tree in trees.items() if name not in present]
    return Plan(hosts=tuple(plans), against=against, revision=revision)


def _labels(arguments: argparse.Namespace, old: Revision) -> tuple[Label, Label]:
    """What tells the secrets of a revision from those of today, as far as both can be had."""
    return labels_of_both(
        secrets_of(arguments, load_bag=old.load_bag),
        secrets_of(arguments),
        Fingerprints.from_environ(arguments.variables),
    )


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
