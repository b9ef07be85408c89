"""Check roles, environments and inventory, and compile every host, without reaching any.

Everything that is wrong is printed, each with file and line.
"""

from __future__ import annotations

import argparse

from provision.cli.options import add_project
from provision.compile import catalog_of, node_of
from provision.errors import InputError
from provision.project import configure_all, read_files, survey


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_project(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what is wrong; 0 if nothing is."""
    project, found = survey(read_files(arguments.project))
    problems = list(found)
    count = 0
    if project is not None:
        hosts, more = configure_all(project)
        problems += more
        for configured in hosts:
            try:
                catalog_of(node_of(configured))
                count += 1
            except InputError as error:
                problems.append(error)
    for problem in problems:
        print(problem.message)
        if problem.hint:
            print(f"    hint: {problem.hint}")
    if problems:
        return 1
    assert project is not None
    print(
        f"valid: {len(project.roles)} roles, {len(project.environments)} environments, "
        f"{count} hosts"
    )
    return 0
