"""Check roles, environments and inventory, and compile every host, without reaching any.

Everything that is wrong is printed, each with file and line.
"""

from __future__ import annotations

import argparse
import re

from provision.cli.fleet import compiled
from provision.cli.options import add_project
from provision.errors import InputError
from provision.project import (
    ROLES,
    SUFFIXES,
    Files,
    Project,
    configure_all,
    read_files,
    survey,
)
from provision.values import counted

_MISSING = re.compile(r"role\[([^]]+)\], included by .* does not exist")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_project(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what is wrong; 0 if nothing is."""
    files = read_files(arguments.project)
    project, found = survey(files)
    problems = list(found)
    count = 0
    if project is not None:
        hosts, more = configure_all(project)
        problems += (each for each in more if not _follows(each, project, files))
        for configured in hosts:
            try:
                compiled(configured)
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
    numbers = (
        counted(len(project.roles), "role"),
        counted(len(project.environments), "environment"),
        counted(count, "host"),
    )
    print(f"valid: {', '.join(numbers)}")
    return 0


def _follows(problem: InputError, project: Project, files: Files) -> bool:
    """Whether it only says that a role does not exist, whose file is there and wrong."""
    found = _MISSING.search(problem.message)
    if found is None or found[1] in project.roles:
        return False
    return any(f"{ROLES}/{found[1]}{suffix}" in files for suffix in SUFFIXES)
