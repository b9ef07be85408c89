"""The project of roles/ with as many hosts as wanted: the sample's own, cluster by cluster."""

import shutil
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).parents[2] / "roles"
NETWORK = "198.18"  # for benchmarks: RFC 2544


def write_sample(directory: Path, hosts: int) -> None:
    """Write the project into a new directory."""
    shutil.copytree(ROLES, directory / "roles")
    inventory = yaml.safe_load((ROLES / "inventory.yml").read_text())
    inventory["hosts"] = repeated = _hosts(inventory["hosts"], hosts)
    inventory["groups"] = _groups(inventory["groups"], repeated)
    (directory / "roles/inventory.yml").write_text(yaml.safe_dump(inventory, sort_keys=False))


def _hosts(sample: dict[str, Any], count: int) -> dict[str, Any]:
    """The hosts of the sample over and over, in clusters that are numbered from 0."""
    found = {}
    for number in range(count):
        cluster, place = divmod(number, len(sample))
        name = list(sample)[place]
        address = f"{NETWORK}.{number // 250}.{number % 250 + 1}"
        found[f"{name}-{cluster}"] = {**sample[name], "address": address}
    return found


def _groups(sample: dict[str, Any], hosts: dict[str, Any]) -> dict[str, Any]:
    clusters = {name.rpartition("-")[2] for name in hosts}
    groups = {}
    for cluster in sorted(clusters, key=int):
        for name, group in sample.items():
            members = [f"{host}-{cluster}" for host in group["hosts"]]
            groups[f"{name}-{cluster}"] = {
                "hosts": [host for host in members if host in hosts],
                "cluster": f"{group['cluster']}-{cluster}",
            }
    return groups
