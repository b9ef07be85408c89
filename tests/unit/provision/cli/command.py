"""Run `provision` as an engineer does, in this process."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from provision.cli.main import main

BASE = """
    run_list:
      - recipe[pitr::tooling]
      - recipe[pitr::archiving]
      - recipe[pitr::base_backup]
    default_attributes:
      postgresql: {version: 15}
      pitr:
        repository: s3://bucket/main
"""
INVENTORY = """
    groups:
      main: {hosts: [db1, db2, db3], cluster: main}
    hosts:
      db1: {run_list: ["role[base]"]}
      db2: {run_list: ["role[base]"], default_attributes: {pitr: {recovery: {mode: none}}}}
      db3: {run_list: ["role[base]"]}
"""


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str


class Project:
    """A directory with roles, in git."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys

    def write(self, **files: str) -> None:
        """Write files of `roles/`; `a__b` is `a/b.yml`."""
        for name, text in files.items():
            path = self.directory / f"roles/{name.replace('__', '/')}.yml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a file of `roles/`."""
        path = self.directory / f"roles/{name}.yml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def commit(self, message: str = "change") -> None:
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def git(self, *words: str) -> None:
        """Run git there."""
        who = ("-c", "user.name=me", "-c", "user.email=me@example.com")
        subprocess.run(["git", "-C", str(self.directory), *who, *words], check=True)

    def run(self, command: str, *words: str) -> Said:
        """Run a command on the project."""
        self._capsys.readouterr()
        code = main([*command.split(" "), *words, "--project", str(self.directory)])
        said = self._capsys.readouterr()
        return Said(code, said.out, said.err)
