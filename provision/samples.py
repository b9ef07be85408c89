"""`python -m provision.samples docs/samples`: what monitoring gets, with the default limits."""

from __future__ import annotations

import sys
from pathlib import Path

from provision.node import Node
from provision.recipes.monitoring import monitoring
from provision.resources.file import File
from provision.schema import Attributes
from provision.schema.pitr import Monitoring, Pitr

_RECIPES = ("archiving", "base_backup", "recovery", "monitoring")
_DIRECTORY = "/etc/prometheus"


def samples() -> dict[str, str]:
    """The files by name: what a primary named db1 of a cluster main gets."""
    wanted = Monitoring(
        rules_file=f"{_DIRECTORY}/alert-rules.yml", dashboard_file=f"{_DIRECTORY}/dashboard.json"
    )
    pitr = Pitr(repository="s3://example-backup/main", monitoring=wanted)
    node = Node(
        name="db1",
        cluster="main",
        environment="_default",
        recipes=_RECIPES,
        attributes=Attributes(pitr=pitr),
    )
    return {
        Path(each.name).name: str(each.content)
        for each in monitoring(node)
        if isinstance(each, File) and each.name.startswith(_DIRECTORY)
    }


if __name__ == "__main__":
    for name, text in samples().items():
        Path(sys.argv[1], name).write_text(text, encoding="utf-8")
