"""Who brings the files to the hosts, each as its manual says, with what makes it fast.

Ansible has pipelining and connections that persist, both of which are settings; pyinfra applies
without asking first, and so without looking twice. All reach as many hosts at once, log in with one
key, take host keys that are known and no others, and become root by sudo.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.fleet import LOGIN, Object, Place, write_inventory
from tests.support.environment import clean_environ

PARALLEL = 10  # what provision does when nothing is said
CHANGES = 2  # provision's exit code of a plan that is not empty


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command line in its directory, and the exit codes that are success."""

    words: Sequence[str]
    directory: Path
    environ: Mapping[str, str]
    codes: Sequence[int] = (0,)


class Provisioner(Protocol):
    """A tool, ready to work on the hosts that were described last."""

    name: str

    def describe(self, places: Sequence[Place]) -> None:
        """Write down where the hosts are."""

    def plan(self) -> Command:
        """Say what would change, with differences."""

    def apply(self) -> Command:
        """Change what is not as it should be."""


class Provision:
    """Ours; the project has its roles."""

    name = "provision"

    def __init__(self, program: Path, project: Path, identity: Path) -> None:
        self._project = project
        self._words = (str(program), "--identity", str(identity), "--parallel", str(PARALLEL))

    def describe(self, places: Sequence[Place]) -> None:
        """Write the inventory."""
        write_inventory(self._project, places)

    def plan(self) -> Command:
        """`provision plan`."""
        return self._command("plan", codes=(0, CHANGES))

    def apply(self) -> Command:
        """`provision apply`: plan, canary, the others."""
        return self._command("apply", "--yes")

    def _command(self, *words: str, codes: Sequence[int] = (0,)) -> Command:
        program, *options = self._words
        return Command(
            words=(program, *words, *options),
            directory=self._project,
            environ=clean_environ(),
            codes=codes,
        )


class Ansible:
    """`ansible-playbook`, with a task for the directories and one for the files."""

    name = "Ansible"

    def __init__(
        self, python: Path, directory: Path, identity: Path, tree: Path, objects: Sequence[Object]
    ) -> None:
        self._words = (str(python), "-m", "ansible", "playbook", "playbook.json")
        self._directory = directory
        self._identity = identity
        directory.mkdir()
        (directory / "ansible.cfg").write_text(ANSIBLE_CONFIGURATION.format(directory=directory))
        (directory / "playbook.json").write_text(json.dumps([_play(tree, objects)]))

    def describe(self, places: Sequence[Place]) -> None:
        """Write the inventory and the known hosts."""
        write_known_hosts(self._directory, places)
        lines = [
            f"{each.name} ansible_host={each.address} ansible_port={each.port} ansible_user={LOGIN}"
            f" ansible_ssh_private_key_file={self._identity}"
            " ansible_python_interpreter=/usr/bin/python3"
            for each in places
        ]
        (self._directory / "hosts").write_text("\n".join([*lines, ""]))

    def plan(self) -> Command:
        """`--check --diff`."""
        return self._command("--check", "--diff")

    def apply(self) -> Command:
        """Run the playbook."""
        return self._command()

    def _command(self, *words: str) -> Command:
        home = {"HOME": str(self._directory), "ANSIBLE_CONFIG": "ansible.cfg"}
        return Command(
            words=(*self._words, *words),
            directory=self._directory,
            environ=clean_environ() | home,
        )


ANSIBLE_CONFIGURATION = f"""\
[defaults]
inventory = hosts
forks = {PARALLEL}
host_key_checking = True
local_tmp = {{directory}}/tmp
[ssh_connection]
pipelining = True
control_path_dir = {{directory}}/control
ssh_extra_args = -o UserKnownHostsFile={{directory}}/known_hosts -o StrictHostKeyChecking=yes
"""


def _play(tree: Path, objects: Sequence[Object]) -> dict[str, object]:
    names = {"owner": "{{ item.owner }}", "group": "{{ item.group }}", "mode": "{{ item.mode }}"}
    source = f"{tree}/{{{{ inventory_hostname }}}}{{{{ item.path }}}}"
    path = "{{ item.path }}"
    file = {"path": path, "state": "directory", **names}
    copy = {"src": source, "dest": path, **names}
    return {
        "hosts": "all",
        "gather_facts": False,
        "become": True,
        "tasks": [
            {"ansible.builtin.file": file, "loop": _items(objects, "directory")},
            {"ansible.builtin.copy": copy, "loop": _items(objects, "file")},
        ],
    }


def _items(objects: Sequence[Object], kind: str) -> list[dict[str, str]]:
    return [
        {"path": each.path, "owner": each.owner, "group": each.group, "mode": each.mode}
        for each in objects
        if each.kind == kind
    ]


class Pyinfra:
    """pyinfra, with an operation for each directory and file."""

    name = "pyinfra"

    def __init__(
        self, python: Path, directory: Path, identity: Path, tree: Path, objects: Sequence[Object]
    ) -> None:
        self._words = (str(python), "-m", "pyinfra", "--parallel", str(PARALLEL))
        self._directory = directory
        self._identity = identity
        directory.mkdir()
        (directory / "objects.json").write_text(
            json.dumps({kind: _items(objects, kind) for kind in ("directory", "file")})
        )
        (directory / "deploy.py").write_text(PYINFRA_DEPLOY.format(tree=str(tree)))

    def describe(self, places: Sequence[Place]) -> None:
        """Write the inventory and the known hosts."""
        write_known_hosts(self._directory, places)
        common = {
            "ssh_user": LOGIN,
            "ssh_key": str(self._identity),
            "ssh_known_hosts_file": str(self._directory / "known_hosts"),
            "ssh_strict_host_key_checking": "yes",
            "_sudo": True,
        }
        found = [
            (each.name, {"ssh_hostname": each.address, "ssh_port": each.port, **common})
            for each in places
        ]
        (self._directory / "inventory.py").write_text(f"hosts = {found!r}\n")

    def plan(self) -> Command:
        """`--dry --diff`."""
        return self._command("--dry", "--diff")

    def apply(self) -> Command:
        """Without a question."""
        return self._command("--yes")

    def _command(self, *words: str) -> Command:
        return Command(
            words=(*self._words, *words, "inventory.py", "deploy.py"),
            directory=self._directory,
            environ=clean_environ() | {"HOME": str(self._directory)},
        )


PYINFRA_DEPLOY = """\
import json
from pyinfra import host
from pyinfra.operations import files

with open("objects.json") as file:
    objects = json.load(file)
for each in objects["directory"]:
    path, owner = each["path"], each["owner"]
    files.directory(path=path, user=owner, group=each["group"], mode=each["mode"].lstrip("0"))
for each in objects["file"]:
    path, owner = each["path"], each["owner"]
    files.put(
        src=f"{tree}/{{host.name}}{{path}}",
        dest=path,
        user=owner,
        group=each["group"],
        mode=each["mode"].lstrip("0"),
    )
"""


def write_known_hosts(directory: Path, places: Sequence[Place]) -> None:
    """Write the keys by which the hosts prove who they are, as ssh reads them."""
    lines = (f"[{each.address}]:{each.port} {each.key}\n" for each in places)
    (directory / "known_hosts").write_text("".join(lines))
