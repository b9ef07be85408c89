"""Archiving: the settings with which the server hands each finished WAL segment to the engine."""

from __future__ import annotations

from collections.abc import Iterator

from provision.layout import Layout, layout_of
from provision.node import Node
from provision.quoting import Quoted
from provision.recipes.settings import ARCHIVING, COMMANDS, Value, settings_resources
from provision.resources.base import Resource


def archiving(node: Node) -> tuple[Resource, ...]:
    """The archive settings, and the role's own settings."""
    layout = layout_of(node)
    return settings_resources(
        node,
        layout,
        file=ARCHIVING,
        title="Archiving",
        values=_values(node, layout).items(),
        recipe="archiving",
    )


def _values(node: Node, layout: Layout) -> dict[str, Value]:
    """Ours, and the role's own settings, which win: who sets wal_level to logical wants that."""
    archive = node.attributes.pitr.archive
    ours: dict[str, Value] = {"archive_mode": "off"}
    if archive.enabled:
        ours = {
            "wal_level": "replica",
            "archive_mode": archive.mode,
            "archive_timeout": str(archive.timeout),
            "archive_command": layout.archive_command(),
        }
    return ours | dict(_own(node))


def _own(node: Node) -> Iterator[tuple[str, Value]]:
    """The role's own settings; a command among them is taken as it is written there."""
    for name, value in sorted(node.attributes.postgresql.settings.items()):
        yield name, Quoted("pg_command", str(value)) if name in COMMANDS else value
