"""Projects written in a test: YAML by file name, as an engineer would have it in a directory."""

from __future__ import annotations

from textwrap import dedent

from provision.errors import InputError
from provision.project import Project, from_files, survey
from provision.source import Node, parse

HOST = """
    hosts:
      db-01:
        run_list: ["role[base]"]
"""
BASE = """
    run_list: ["recipe[pitr::archiving]"]
    default_attributes:
      postgresql: {version: 15}
"""


def node(text: str, file: str = "roles/base.yml") -> Node:
    """Read YAML that is indented as the test is."""
    return parse(dedent(text).encode(), file)


def project(**files: str) -> Project:
    """Make a project; a role's file has its name, and the others' names say where they are.

    `environments__production` is roles/environments/production.yml.
    """
    return from_files(_files(files))


def errors(**files: str) -> list[InputError]:
    """Return all that is wrong with a project."""
    return list(survey(_files(files))[1])


def _files(files: dict[str, str]) -> dict[str, bytes]:
    texts = {"inventory": HOST, "base": BASE, **files}
    return {
        f"roles/{name.replace('__', '/')}.yml": dedent(text).encode()
        for name, text in texts.items()
    }
