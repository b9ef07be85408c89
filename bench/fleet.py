"""A fleet for the comparison of provisioning: distant hosts, and what each is to get.

What it is to get is rendered by provision once, and given to the other tools as plain files, so
that all bring the same bytes, owners and modes to the same places.
"""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from provision.tree import MANIFEST
from tests.support.cache import run
from tests.support.rig.client import ADMIN, Host, Rig

ROUND_TRIP = 0.05  # seconds
LOGIN = ADMIN
DRILLS = 11
ENVDIR = "/etc/pitr.d/env"  # a link to a generation, but for the others a directory
ENVDIR_METADATA = {"owner": "root", "group": "postgres", "mode": "0750"}

ROLE = f"""\
name: verifier
description: {DRILLS} restore drills, each with a script and a line of cron.
run_list:
  - recipe[pitr::tooling]
  - recipe[pitr::drill]
  - recipe[pitr::logrotate]
  - recipe[pitr::monitoring]
default_attributes:
  postgresql:
    version: 15
  pitr:
    package:
      manage: false
      probe: false
    repository: s3://example-backup/main
    environment:
      AWS_REGION: eu-central-1
      AWS_ENDPOINT_URL: https://store.example.com
    drill:
      checks:
        - {{name: catalogue, query: select count(*) > 300 from pg_class}}
      schedules:
"""
SCHEDULE = """\
        - {{name: "set{number}", schedule: "{minute} 4 * * *", backup: latest}}
"""


# of no host; what is rendered does not depend on it
SOME_KEY = f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'A' * 43}"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a host is, and the key by which it proves to be itself."""

    name: str
    address: str = "192.0.2.1"
    port: int = 22
    key: str = SOME_KEY


@dataclass(frozen=True, kw_only=True)
class Object:
    """A file or directory that every host gets; a file's content is below the host's tree."""

    path: str
    kind: str
    owner: str
    group: str
    mode: str


def names_of(count: int) -> list[str]:
    """What the hosts are called."""
    return [f"h{number:02}" for number in range(1, count + 1)]


def write_roles(project: Path) -> None:
    """Write the role of all hosts."""
    (project / "roles").mkdir(parents=True)
    schedules = (SCHEDULE.format(number=each, minute=5 * each) for each in range(DRILLS))
    (project / "roles/verifier.yml").write_text(ROLE + "".join(schedules))


def write_inventory(project: Path, places: Sequence[Place]) -> None:
    """Write where the hosts are and by which keys they prove it."""
    lines = [f"defaults: {{user: {LOGIN}}}", "hosts:"]
    for each in places:
        place = f'address: "{each.address}", port: {each.port}'
        lines += [f"  {each.name}:", f"    {{{place}, host_key: {each.key},"]
        lines += [f'     cluster: {each.name}, run_list: ["role[verifier]"]}}']
    (project / "roles/inventory.yml").write_text("\n".join([*lines, ""]))


def render(program: Path, project: Path, tree: Path) -> list[Object]:
    """Render the project; return what every host gets, directories first."""
    run([str(program), "render", str(tree), "--project", str(project)])
    manifest = json.loads((next(tree.iterdir()) / MANIFEST).read_text())
    found = [
        _object(path, node)
        for path, node in manifest["nodes"].items()
        if node["kind"] in ("file", "directory")
    ]
    environment = _object(ENVDIR, {"kind": "directory", **ENVDIR_METADATA})
    return sorted([*found, environment], key=lambda each: (each.kind == "file", each.path))


def _object(path: str, node: Mapping[str, str]) -> Object:
    return Object(
        path=path,
        kind=node["kind"],
        owner=node["owner"],
        group=node["group"],
        mode=node["mode"],
    )


@contextmanager
def fresh_hosts(rig: Rig, count: int) -> Iterator[tuple[list[Host], list[Place]]]:
    """Hosts on which nothing was done yet, each half a round trip away in both directions."""
    with rig.part() as part:
        hosts = part.start_all(names_of(count))
        yield hosts, [_distant(part, host) for host in hosts]


def _distant(rig: Rig, host: Host) -> Place:
    address, port = rig.distant(host, delay=ROUND_TRIP / 2)
    return Place(name=host.name, address=address, port=port, key=host.host_keys[0])


def check(hosts: Sequence[Host], tree: Path, objects: Sequence[Object]) -> None:
    """Raise RuntimeError if a host has not all its files as they should be."""
    files = [each for each in objects if each.kind == "file"]
    wanted = [f"{each.owner} {each.group} {each.mode.lstrip('0')}" for each in files]
    paths = shlex.join(each.path for each in files)
    for host in hosts:
        found = host.sh(f"stat -c '%U %G %a' {paths}; cat {paths}")
        contents = "".join((tree / host.name / file.path[1:]).read_text() for file in files)
        if found != "\n".join([*wanted, contents]).removesuffix("\n"):
            raise RuntimeError(f"{host.name} has not what it should have")
