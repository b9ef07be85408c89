"""The tutorial of provisioning is run: every command of it, on hosts, with the output it shows.

A line that is shown has to be in the output, after the one before; `...` stands for anything.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from tests.e2e.test_docs import FENCE, PROMPT
from tests.support.environment import clean_environ
from tests.support.rig.client import Rig, rig_available
from tests.support.rig.protocol import Share

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/provisioning.md"
NAME = "console tutorial"
END = "provision-docs-end"


@dataclass
class Step:
    """A command as it is typed, and the lines that are shown below it."""

    command: str
    shown: list[str] = field(default_factory=list)


def steps() -> Iterator[Step]:
    """The commands of the page, in order; a here-document belongs to its command."""
    for info, text in FENCE.findall(PAGE.read_text()):
        if info != NAME:
            continue
        inside = False
        step = Step(command="")
        for line in text.splitlines():
            if line.startswith(PROMPT):
                if step.command:
                    yield step
                step = Step(command=line.removeprefix(PROMPT))
                inside = line.endswith("<<'END'")
            elif inside:
                step.command += f"\n{line}"
                inside = line != "END"
            else:
                step.shown.append(line)
        yield step


def missing(shown: list[str], output: str) -> str | None:
    """The first line that is shown and not there, after the one before; None if all are."""
    lines = iter(output.splitlines())
    for line in shown:
        pattern = re.sub(r"(\\ )+", r"\\s+", re.escape(line)).replace(r"\.\.\.", ".*")
        if line != "..." and not any(re.fullmatch(pattern, each) for each in lines):
            return line
    return None


def test_the_test_of_the_tutorial_finds_what_is_missing() -> None:
    """A line that is not there, or only before, is missed; dots stand for anything."""
    assert missing(["a ... z", "...", "end"], "x\na b c z\ny\nend") is None
    assert missing(["end", "a"], "a\nend") == "a"
    assert missing(["a b"], "a  c") == "a b"
    assert len(list(steps())) > 20


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a program `provision`, `fab` and `ssh` that are ours."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, code in (
        ("provision", "from provision.cli.main import main; raise SystemExit(main())"),
        ("fab", "from fabric.main import program; program.run()"),
    ):
        script = f'exec {shlex.quote(sys.executable)} -c {shlex.quote(code)} "$@"\n'
        (programs / name).write_text(f"#!/bin/sh\n{script}")
        (programs / name).chmod(0o755)
    # OpenSSH takes the home from the user database
    known = f"-o UserKnownHostsFile={tmp_path}/.ssh/known_hosts"
    ssh = f'exec /usr/bin/ssh -F none -i {tmp_path}/.ssh/id_ed25519 {known} "$@"\n'
    (programs / "ssh").write_text(f"#!/bin/sh\n{ssh}")
    (programs / "ssh").chmod(0o755)
    return tmp_path


def test_the_tutorial_does_what_it_says(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """From two bare hosts to archiving, a delayed replica, drift, holds and secrets."""
    if not rig_available():
        pytest.skip("hosts need root: run make test as root, or with sudo without a password")
    repository = tmp_path_factory.mktemp("repository")
    repository.chmod(0o777)
    (home / ".ssh").mkdir(mode=0o700)
    with Rig(home / ".ssh") as rig, ExitStack() as opened:
        share = Share(source=str(repository), target="/srv/backup/main", writable=True)
        one, two = rig.start_all(["db1", "db2"], shares=[share])
        one.postgres()
        two.postgres()
        two.sh("pg_ctlcluster 15 main stop")
        addresses = {"192.0.2.11": one.address, "192.0.2.12": two.address}
        shell = opened.enter_context(Shell(home))
        for step in steps():
            if step.command.startswith("provision plan") and not shell.pinned:
                pin(home / "fleet/roles/inventory.yml", {one.address: one.host_keys[0]})
                pin(home / "fleet/roles/inventory.yml", {two.address: two.host_keys[0]})
                known = [f"{host.address} {host.host_keys[0]}" for host in (one, two)]
                (home / ".ssh/known_hosts").write_text("\n".join([*known, ""]))
                shell.pinned = True
            command, shown = step.command, "\n".join(step.shown)
            for written, real in addresses.items():
                command, shown = command.replace(written, real), shown.replace(written, real)
            output = shell.run(command)
            absent = missing(shown.splitlines(), output)
            assert absent is None, f"$ {command}\ndoes not show {absent!r}:\n{output}"
            assert "Traceback" not in output


class Shell:
    """One shell, in which each command of the tutorial follows the one before."""

    def __init__(self, home: Path) -> None:
        self.pinned = False
        environ = clean_environ() | {"HOME": str(home), "PYTHONPATH": str(ROOT)}
        environ["PATH"] = f"{home / 'bin'}:{os.environ['PATH']}"
        self._process = subprocess.Popen(
            ["sh"],
            cwd=home,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.communicate(timeout=10)

    def run(self, command: str) -> str:
        """Run a command; return what it said on both streams."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{{ {command}\n}} </dev/null; echo; echo {END}\n")
        self._process.stdin.flush()
        said = []
        for line in self._process.stdout:
            if line.rstrip("\n") == END:
                break
            said.append(line)
        return "".join(said)


def pin(inventory: Path, keys: dict[str, str]) -> None:
    """Write compared keys into the inventory, as the reader does."""
    text = inventory.read_text()
    for address, key in keys.items():
        text = text.replace(f"address: {address}\n", f"address: {address}\n    host_key: {key}\n")
    inventory.write_text(text)
