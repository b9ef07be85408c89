"""Find mistakes that are valid YAML: on single hosts, between hosts, and secrets in plain sight.

Exits with 1 if there is an error; warnings alone are 0.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from provision.cli.fleet import chosen
from provision.cli.options import add_project, add_selectors
from provision.lint import Finding, lint
from provision.pasted_keys import find
from provision.project import read_files
from provision.values import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_project(parser)
    add_selectors(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print what is found, errors first."""
    found = [*_pasted(arguments.project), *lint([member.node for member in chosen(arguments)])]
    if arguments.json:
        print(json.dumps([asdict(each) for each in found], indent=1))
    else:
        for each in found:
            _show(each)
        errors = sum(each.severity == "error" for each in found)
        print(f"{counted(errors, 'error')}, {counted(len(found) - errors, 'warning')}")
    return int(any(each.severity == "error" for each in found))


def _pasted(project: Path) -> Iterable[Finding]:
    for name, data in read_files(project).items():
        for key in find(data.decode("utf-8", "replace"), name):
            yield Finding(
                rule="pasted-key",
                severity="error",
                hosts=(),
                message=f"{key.file}:{key.line}: {key.what}",
                hint=key.hint,
            )


def _show(finding: Finding) -> None:
    where = f"{', '.join(finding.hosts)}: " if finding.hosts else ""
    print(f"{finding.severity}: {where}{finding.message} [{finding.rule}]")
    print(f"    hint: {finding.hint}")
