"""No command shows a secret: on no stream, in no file that it writes, in no program's arguments."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from textwrap import dedent, indent

import pytest

from tests.support.canaries import Canary, mark, seen
from tests.unit.provision.cli.command import Project

PASSWORD = Canary(f"{mark('password')}'\"\\%:é {mark('end')}", (mark("password"), mark("end")))
KEY = Canary(
    f"-----BEGIN PRIVATE KEY-----\n{mark('key') * 4}\n-----END PRIVATE KEY-----", (mark("key"),)
)
ITEM = Canary(f"{mark('item')}$(id)", (mark("item"),))
CANARIES = (PASSWORD, KEY, ITEM)
SECRETS = """
        environment:
          FROM_ENV: {secret: "env:PASSWORD"}
          FROM_BAG: {secret: "bag:main/item"}
        files:
          service.json: {secret: "file:key"}
        recovery:
          mode: streaming
          primary: {host: db1, password: {secret: "env:PASSWORD"}}
"""
COMMANDS = [
    "validate",
    "lint",
    "lint --json",
    "explain pitr.environment",
    "explain pitr.recovery",
    "explain run_list",
    "hosts list",
    "hosts list --format json",
    "secrets list",
    "secrets show-recipients main",
    *(f"plan --against-git HEAD --format {form}" for form in ("text", "json", "markdown", "junit")),
    # Nobody listens there: an error of the network, with everything resolved.
    "plan",
    "plan --format json",
    "apply --yes",
    "drift",
    "drift --json",
    "hosts show db1",
    "hosts pin db1",
    # What an engineer gets wrong.
    "plan --against-git nothing",
    "explain pitr.environment.FROM_EVN",
    "secrets get main/itme --force",
    "apply",
    "render",
]


@pytest.fixture
def planted(fleet: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Project:
    """A project that refers to secrets of all three kinds, which are all at hand."""
    monkeypatch.setenv("PASSWORD", PASSWORD.value)
    identity = tmp_path / "identity"
    fleet.run(f"secrets keygen {identity}")
    monkeypatch.setenv("PROVISION_IDENTITY_FILE", str(identity))
    fleet.run(f"secrets create main {identity.read_text().split()[2]}")
    value = tmp_path / "value"
    value.write_text(ITEM.value)
    with value.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        fleet.run("secrets set main/item")
    key = fleet.directory / "key"
    key.touch(mode=0o600)
    key.write_text(KEY.value)
    (fleet.directory / ".gitignore").write_text("key\n")
    role = fleet.directory / "roles/base.yml"
    role.write_text(
        role.read_text().replace("pitr::base_backup]", "pitr::recovery]")
        + indent(dedent(SECRETS), "    ")
    )
    inventory = fleet.directory / "roles/inventory.yml"
    inventory.write_text(f"defaults: {{port: 9}}\n{inventory.read_text()}")
    return fleet


@pytest.fixture
def arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file in which git notes its arguments, and those of whoever called it."""
    programs, noted = tmp_path / "bin", tmp_path / "arguments"
    programs.mkdir()
    real = "/usr/bin/git"
    script = f'printf "%s\\n" "$@" >>{noted}; cat "/proc/$PPID/cmdline" >>{noted}; exec {real} "$@"'
    (programs / "git").write_text(f"#!/bin/sh\n{script}\n")
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return noted


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_says_a_secret(planted: Project, command: str) -> None:
    """Whether it ends well or not."""
    said = planted.run(command)
    assert said.out or said.err
    assert "Traceback" not in said.err
    assert "defect" not in said.err
    assert not seen(CANARIES, said.out, said.err)


def test_what_is_planted_is_compared(planted: Project) -> None:
    """All three are resolved, or the other tests would prove nothing."""
    text = planted.run("plan --against-git HEAD").out
    for reference in ("env:PASSWORD", "bag:main/item", "file:key"):
        assert f"<secret {reference}" in text


def test_no_file_that_is_written_holds_one(planted: Project, tmp_path: Path) -> None:
    """Neither a rendered tree nor anything in the project but the key's own file."""
    out = tmp_path / "out"
    assert planted.run(f"render {out}").code == 0
    files = [path for path in (*out.rglob("*"), *planted.directory.rglob("*")) if path.is_file()]
    written = [path.read_bytes() for path in files if path.name != "key"]
    assert len(written) > 60
    assert not seen(CANARIES, *written)


def test_no_program_gets_one_as_an_argument(planted: Project, arguments: Path) -> None:
    """Where everybody on the machine could read it."""
    planted.run("plan --against-git HEAD")
    planted.run("apply --yes")
    assert b"ls-tree" in arguments.read_bytes()
    assert not seen(CANARIES, arguments.read_bytes())
