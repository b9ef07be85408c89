"""The project of roles/ for other machines: `python -m tests.support.sample_fleet.project`.

Roles and run lists stay as they are. What a place differs in is in the inventory, which names its
addresses and host keys, and in an environment of its own, which names its store.
"""

import argparse
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
BUCKET = "backup"
ENVIRONMENT = """\
name: {name}
description: An S3 server of our own, without encryption by us.

override_attributes:
  pitr:
    repository: s3://{bucket}/main
    package:
      find_links: /opt/wheels
    environment:
      AWS_REGION: us-east-1
      AWS_ENDPOINT: {endpoint}
      AWS_ACCESS_KEY_ID: {{secret: "env:AWS_ACCESS_KEY_ID"}}
      AWS_SECRET_ACCESS_KEY: {{secret: "env:AWS_SECRET_ACCESS_KEY"}}
"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a host of the sample's inventory is, and by which key it proves to be itself."""

    address: str
    host_key: str


def write_project(
    directory: Path, places: Mapping[str, Place], *, name: str, bucket: str, endpoint: str
) -> None:
    """Write the project of the hosts that have a place, in the environment `name`."""
    shutil.copytree(ROOT / "roles", directory / "roles")
    shutil.copy(ROOT / "fabfile.py", directory)
    environment = ENVIRONMENT.format(name=name, bucket=bucket, endpoint=endpoint)
    (directory / f"roles/environments/{name}.yml").write_text(environment)
    path = directory / "roles/inventory.yml"
    inventory = _moved(yaml.safe_load(path.read_text()), places, name)
    path.write_text(yaml.safe_dump(inventory, sort_keys=False))


def read_places(directory: Path) -> dict[str, Place]:
    """Read a file for each host: its address, and in a second line its host key."""
    found = {}
    for path in sorted(directory.iterdir()):
        address, key, *_ = path.read_text().splitlines()
        found[path.name] = Place(address=address, host_key=" ".join(key.split()[:2]))
    return found


def _moved(sample: dict[str, Any], places: Mapping[str, Place], name: str) -> dict[str, Any]:
    sample["defaults"]["environment"] = name
    sample["hosts"] = {host: sample["hosts"][host] for host in places}
    for host, place in places.items():
        sample["hosts"][host] |= {"address": place.address, "host_key": place.host_key}
    primary = {"host": places["db1"].address, "sslmode": "prefer"}  # with Debian's own certificate
    sample["hosts"]["db2"]["default_attributes"]["pitr"]["recovery"]["primary"] = primary
    return sample


def main() -> None:
    """Write the project that the arguments describe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path, help="a new directory")
    parser.add_argument("places", type=Path, help="a directory with a file for each host")
    parser.add_argument("--name", required=True, help="what the environment is called")
    parser.add_argument("--bucket", default=BUCKET, help=f"the bucket ({BUCKET})")
    parser.add_argument("--endpoint", required=True, help="where S3 is served")
    chosen = parser.parse_args()
    write_project(
        chosen.project,
        read_places(chosen.places),
        name=chosen.name,
        bucket=chosen.bucket,
        endpoint=chosen.endpoint,
    )


if __name__ == "__main__":
    main()
